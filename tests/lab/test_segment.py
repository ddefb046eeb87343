"""The interface that the clients of a real lab borrow: it moves, it comes back as it was, whoever is killed."""

import difflib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from enclosed import enclosed

from harness.errors import LabError, UsageError
from harness.lab import enclosure, management, namespaces, segment, segment_keeper, tools
from harness.lab.namespaces import Netns
from harness.lab.nic import Nic, features, look
from harness.lab.segment import CLIENTS, of_clients
from harness.model import CaptureSource, Connection
from harness.model.router_lab import Card
from harness.testbed import check

lab = pytest.mark.lab
NIC = "nic0"


def bench(host="10.99.0.2"):
    """The Linux testbed with its client interface on this machine's nic0 and a NAT that is there already, at `host`."""
    known = check(enclosure.ROOT / "testbeds/linux.yaml")
    clients = replace(known.clients, interface=replace(known.clients.interface, name=NIC))
    return replace(known, clients=clients, nat=replace(known.nat, connection=Connection("nat", host)))


def machine():
    """A machine with a management interface and nic0, which leads to a router."""
    router = Netns.create("router")
    here = Netns.create("here")
    namespaces.link(router, "inside0", router, "spare")  # a peer that is not of this test
    tools.run(["ip", "netns", "exec", "router", "ip", "link", "del", "inside0"], step="prepare")
    tools.run(["ip", "link", "add", NIC, "type", "veth", "peer", "name", "inside0", "netns", "router"], step="prepare")
    tools.run(["ip", "link", "add", "mgmt0", "type", "veth", "peer", "name", "far", "netns", "here"], step="prepare")
    router.ip("link", "set", "inside0", "up")
    router.ip("address", "add", "192.0.2.1/30", "dev", "inside0")
    router.ip("route", "add", "10.0.0.0/24", "via", "192.0.2.2")
    here.ip("link", "set", "far", "up")
    settings = {"accept_dad": "0", "disable_ipv6": "0"}  # whether an address is another's would be asked for a second
    for name, value in settings.items():
        for place in ("default", NIC, "mgmt0"):
            Path(f"/proc/sys/net/ipv6/conf/{place}/{name}").write_text(value)
    for line in FURNITURE.strip().splitlines():
        tools.run(line.split(), step="prepare")
    for setting, value in SETTINGS.items():
        Path("/proc/sys", setting).write_text(value)
    return router


FURNITURE = """
ip link set mgmt0 up
ip address add 10.99.0.1/24 dev mgmt0
ip link set nic0 mtu 1450 up
ip address add 198.18.5.5/24 broadcast 198.18.5.250 label nic0:first dev nic0
ip address add 198.18.6.5/32 scope link dev nic0
ip address add 198.18.8.1 peer 198.18.8.2/32 metric 5 dev nic0
ip address add 2001:db8::5/64 dev nic0 nodad
ip address add 2001:db8:1::5/64 dev nic0 nodad noprefixroute
ip route add 198.18.7.0/24 via 198.18.5.1 dev nic0 metric 77
ip route add 198.18.7.0/24 via 198.18.5.1 dev nic0 metric 78 proto static mtu 1300
ip route add 198.18.20.0/24 via 198.18.99.1 dev nic0 onlink table 77
ip route add 198.18.30.0/24 nexthop via 198.18.5.1 dev nic0 weight 2 nexthop via 10.99.0.9 dev mgmt0 weight 1
ip route add 198.18.40.0/24 via 10.99.0.9 dev mgmt0 src 198.18.5.5
ip route add default via 198.18.5.1 dev nic0 table 79
ip route add 198.18.50.1 dev nic0 scope link table 78
ip route add 198.18.51.0/24 via 198.18.50.1 dev nic0 onlink table 78
ip -6 route add 2001:db8:9::/48 via 2001:db8::9 dev nic0 metric 2000 proto static
ip neigh add 198.18.5.77 lladdr 02:00:00:00:00:01 dev nic0 nud permanent
ethtool -K nic0 gro off
ethtool -K nic0 tx-checksum-sctp off
tc qdisc replace dev nic0 root handle 5: tbf rate 2mbit burst 10kb latency 50ms
tc qdisc replace dev nic0 clsact
"""
SETTINGS = {
    "net/ipv4/conf/nic0/rp_filter": "2",
    "net/ipv4/conf/nic0/arp_ignore": "1",
    "net/ipv4/conf/nic0/forwarding": "1",
    "net/ipv4/neigh/nic0/gc_stale_time": "77",
    "net/ipv6/conf/nic0/accept_ra": "0",
}


def everything():
    """All that this machine says of its interfaces, in the programs' own words."""
    shown = [told(words) for words in (["-d", "address"], ["-d", "route", "show", "table", "all"])]
    shown[0] = shown[0].replace(" tentative", "")  # for a second or two after an interface came up
    shown += [told(["-d", "-6", "route", "show", "table", "all"]), told(["neigh", "show", "nud", "permanent"])]
    shown.append(tools.run(["ethtool", "-k", NIC], step="look").stdout)
    disciplines = tools.run(["tc", "-d", "qdisc", "show", "dev", NIC], step="look").stdout
    shown.append(re.sub(r" (refcnt|direct_packets_stat) \d+", "", disciplines))
    places = [f"/proc/sys/net/{version}/{kind}/{NIC}" for version in ("ipv4", "ipv6") for kind in ("conf", "neigh")]
    for file in sorted(file for place in places for file in Path(place).iterdir()):
        try:
            shown.append(f"{file} {file.read_text()}")
        except OSError:
            shown.append(f"{file} cannot be read\n")
    return "".join(shown)


def same(before):
    now = everything()
    assert now == before, "\n".join(difflib.unified_diff(before.splitlines(), now.splitlines(), "before", "now", n=0))


def told(words):
    return tools.run(["ip", *words], step="look").stdout


@lab
@enclosed
def test_it_moves_serves_and_comes_back_as_it_was():
    router = machine()
    before = everything()
    assert {"2001:db8::5", "198.18.5.5"} < set(look(NIC).hosts)
    assert SETTINGS.items() <= look(NIC).settings.items()
    lent = of_clients(bench())
    lent.up()
    assert NIC not in [name for _, name in socket.if_nameindex()]
    assert "mgmt0" in [name for _, name in socket.if_nameindex()]
    with lent.clients.entered():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with router.entered():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind(("10.0.0.7", 500))  # any address of the prefix is local there
    server.bind(("192.0.2.1", 500))
    server.settimeout(15)
    client.settimeout(15)
    client.sendto(b"up", ("192.0.2.1", 500))
    heard, seen_as = server.recvfrom(64)
    assert (heard, seen_as) == (b"up", ("10.0.0.7", 500))
    server.sendto(b"down", seen_as)
    assert client.recv(64) == b"down"
    client.close()
    on = [name for name, state in features_of(lent.clients).items() if state == "on"]
    assert not [name for name in on if name.startswith(("tx-check", "generic"))]
    lent.down()
    same(before)
    assert not Netns(CLIENTS).exists()
    lent.down()  # nothing left to do
    same(before)


def features_of(namespace):
    with namespace.entered():
        return features(NIC)


@lab
@enclosed
def test_what_cannot_be_given_back_is_told_and_the_rest_is_there():
    machine()
    before = everything()
    was = look(NIC)
    lent = of_clients(bench())
    lent.up()
    extra = (("-4", "198.18.61.0/24", "via", "198.18.60.1", "dev", NIC),)
    worse = replace(was, addresses=(("198.18.5.5/99",), *was.addresses), routes=(*extra, *was.routes))
    with pytest.raises(LabError, match=r"198\.18\.5\.5/99.*; .*198\.18\.61\.0/24 via 198\.18\.60\.1"):
        segment.put_back(worse)
    same(before)
    lent.down()
    same(before)


@lab
@enclosed
def test_where_it_did_not_come_back_another_attempt_brings_it():
    machine()
    before = everything()
    lent = of_clients(bench())
    lent.up()
    lent._keeper.kill()  # nobody else brings it
    lent._keeper.wait()
    (held,) = lent._nics
    lent._nics = (replace(held, neighbours=(("198.18.5.78", "lladdr", "no-address"),)),)
    with pytest.raises(LabError, match=r"(?s)no-address.*cure: .*natstorm restore --testbed .*linux\.yaml"):
        lent.down()
    assert lent._nics
    lent._nics = (held,)
    lent.down()
    same(before)


@lab
@enclosed
def test_the_keeper_brings_it_back_when_the_run_is_killed():
    machine()
    before = everything()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(enclosure.ROOT / "tests/lab"), str(enclosure.ROOT)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "lent\n"
    assert NIC not in [name for _, name in socket.if_nameindex()]
    keepers = [pid for pid in os.listdir("/proc") if pid.isdigit() and named(pid) == "natstorm-keeper"]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(int(keepers[0]), number)  # it stays: its work is not done
    holder.kill()
    holder.wait()
    deadline = time.monotonic() + 30
    while Netns(CLIENTS).exists() or named(keepers[0]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    same(before)


HOLD = """
import sys
sys.path[:0] = sys.argv[1:]
import test_segment
lent = test_segment.of_clients(test_segment.bench())
lent.up()
print("lent", flush=True)
sys.stdin.read()
import time
time.sleep(600)
"""


def named(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


@lab
@enclosed
def test_several_cards_are_lent_and_come_back_together_whoever_is_killed():
    router = machine()
    words = ["ip", "link", "add", "nic1", "type", "veth", "peer", "name", "inside1", "netns", "router"]
    tools.run(words, step="prepare")
    tools.run(["ip", "address", "add", "198.18.9.5/24", "dev", "nic1"], step="prepare")
    tools.run(["ip", "link", "set", "nic1", "up"], step="prepare")
    router.ip("link", "set", "inside1", "up")
    before, other = everything(), look("nic1")
    cards = (Card(NIC), Card("nic1", 7))

    def there():
        return {NIC, "nic1"} & {name for _, name in socket.if_nameindex()}

    lent = segment.Segment(bench(), cards)
    lent.up()
    with lent.clients.entered():
        assert there() == {NIC, "nic1"}
    assert there() == set()
    lent.down()
    same(before)
    assert look("nic1") == other

    lent.up()
    noted = [one.to_json() for one in lent._nics]
    lent._keeper.stdin.close()  # as when the run is killed: the keeper brings them
    lent._keeper.wait(30)
    same(before)
    assert look("nic1") == other
    os.close(lent._held)

    lent = segment.Segment(bench(), cards)
    lent.up()
    lent._keeper.kill()
    lent._keeper.wait()
    os.close(lent._held)
    segment_keeper.main([*noted, "now"])  # natstorm restore
    same(before)
    assert look("nic1") == other
    with pytest.raises(UsageError, match=r":7: nic1 is the management interface"):
        segment.Segment(replace(bench(), management=("nic1",)), cards).up()
    assert there() == {NIC, "nic1"}
    same(before)


@lab
@enclosed
def test_where_the_keeper_dies_too_what_was_noted_brings_it_back():
    machine()
    before = everything()
    noted = look(NIC).to_json()
    lent = of_clients(bench())
    lent.up()
    lent._keeper.kill()
    segment.put_back(Nic.from_json(noted))
    same(before)
    segment.put_back(Nic.from_json(noted))  # whoever comes second finds it done
    same(before)


@lab
@enclosed
def test_what_another_run_has_is_not_taken_from_it_by_a_restore_after_one_that_is_gone():
    machine()
    before = everything()
    noted = look(NIC).to_json()
    lent = of_clients(bench())
    lent.up()
    segment.KEEPER_S = 0.2
    for theirs in (noted, replace(Nic.from_json(noted), name="nic9").to_json()):
        with pytest.raises(SystemExit):
            segment_keeper.main([theirs, "now"])
        assert Netns(CLIENTS).exists()
        assert NIC not in [name for _, name in socket.if_nameindex()]
    segment.KEEPER_S = 30.0
    lent.down()
    segment_keeper.main([noted, "now"])  # nobody has it any more
    same(before)


@lab
@enclosed
def test_one_that_is_nowhere_any_more_is_told():
    machine()
    lent = of_clients(bench())
    lent.up()
    lent.clients.ip("link", "del", NIC)
    with pytest.raises(LabError, match=r"(?s)bring nic0 back.*this machine has it no more.*cure: .*natstorm restore"):
        lent.down()


@lab
@enclosed
def test_the_management_interface_is_refused():
    machine()
    before = everything()
    with pytest.raises(UsageError, match=r":\d+: nic0 is the management interface: nat \(198.18.5.9\) is reached through it"):
        of_clients(bench("198.18.5.9")).up()
    os.environ["SSH_CONNECTION"] = "198.18.6.1 50000 198.18.6.5 22"
    with pytest.raises(UsageError, match=r"the session from 198.18.6.1 comes in through it"):
        of_clients(bench()).up()
    del os.environ["SSH_CONNECTION"]
    tools.run(["ip", "route", "add", "default", "via", "198.18.5.1"], step="prepare")
    with pytest.raises(UsageError, match="default route leaves by it"):
        of_clients(bench()).up()
    tools.run(["ip", "route", "del", "default"], step="prepare")
    for told in (NIC, "198.18.6.5", "2001:DB8:0::5"):
        with pytest.raises(UsageError, match=rf"nic0 is the management interface: testbed\.custom\.management names {told}"):
            of_clients(replace(bench(), management=("eth7", "198.18.6.50", told))).up()
        assert management.unknown(replace(bench(), management=("eth7", told, "198.18.6.50"))) == ("eth7", "198.18.6.50")
    same(before)


@lab
@enclosed
def test_a_card_below_a_bridge_is_refused_and_left_where_it_is():
    machine()
    tools.run(["ip", "address", "flush", "dev", NIC], step="prepare")
    for line in ("ip link add br0 type bridge", "ip link set nic0 master br0", "ip link set br0 up"):
        tools.run(line.split(), step="prepare")
    tools.run(["ip", "address", "add", "198.18.5.5/24", "dev", "br0"], step="prepare")
    with pytest.raises(UsageError, match=r"nat \(198\.18\.5\.9\) is reached through it, by br0"):
        of_clients(bench("198.18.5.9")).up()
    with pytest.raises(UsageError, match=r"nic0 has br0 on it"):
        of_clients(bench()).up()
    tools.run(["ip", "route", "add", "default", "via", "198.18.5.1"], step="prepare")
    with pytest.raises(UsageError, match=r"default route leaves by it, by br0"):
        of_clients(bench()).up()
    assert "master br0" in told(["link", "show", NIC])
    assert not Netns(CLIENTS).exists()


IN_THE_WAY = (
    ("filters (u32)", "filter add dev nic0 egress protocol ip prio 5 u32 match ip dst 10.0.0.1/32 classid 1:1"),
    ("filters (u32)", "filter add dev nic0 ingress protocol ip prio 5 u32 match ip dst 10.0.0.1/32 classid 1:1"),
    (
        "1 traffic class (htb)",
        "qdisc replace dev nic0 root handle 6: htb",
        "class add dev nic0 parent 6: classid 6:1 htb rate 9mbit",
    ),
    # Shown as 7777Kbit, and with a length of its queue that follows from what is not shown.
    ("the queueing discipline tbf 6:", "qdisc replace dev nic0 root handle 6: tbf rate 7777777 burst 12345 limit 30001"),
)
"""What the refusal names, and what tc was told."""


@lab
@enclosed
def test_what_of_traffic_control_cannot_be_put_back_is_refused_and_left_as_it_is():
    machine()
    for named, *lines in IN_THE_WAY:
        for line in ("qdisc del dev nic0 clsact", "qdisc del dev nic0 root", "qdisc add dev nic0 clsact", *lines):
            tools.run(["tc", *line.split()], step="prepare", accept=(0, 2) if " root" in line else (0,))
        before = everything()
        with pytest.raises(UsageError) as caught:
            of_clients(bench()).up()
        assert f"nic0 has {named}, which moving it would destroy" in str(caught.value)
        assert "tc qdisc del dev nic0" in str(caught.value)
        assert not Netns(CLIENTS).exists()
        same(before)


def test_what_stands_on_a_card_is_known_whatever_it_is():
    rows = [
        {"ifname": "nic0", "master": "bond0"},
        {"ifname": "bond0", "linkinfo": {"info_kind": "bond"}},
        {"ifname": "bond0.7", "link": "bond0", "linkinfo": {"info_kind": "vlan", "info_data": {"id": 7}}},
        {"ifname": "mv0", "link": "nic0", "linkinfo": {"info_kind": "macvlan"}},
        {"ifname": "vx0", "linkinfo": {"info_kind": "vxlan", "info_data": {"id": 3, "link": "nic0"}}},
        {"ifname": "veth0", "link": "nic0", "linkinfo": {"info_kind": "veth"}},
    ]
    links = management.below(rows)
    assert management.beneath("bond0.7", links) == {"bond0.7", "bond0", "nic0"}
    assert management.beneath("veth0", links) == {"veth0"}
    assert sorted(name for name, lower in links.items() if "nic0" in lower) == ["bond0", "mv0", "vx0"]


@lab
@enclosed
def test_all_that_is_reached_is_looked_for_by_its_address():
    machine()
    with pytest.raises(UsageError, match=r"nat \(2001:db8::9\) is reached through it"):
        of_clients(bench("2001:db8::9")).up()
    jump = Connection("jump", "198.18.5.8")
    with pytest.raises(UsageError, match=r"jump \(198\.18\.5\.8\) is reached through it"):
        of_clients(replace(bench(), nat=replace(bench().nat, connection=Connection("nat", "10.99.0.2", jump=jump)))).up()
    tap = CaptureSource("tcpdump", "eth0", Connection("tap", "198.18.5.7"))
    with pytest.raises(UsageError, match=r"tap \(198\.18\.5\.7\) is reached through it"):
        of_clients(replace(bench(), nat=replace(bench().nat, outside_capture=tap))).up()
    with pytest.raises(UsageError, match=r"the server http://198\.18\.5\.6:3080 \(198\.18\.5\.6\) is reached through it"):
        of_clients(replace(bench(), lab=replace(bench().lab, provider="gns3", url="http://198.18.5.6:3080"))).up()


@lab
@enclosed
def test_a_session_that_sudo_hides_is_found():
    router = machine()
    router.ip("address", "add", "198.18.5.1/24", "dev", "inside0")
    for version, own, far in ((socket.AF_INET, "198.18.5.5", "198.18.5.1"), (socket.AF_INET6, "::", "198.18.5.1")):
        server = socket.socket(version, socket.SOCK_STREAM)  # the second hears IPv4 as ::ffff:…, as sshd does
        server.bind((own, 2222))
        server.listen()
        with router.entered():
            client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.settimeout(15)
        client.connect(("198.18.5.5", 2222))
        accepted, _ = server.accept()
        with pytest.raises(UsageError, match=rf"the session from {far} comes in through it"):
            of_clients(bench()).up()
        client.close()
        assert accepted.recv(1) == b""
        accepted.close()
        server.close()
    of_clients(bench()).check()


def test_connections_are_read_as_the_kernel_writes_them():
    text = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 050512C6:0016 010512C6:C001 01 00000000:00000000 00:00000000 00000000 0 0 1 1
   1: 050512C6:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1 1
   2: 0100007F:0016 0100007F:C001 01 00000000:00000000 00:00000000 00000000 0 0 1 1
   3: B80D0120000000000000000005000000:0016 B80D0120000000000000000009000000:C001 01 0:0 0:0 0 0 0 1 1
"""
    assert list(management.established(text)) == [("198.18.5.1", "198.18.5.5"), ("2001:db8::9", "2001:db8::5")]


@lab
@enclosed
def test_what_cannot_be_had_is_told_and_nothing_changed():
    machine()
    strange = bench()
    strange = replace(strange, clients=replace(strange.clients, interface=replace(strange.clients.interface, name="nic7")))
    with pytest.raises(UsageError, match=r"linux\.yaml:\d+: this machine has no interface nic7: it has .*nic0") as caught:
        of_clients(strange).up()
    assert caught.value.line == strange.clients.interface.line
    first = of_clients(bench())
    first.up()
    with pytest.raises(LabError, match="another run has it"):
        of_clients(bench()).up()
    first.down()
    before = everything()
    bad = bench()
    bad = replace(bad, nat=replace(bad.nat, inside=replace(bad.nat.inside, address="198.51.100.1/24")))  # a next hop out of reach
    with pytest.raises(LabError, match=r"via 198\.51\.100\.1"):
        of_clients(bad).up()
    same(before)
    assert not Netns(CLIENTS).exists()
