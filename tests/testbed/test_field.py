"""Testbeds of devices that are there already: what a good one gives, and every mistake with its line and its cure, alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from testbed_text import TESTBEDS, line_of

from harness.model.reach import CaptureSource, Connection, LabSpec
from harness.model.secret import Secret
from harness.testbed import check, examine, load

NAT = "      cli: {protocol: ssh, ip: 10.99.0.2, port: 22}\n"
GATEWAY = "      cli: {protocol: ssh, ip: 10.99.0.3, port: 22}\n"
HOST = "      cli: {protocol: ssh, ip: 10.99.0.4, port: 22}\n"
ROUTERS = "own_address: 192.168.7.1, protect_minutes: 10"
AN_IOS = [("    os: natstorm", "    os: ios"), ("        - default\n        - clear\n", "")]
NAT_CUSTOM = "      outside_ports: 1024-65535\n"
CUSTOM = '    known_hosts: "%ENV{NATSTORM_BOX}/known_hosts"\n'
LOGIN = "    default:\n      username: root\n"
POOL = "ppp_pool: 172.16.0.10-172.16.15.200"
DEVICES = "devices:\n"
NIC = "      nic0: {type"
AT = "node: SW, port: e0, interface: tap0"


def jump(name: str, *, proxy: str = "") -> str:
    way = f", proxy: {proxy}" if proxy else ""
    return f"  {name}:\n    type: jump\n    os: linux\n    connections:\n      cli: {{protocol: ssh, ip: 10.98.0.1{way}}}\n\n"


def captures(inside: str, outside: str) -> str:
    return f"      capture:\n        inside: {{{inside}}}\n        outside: {{{outside}}}\n"


def lab(rows: str) -> str:
    return CUSTOM + f"    lab: {{{rows}}}\n"


def of_eve_ng(options: str) -> list[tuple[str, str]]:
    """The bench on an EVE-NG server, which is told these options."""
    server = lab(f"provider: eve-ng, url: 'http://x', project: p, options: {{{options}}}")
    return [(CUSTOM, server), (LOGIN, LOGIN + "    eve-ng: {username: a, password: b}\n")]


def test_the_bench_in_a_box(bench, box):
    testbed = check(bench())
    assert testbed.field
    key, known = str(box / "id"), str(box / "known_hosts")
    assert testbed.nat.connection == Connection("nat", "10.99.0.2", 22, "root", key_file=key, known_hosts=known)
    assert testbed.gateway.connection == Connection("gateway", "10.99.0.3", 22, "root", key_file=key, known_hosts=known)
    assert testbed.gateway.end_host_connection == Connection("host", "10.99.0.4", 22, "root", key_file=key, known_hosts=known)
    assert testbed.connections == (testbed.nat.connection, testbed.gateway.connection, testbed.gateway.end_host_connection)
    assert testbed.nat.inside_capture == CaptureSource("tcpdump", "inside0", testbed.nat.connection)
    assert testbed.nat.outside_capture == CaptureSource("tcpdump", "outside0", testbed.nat.connection)
    assert testbed.lab == LabSpec("static")


def test_the_allowance_knows_its_line(bench):
    file = bench()
    allowance = check(file).allowance
    assert allowance.line == line_of(file, "networks:")
    assert allowance.packets_per_s == 5000
    assert allowance.outside(["10.0.15.9", "203.0.113.231", "203.0.114.1"]) == ("203.0.114.1",)


def test_it_differs_from_the_virtual_testbed_in_how_it_is_reached_alone(bench):
    ours, virtual = check(bench()), check(TESTBEDS / "virtual.yaml")
    assert not virtual.field
    assert (virtual.lab, virtual.allowance, virtual.connections) == (LabSpec("namespaces"), None, ())
    assert ours.plans(1000) == virtual.plans(1000)
    assert (ours.gateway.variants, ours.gateway.os) == (virtual.gateway.variants, virtual.gateway.os)
    assert (ours.nat.first_port, ours.nat.udp_timeout_s) == (virtual.nat.first_port, virtual.nat.udp_timeout_s)


def test_a_relative_file_counts_from_the_testbed(bench, tmp_path):
    (tmp_path / "hosts").touch()
    (tmp_path / "nat.key").touch()
    file = bench(
        ('"%ENV{NATSTORM_BOX}/known_hosts"', "hosts"), (NAT_CUSTOM, "      key_file: nat.key\n" + NAT_CUSTOM),
    )  # fmt: skip
    testbed = check(file)
    assert testbed.gateway.connection.known_hosts == str(tmp_path / "hosts")
    assert testbed.nat.connection.key_file == str(tmp_path / "nat.key")
    assert testbed.gateway.connection.key_file != testbed.nat.connection.key_file


def test_the_nearest_credentials_count_as_a_whole(bench):
    file = bench(
        (LOGIN, "    default: {username: all, password: one}\n    enable: {password: many}\n"),
        (NAT, NAT.replace("22}", "22, credentials: {default: {username: here, password: three}}}")),
        (GATEWAY, GATEWAY + "    credentials:\n      default: {username: its}\n      enable: {password: own}\n"),
    )
    testbed = check(file)
    nat, gateway, host = testbed.connections
    assert (nat.username, nat.password, nat.enable) == ("here", Secret("three"), Secret("many"))
    assert (gateway.username, gateway.password, gateway.enable) == ("its", None, Secret("own"))
    assert (host.username, host.password) == ("all", Secret("one"))
    assert {one.reveal() for one in testbed.access_secrets} == {"one", "three", "many", "own"}
    assert load(file) == testbed


def test_the_way_leads_through_jump_hosts(bench):
    file = bench(
        (DEVICES, DEVICES + jump("far", proxy="near") + jump("near").replace("10.98.0.1", "10.97.0.1")),
        (GATEWAY, GATEWAY.replace("22}", "22, proxy: far}")),
    )
    gateway = check(file).gateway.connection
    assert (gateway.jump.device, gateway.jump.host) == ("far", "10.98.0.1")
    assert (gateway.jump.jump.device, gateway.jump.jump.host, gateway.jump.jump.jump) == ("near", "10.97.0.1", None)
    assert load(file).gateway.connection == gateway


def test_one_address_behind_two_jump_hosts_is_two_devices(bench):
    file = bench(
        (DEVICES, DEVICES + jump("one") + jump("two").replace("10.98.0.1", "10.98.0.2")),
        (NAT, NAT.replace("22}", "22, proxy: one}")),
        (GATEWAY, GATEWAY.replace("10.99.0.3, port: 22}", "10.99.0.2, port: 22, proxy: two}")),
    )
    assert check(file).gateway.connection.host == "10.99.0.2"


def test_where_the_sides_of_the_nat_are_captured(bench):
    file = bench(
        (DEVICES, DEVICES + jump("tap")),
        (NAT_CUSTOM, captures("source: nic, interface: span0", "source: tcpdump, device: tap, interface: eth1") + NAT_CUSTOM),
    )
    nat = check(file).nat
    assert nat.inside_capture == CaptureSource("nic", "span0")
    assert (nat.outside_capture.interface, nat.outside_capture.connection.device) == ("eth1", "tap")
    assert load(file).nat == nat


def test_a_capture_is_on_the_nat_where_nothing_else_is_said(bench):
    nat = check(bench((NAT_CUSTOM, captures("source: tcpdump, interface: br0", "source: tcpdump") + NAT_CUSTOM))).nat
    assert nat.inside_capture == CaptureSource("tcpdump", "br0", nat.connection)
    assert nat.outside_capture == CaptureSource("tcpdump", "outside0", nat.connection)


def test_a_lab_on_a_server(bench):
    file = bench(
        (LOGIN, LOGIN + "    gns3: {username: admin, password: hidden}\n"),
        (CUSTOM, lab("provider: gns3, url: 'https://lab:3080/', project: P, options: {nodes: {nat: box}}")),
        (NAT_CUSTOM, captures("source: gns3", "source: gns3, interface: eth9") + NAT_CUSTOM),
    )
    testbed = check(file)
    assert testbed.lab == LabSpec("gns3", "https://lab:3080", "P", "admin", Secret("hidden"), {"nodes": {"nat": "box"}})
    assert (testbed.lab.node("nat"), testbed.lab.node("gateway")) == ("box", "gateway")
    assert testbed.nat.inside_capture == CaptureSource("gns3", "inside0", testbed.nat.connection)
    assert testbed.nat.outside_capture.interface == "eth9"
    assert testbed.access_secrets == (Secret("hidden"),)
    assert load(file) == testbed


def test_two_networks_may_be_one_together(bench):
    halves = "- 10.0.0.0/21\n        - 10.0.8.0/21 "
    assert check(bench(("- 10.0.0.0/20 ", halves))).allowance.networks[:2] == ("10.0.0.0/21", "10.0.8.0/21")


def test_the_secrets_of_a_jump_host_are_known(bench):
    login = "    credentials: {default: {username: u, password: on the way}}\n"
    locked = jump("j").replace("    connections:", login + "    connections:")
    testbed = check(bench((DEVICES, DEVICES + locked), (NAT, NAT.replace("22}", "22, proxy: j}"))))
    assert testbed.access_secrets == (Secret("on the way"),)


def test_what_must_not_be_moved_is_known(bench):
    assert check(bench((CUSTOM, CUSTOM + "    management: [eth0, 10.99.0.1]\n"))).management == ("eth0", "10.99.0.1")


@pytest.mark.parametrize("system", ["ios", "iosxe"])
def test_a_router_names_its_interfaces_in_its_own_way(bench, system):
    file = bench(
        ("    os: natstorm", f"    os: {system}"),
        ("        - default\n        - clear\n", ""),
        ("      wan0:", "      GigabitEthernet0/0/1.100:"),
        (GATEWAY, GATEWAY.replace("ssh, ip: 10.99.0.3, port: 22", f"telnet, ip: 10.99.0.3, {ROUTERS}")),
    )
    gateway = check(file).gateway
    assert (gateway.interface.name, gateway.variants) == ("GigabitEthernet0/0/1.100", ("demux", "plain"))
    assert (gateway.connection.protocol, gateway.connection.port, gateway.connection.key_file) == ("telnet", 23, None)
    assert (gateway.connection.own_address, gateway.connection.protect_minutes) == ("192.168.7.1", 10)


@pytest.mark.parametrize(("said", "expected"), [(", old_ssh: true", True), (", old_ssh: false", False), ("", False)])
def test_a_router_of_old(bench, said, expected):
    file = bench(*AN_IOS, ("      wan0:", "      GigabitEthernet0/0:"), (GATEWAY, GATEWAY.replace("22}", f"22{said}}}")))
    assert check(file).gateway.connection.old_ssh is expected


def test_it_looks_the_same_to_pyats(bench):
    file = bench((DEVICES, DEVICES + jump("jumpbox")), (NAT, NAT.replace("22}", "22, proxy: jumpbox}")))
    assert load(file) == check(file)


MISTAKES = {
    # edits, text of the line, problem, cure
    "impossible address": ([("ip: 10.99.0.2", "ip: 209.265.200.231")], "209.265", "ip: '209.265.200.231' is not an IP", "no name"),
    "name for an address": ([("ip: 10.99.0.2", "ip: nat.example")], "nat.example", "'nat.example' is not an IP", "10.99.0.2"),
    "no port": ([("0.2, port: 22", "0.2, port: abc")], "abc", "port: 'abc' is not a TCP port", "from 1 to 65535"),
    "port too high": ([("0.2, port: 22", "0.2, port: 65536")], "65536", "port: 65536 is not a TCP port", "from 1 to 65535"),
    "misspelt connection key": ([("0.2, port: 22", "0.2, prot: 22")], "prot:", "'prot' is not known in devices.nat.con", "'port'"),
    "misspelt connection": ([(NAT, NAT.replace("cli:", "cl1:"))], "cl1:", "'cl1' is not known in devices.nat.connections", "'cli'"),
    "unknown protocol": ([(NAT, NAT.replace("ssh", "rsh"))], "rsh", "protocol: 'rsh' is not known", "ssh, telnet"),
    "linux by telnet": ([(NAT, NAT.replace("ssh", "telnet"))], "telnet", "a linux device is not reached by telnet", "ssh"),
    "no os": ([("    type: nat\n    os: linux\n", "    type: nat\n")], "  nat:@1", "'os' is missing in devices.nat", "add `os:`"),
    "a router's": (
        [(NAT, NAT.replace("22}", "22, protect_minutes: 10}"))],
        "protect_minutes", "a linux device has no protect_minutes", "it is a router's",
    ),
    "an old Linux": (
        [(NAT, NAT.replace("22}", "22, old_ssh: true}"))],
        "old_ssh", "a linux device has no old_ssh", "it is a router's",
    ),
    "old SSH by telnet": (
        [
            *AN_IOS, ("      wan0:", "      GigabitEthernet0/0:"),
            (GATEWAY, GATEWAY.replace("ssh, ip: 10.99.0.3, port: 22}", "telnet, ip: 10.99.0.3, old_ssh: true}")),
        ],
        "old_ssh", "telnet has no SSH algorithms", "protocol: ssh",
    ),
    "old as text": (
        [*AN_IOS, ("      wan0:", "      GigabitEthernet0/0:"), (GATEWAY, GATEWAY.replace("22}", "22, old_ssh: 1}"))],
        "old_ssh", "1 is neither true nor false", "true or false",
    ),
    "no minutes": (
        [
            ("    os: natstorm", "    os: ios"), ("        - default\n        - clear\n", ""),
            (GATEWAY, GATEWAY.replace("22}", "22, protect_minutes: 0}")),
        ],
        "protect_minutes", "0 is not a whole number", "as in",
    ),
    "telnet through a proxy": (
        [
            ("    os: natstorm", "    os: ios"), ("        - default\n        - clear\n", ""), (DEVICES, DEVICES + jump("near")),
            (GATEWAY, GATEWAY.replace("ssh, ip: 10.99.0.3, port: 22}", "telnet, ip: 10.99.0.3, proxy: near}")),
        ],
        "proxy: near", "telnet goes through no proxy", "console server",
    ),
    "a router behind two jump hosts": (
        [
            ("    os: natstorm", "    os: ios"), ("        - default\n        - clear\n", ""),
            (DEVICES, DEVICES + jump("far", proxy="near") + jump("near").replace("10.98.0.1", "10.97.0.1")),
            (GATEWAY, GATEWAY.replace("22}", "22, proxy: far}")),
        ],
        "proxy: far", "through one jump host at most, and far needs another", "as near is",
    ),
    "no driver": ([("    os: natstorm", "    os: junose")], "junose", "no driver for a gateway that is a 'junose'", "ios or iosxe"),
    "a router that there is not": (
        [
            ("    os: natstorm", "    os: IOS"), ("        - default\n        - clear\n", ""),
            ("      wan0:", "      GigabitEthernet0/0:"),
            (GATEWAY, GATEWAY.replace("22}", "22, protect_minutes: 10}")),
        ],
        "os: IOS", "no driver for a gateway that is a 'IOS'", "ios or iosxe",
    ),
    "no driver for the NAT": ([("type: nat\n    os: linux", "type: nat\n    os: ios")], "os: ios", "nat that is a 'ios'", "linux"),
    "unknown role": ([("type: nat\n", "type: router\n")], "router", "type: 'router' is not known", "one of nat"),
    "unknown device": (
        [(DEVICES, DEVICES + jump("spare").replace("type: jump", "type: server"))],
        "  spare:", "'spare' is not known in devices", "any name for one with `type: jump`",
    ),
    "device twice": (
        [("topology:\n", "  nat:\n    type: nat\n    os: linux\n    connections: {}\n\ntopology:\n")],
        None, "'nat' stands here twice", "remove one",
    ),
    "one device for two": ([("ip: 10.99.0.3", "ip: 10.99.0.2")], "gateway@ip", "gateway is reached where nat is", "of its own"),
    "one device for two, spelt as IPv6": (
        [("ip: 10.99.0.3", "ip: '::ffff:10.99.0.2'")], "gateway@ip", "gateway is reached where nat is: 10.99.0.2", "of its own",
    ),
    "an impossible address that must not be moved": (
        [(CUSTOM, CUSTOM + "    management: [eth0, 209.265.200.231]\n")],
        "    management:", "'209.265.200.231' is neither an interface", "as in eth0",
    ),
    "a capture on a router": (
        [
            ("    os: natstorm", "    os: ios"), ("        - default\n        - clear\n", ""),
            (NAT_CUSTOM, captures("source: tcpdump", "source: tcpdump, device: gateway, interface: wan0") + NAT_CUSTOM),
        ],
        "device: gateway", "gateway is a router, and has no tcpdump", "a Linux device",
    ),
    "a capture of the other side": (
        [(NAT_CUSTOM, captures("source: tcpdump, interface: outside0", "source: nic, interface: span0") + NAT_CUSTOM)],
        "inside: {source", "outside0 is the NAT's interface on the other side", "its interface on the inside",
    ),
    "a capture of all": (
        [(NAT_CUSTOM, captures("source: tcpdump, interface: any", "source: tcpdump") + NAT_CUSTOM)],
        "interface: any", "all interfaces together are no side", "the one interface",
    ),
    "clients elsewhere": (
        [("    connections: {}\n", "    connections: {cli: {protocol: ssh, ip: 10.99.0.9}}\n")],
        "10.99.0.9", "'cli' is not known in devices.clients.connections", "remove it",
    ),
    "only some reached": ([("    connections:\n" + HOST, "    connections: {}\n")], None, "host is not reached, and", "or none"),
    "nobody logs in": ([(LOGIN, "    enable: {password: x}\n")], NAT.strip(), "logs in at nat and gateway and host", "username"),
    "login without a name": ([("      username: root\n", "      password: x\n")], "default:", "nobody is named", "username"),
    "misspelt credential": ([("      username: root", "      usrname: root")], "usrname", "'usrname' is not known", "'username'"),
    "no jump host": ([(NAT, NAT.replace("22}", "22, proxy: jumpbox}"))], "proxy", "no device 'jumpbox' to go", "type: jump"),
    "jump host misspelt": (
        [(DEVICES, DEVICES + jump("jumpbox")), (NAT, NAT.replace("22}", "22, proxy: jmpbox}"))],
        "jmpbox", "there is no device 'jmpbox'", "did you mean 'jumpbox'?",
    ),
    "through the gateway": ([(NAT, NAT.replace("22}", "22, proxy: gateway}"))], "proxy", "gateway is no jump host", "type: jump"),
    "through itself": (
        [(DEVICES, DEVICES + jump("one", proxy="two") + jump("two", proxy="one").replace("10.98.0.1", "10.98.0.2"))],
        "proxy: one", "the way to two leads through itself", "begins at this machine",
    ),
    "jump host unreached": (
        [(DEVICES, DEVICES + "  j:\n    type: jump\n    os: linux\n    connections: {}\n")],
        "    connections: {}@1", "'cli' is missing in devices.j.connections", "add `cli:`",
    ),
    "no key": ([('"%ENV{NATSTORM_BOX}/id"', "absent.key")], "absent.key", "key_file: there is no file", "counts from this file"),
    "no known hosts": ([('"%ENV{NATSTORM_BOX}/known_hosts"', "absent")], "absent", "known_hosts: there is no", "that is there"),
    "nothing allowed": (
        [(CUSTOM, CUSTOM + "    management: [eth7]\n"), ("    allow:  ", "    allow_: ")],
        "allow_", "'allow_' is not known in testbed.custom", "'allow'",
    ),
    "gateway not allowed": (
        [("- 203.0.113.0/24 ", "- 203.0.114.0/24 ")],
        "networks:", "203.0.113.232/32 (the NAT, outside), 203.0.113.231/32 (the gateway): nothing may", "203.0.113.231/32]`",
    ),
    "clients not allowed": ([("- 10.0.0.0/20 ", "- 10.0.0.0/21 ")], "networks:", "10.0.0.0/20 (the clients)", "10.0.0.0/20]`"),
    "end host not allowed": ([("- 198.51.100.0/24 ", "- 198.51.100.11 ")], "networks:", "198.51.100.10/32 (the host", "if that is"),
    "tunnels not allowed": ([("- 172.16.0.1/32 ", "- 172.16.0.2/32 ")], "networks:", "172.16.0.1/32 (the gateway,", "if that is"),
    "half of all is allowed": (
        [("- 10.0.0.0/20 ", "- 0.0.0.0/1\n        - 10.0.0.0/20 ")], "0.0.0.0/1", "0.0.0.0/1 is more than any lab", "networks of",
    ),
    "the other half is": (
        [("- 10.0.0.0/20 ", "- 128.0.0.0/1\n        - 10.0.0.0/20 ")], "128.0.0.0/1", "and no limit", "networks of the lab",
    ),
    "groups are allowed": (
        [("- 10.0.0.0/20 ", "- 224.0.0.0/8\n        - 10.0.0.0/20 ")], "224.0.0.0/8", "224.0.0.0 is no machine's", "as in",
    ),
    "reached nowhere": ([("ip: 10.99.0.2", "ip: 0.0.0.0")], "ip: 0.0.0.0", "ip: 0.0.0.0 is no device's address", "10.99.0.2"),
    "reached at a group": ([("ip: 10.99.0.2", "ip: 224.0.0.1")], "ip: 224", "ip: 224.0.0.1 is no device's address", "10.99.0.2"),
    "reached at a group of IPv6": ([("ip: 10.99.0.2", "ip: 'ff02::1'")], "ff02", "ip: ff02::1 is no device's", "10.99.0.2"),
    "reached at all": ([("ip: 10.99.0.2", "ip: 255.255.255.255")], "ip: 255", "240.0.0.0/4 is reserved", "as in 203"),
    "a group for a gateway": ([("203.0.113.231/24", "224.0.0.5/24")], "224.0", "224.0.0.0/4 is for groups", "203.0.113"),
    "a loopback for a NAT": ([("203.0.113.232/24", "127.0.0.6/24")], "127.0", "127.0.0.0/8 is within each", "203.0.113"),
    "a group in the tunnels": ([("ppp_address: 172.16.0.1\n", "ppp_address: 239.0.0.1\n")], "239.", "is for groups", "203.0.113"),
    "the gateway in the pool": (
        [(POOL, "ppp_pool: 203.0.113.231-203.0.113.231")], "ppp_pool",
        "ppp_pool holds the address of the gateway, 203.0.113.231", "a range beside it",
    ),
    "the NAT in the pool": (
        [(POOL, "ppp_pool: 203.0.113.232-203.0.113.240")], "ppp_pool",
        "ppp_pool holds the address of the NAT, outside, 203.0.113.232", "a range beside it",
    ),
    "a way to a device in the pool": (
        [(POOL, "ppp_pool: 10.99.0.4-10.99.0.9")], "ppp_pool", "ppp_pool holds 10.99.0.4, where host is reached", "beside it",
    ),
    "a way to a device among the clients": (
        [("prefix: 10.0.0.0/20 ", "prefix: 10.99.0.0/20 "), ("first: 10.0.0.2 ", "first: 10.99.0.9 "),
         ("- 10.0.0.0/20 ", "- 10.99.0.0/20 ")],
        "prefix:", "10.99.0.0/20 holds 10.99.0.2, where nat is reached", "the clients' alone",
    ),
    "a project of blanks": (
        [(CUSTOM, lab("provider: gns3, url: 'http://x', project: '  '"))], "lab:", "project: '  ' is not a text", "write a word",
    ),
    "all is allowed": ([("- 10.0.0.0/20 ", "- 0.0.0.0/0 ")], "0.0.0.0/0", "every address there is", "networks of the lab"),
    "impossible network": ([("- 10.0.0.0/20 ", "- 10.0.0.0/33 ")], "/33", "'10.0.0.0/33' is not an IPv4 prefix", "10.0.0"),
    "network twice": ([("- 10.0.0.0/20 ", "- 192.0.2.0/30 ")], "- 192.0.2.0/30@2", "'192.0.2.0/30' is listed twice", "remove"),
    "no rate": ([("      packets_per_s: 5000\n", "")], "allow:", "'packets_per_s' is missing in testbed.custom.allow", "add"),
    "no end of packets": ([("packets_per_s: 5000", "packets_per_s: 0")], "packets_per_s", "0 is not a whole number", "as in"),
    "one side captured": (
        [(NAT_CUSTOM, "      capture: {inside: {source: tcpdump}}\n" + NAT_CUSTOM)],
        "capture:", "'outside' is missing in devices.nat.custom.capture", "add `outside:`",
    ),
    "unknown capture": (
        [(NAT_CUSTOM, captures("source: tshark", "source: tcpdump") + NAT_CUSTOM)],
        "tshark", "source: 'tshark' is not known", "tcpdump, nic, gns3",
    ),
    "capture without source": (
        [(NAT_CUSTOM, captures("interface: eth0", "source: tcpdump") + NAT_CUSTOM)],
        "inside: {int", "'source' is missing in devices.nat.custom.capture.inside", "add `source:`",
    ),
    "card not named": (
        [(NAT_CUSTOM, captures("source: nic", "source: tcpdump") + NAT_CUSTOM)],
        "source: nic", "which network card of this machine captures is not said", "interface:",
    ),
    "card of a device": (
        [(NAT_CUSTOM, captures("source: nic, device: nat, interface: e", "source: tcpdump") + NAT_CUSTOM)],
        "source: nic", "a network card of this machine is on no device", "source: tcpdump",
    ),
    "capture on nobody": (
        [(NAT_CUSTOM, captures("source: tcpdump, device: tap, interface: e", "source: tcpdump") + NAT_CUSTOM)],
        "device: tap", "tap is no device that is reached", "connection `cli`",
    ),
    "interface of another not named": (
        [(NAT_CUSTOM, captures("source: tcpdump, device: host", "source: tcpdump") + NAT_CUSTOM)],
        "device: host", "which interface of host captures is not said", "interface:",
    ),
    "one interface for both sides": (
        [(NAT_CUSTOM, captures("source: nic, interface: e", "source: nic, interface: e") + NAT_CUSTOM)],
        "outside: {so", "both sides of the NAT are captured at one interface", "of its own",
    ),
    "capture on the clients' card": (
        [(NAT_CUSTOM, captures("source: nic, interface: nic0", "source: tcpdump") + NAT_CUSTOM)],
        "inside: {so", "nic0 is moved to the clients, and cannot capture here", "of its own",
    ),
    "GNS3 without a project": (
        [(NAT_CUSTOM, captures("source: gns3", "source: tcpdump") + NAT_CUSTOM)],
        "source: gns3", "there is no GNS3 project", "provider: gns3",
    ),
    "personality of a real NAT": (
        [(NAT_CUSTOM, "      personality: symmetric\n" + NAT_CUSTOM)],
        "personality: symm", "this NAT is what it is, and plays no personality", "remove it",
    ),
    "management interface": ([(CUSTOM, CUSTOM + "    management: [eth0, nic0]\n")], NIC, "nic0 is the management", "line 19"),
    "management address": ([(CUSTOM, CUSTOM + "    management: [192.0.2.2]\n")], NIC, "nic0 is the management", "line 19"),
    "management of nothing": ([(CUSTOM, CUSTOM + "    management: []\n")], "management: []", "not a list with something", "as in"),
    "long name": ([("      nic0:", "      a-network-card-0:")], "card-0:", "cannot be an interface's name", "1 to 15"),
    "provider": ([(CUSTOM, lab("provider: vmware"))], "lab:", "provider: 'vmware' is not known", "namespaces, static, gns3"),
    "provider misspelt, with options": (
        [(CUSTOM, lab("provider: eveng, url: 'http://x', project: p, options: {nodes: {nat: R1}, edition: pro}"))],
        "lab:", "provider: 'eveng' is not known", "namespaces, static, gns3, eve-ng",
    ),
    "no provider, with options": (
        [(CUSTOM, lab("url: 'http://x', project: p, options: {nodes: {nat: R1}}"))],
        "lab:", "'provider' is missing in testbed.custom.lab", "add `provider:`",
    ),
    "options of nobody": (
        [(CUSTOM, lab("provider: static, options: {nodes: {nat: R1}}"))],
        "lab:", "'nodes' is not known in testbed.custom.lab.options", "remove it",
    ),
    "own namespaces": ([(CUSTOM, lab("provider: namespaces"))], "lab:", "host cannot be in namespaces", "provider: static"),
    "no server": ([(CUSTOM, lab("provider: static, url: 'http://x'"))], "lab:", "no server brings up a static", "remove `url:`"),
    "no login at the server": (
        [(CUSTOM, lab("provider: eve-ng, url: 'http://x', project: p"))],
        "lab:", "nobody is named who logs in at the eve-ng server", "testbed.credentials",
    ),
    "no project": (
        [(CUSTOM, lab("provider: gns3, url: 'http://x'")), (LOGIN, LOGIN + "    gns3: {username: a, password: b}\n")],
        "lab:", "'project' is missing in testbed.custom.lab", "add `project:`",
    ),
    "not a URL": (
        [(CUSTOM, lab("provider: gns3, url: 'lab:3080', project: p")), (LOGIN, LOGIN + "    gns3: {username: a, password: b}\n")],
        "lab:", "url: 'lab:3080' is not the URL of a server", "http://",
    ),
    "password in a URL": (
        [
            (CUSTOM, lab("provider: gns3, url: 'http://me:planted@x', project: p")),
            (LOGIN, LOGIN + "    gns3: {username: a, password: b}\n"),
        ],
        "lab:", "url: a URL with a user or password in it", "testbed.credentials",
    ),
    "node of nobody": (
        [
            (CUSTOM, lab("provider: gns3, url: 'http://x', project: p, options: {nodes: {natt: R1}}")),
            (LOGIN, LOGIN + "    gns3: {username: a, password: b}\n"),
        ],
        "lab:", "'natt' is no device of this testbed", "name of a device",
    ),
    "option of another provider": (
        [
            (CUSTOM, lab("provider: gns3, url: 'http://x', project: p, options: {edition: pro}")),
            (LOGIN, LOGIN + "    gns3: {username: a, password: b}\n"),
        ],
        "lab:", "'edition' is not known in testbed.custom.lab.options", "known here: nodes, ca_file",
    ),
    "clients at no port": (
        [(CUSTOM, lab("provider: gns3, url: 'http://x', project: p, options: {clients: {node: SW, interface: tap0}}"))],
        "lab:", "'port' is missing in testbed.custom.lab.options.clients", "port",
    ),
    "clients by an unknown kind": (
        [(CUSTOM, lab(f"provider: gns3, url: 'http://x', project: p, options: {{clients: {{{AT}, kind: tapp}}}}"))],
        "lab:", "kind: 'tapp' is not known", "tap",
    ),
    "clients by a name that is no port's": (
        [(CUSTOM, lab("provider: gns3, url: 'http://x', project: p, options: {clients: {node: SW, port: e0, interface: 'a b'}}"))],
        "lab:", "interface: 'a b' cannot be an interface's name", "letters, digits",
    ),
    "clients by a cloud of a kind": (
        [(CUSTOM, lab(f"provider: gns3, url: 'http://x', project: p, options: {{clients: {{{AT}, kind: tap, cloud: C1}}}}"))],
        "lab:", "the port of a cloud that is there is of the cloud's own kind", "remove it, or `cloud:`",
    ),
    "project from two places": (
        [(CUSTOM, lab("provider: gns3, url: 'http://x', project: p, options: {file: edited.yaml, template: t}"))],
        "lab:", "'file' and 'template' cannot both count", "remove one",
    ),
    "trust of two kinds": (
        of_eve_ng("verify: false, ca_file: edited.yaml"), "lab:", "'ca_file' and 'verify' cannot both count", "remove one",
    ),
    "Pro without TLS": (of_eve_ng("edition: pro"), "lab:", "Pro speaks https alone", "`url: https://x`"),
    "host that is no jump host": (of_eve_ng("host: nat"), "lab:", "'nat' is no device of `type: jump`", "below `devices:`"),
    "tenant": (of_eve_ng("tenant: -1"), "lab:", "tenant: -1 is not a whole number from 0", "as in 0"),
    "verify": (of_eve_ng("verify: maybe"), "lab:", "verify: 'maybe' is neither true nor false", "true or false"),
    "not completed": ([("ip: 10.99.0.2", "ip: TO COMPLETE")], "TO COMPLETE", "still to be completed", "in the place of TO COMPL"),
    "name not completed": ([(NIC, "      TO COMPLETE: {type")], "TO COMPLETE", "still to be completed", "write the name in the"),
    "secret not completed": (
        [("psk: sharedsecret", "psk: it is TO COMPLETE, planted")], "TO COMPLETE", "still to be completed", "in the place of",
    ),
    "one address for two": (
        [("198.51.100.10/24", "203.0.113.232/24"), ("198.51.100.1/24", "203.0.113.1/24")],
        "lan0: {type: ethernet, link: office, ipv4: 203.0.113.232/24}", "203.0.113.232 is the address of lan0 of", "of its own",
    ),
    "one network on two links": (
        [("198.51.100.10/24", "203.0.113.10/24"), ("198.51.100.1/24", "203.0.113.1/24")],
        "interfaces:@2", "the links outside (203.0.113.0/24) and office (203.0.113.0/24) have addresses", "for each link",
    ),
    "both interfaces on one link": (
        [("link: office, ipv4: 198.51.100.1/24", "link: outside, ipv4: 198.51.100.1/24")],
        "interfaces:@3", "gateway has both interfaces on the link 'outside'", "two links",
    ),
    "its own address in the pool": (
        [("ppp_pool: 172.16.0.10-", "ppp_pool: 172.16.0.1-")],
        "ppp_pool", "ppp_pool holds the gateway's own address 172.16.0.1", "beside it",
    ),
    "misplaced end host": (
        [("  host:\n    interfaces:\n      lan0: {type: ethernet, link: office, ipv4: 198.51.100.10/24}\n", "")],
        "topology:", "'host' is missing in topology", "add `host:`",
    ),
    "asked for what is no secret": ([("ip: 10.99.0.2", "ip: '%ASK{where}'")], "%ASK", "ip: %ASK{} is for secrets", "%ENV"),
}  # fmt: skip


def _line(file, text: str) -> int:
    """Of `text`; "text@n" is the n-th line that holds it, "device@key" that device's connection."""
    text, _, place = text.partition("@")
    lines = file.read_text().splitlines()
    if place == "ip":
        return next(n for n, one in enumerate(lines, 1) if "cli:" in one and n > lines.index(f"  {text}:"))
    found = [n for n, one in enumerate(lines, 1) if text in one]
    if place:
        return found[int(place) - 1]
    (only,) = found
    return only


@pytest.mark.parametrize(("edits", "text", "problem", "cure"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_alone_with_line_and_cure(bench, edits, text, problem, cure):
    file = bench(*edits)
    told = examine(file)
    assert told.testbed is None
    assert len(told.mistakes) == 1, told.mistakes
    (mistake,) = told.mistakes
    assert problem in mistake.problem
    assert cure in mistake.cure
    assert "planted" not in mistake.problem + mistake.cure
    if text is not None:
        assert mistake.line == _line(file, text)


def test_nothing_is_said_of_what_may_be_sent(bench):
    text = bench().read_text()
    start, end = text.index("    allow:"), text.index("devices:\n")
    file = bench((text[start:end], "\n"))
    (mistake,) = examine(file).mistakes
    assert "it is not said what may be sent" in mistake.problem
    assert mistake.line == text[:start].splitlines().index("  custom:") + 1
    needed = "10.0.0.0/20, 192.0.2.1/32, 203.0.113.232/32, 203.0.113.231/32, 172.16.0.1/32, 198.51.100.10/32"
    assert f"networks: [{needed}]" in mistake.cure


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (NAT_CUSTOM, captures("source: tcpdump", "source: tcpdump") + NAT_CUSTOM, "captures by itself in a NAT of its own"),
        ("  name: virtual\n", "  name: virtual\n  custom: {lab: {provider: static}}\n", "a lab of static has devices"),
    ],
)
def test_what_only_a_lab_of_real_devices_can_be_told(bench, old, new, problem):
    (mistake,) = examine(bench((old, new), of="virtual.yaml")).mistakes
    assert problem in mistake.problem


def test_a_lab_of_the_harness_s_own_may_have_an_allowance(bench):
    file = bench(
        ("  name: virtual\n", "  name: virtual\n  custom: {allow: {networks: [10.0.0.0/8], packets_per_s: 9}}\n"), of="virtual.yaml"
    )
    assert check(file).allowance.networks == ("10.0.0.0/8",)
