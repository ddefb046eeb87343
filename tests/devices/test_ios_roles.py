"""Configurations by role: the vendor's own examples, typed into a virtual router, and what is wrong with values."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from terminal import Terminal

from harness.devices.ios import gates, roles
from harness.devices.ios.configurations import parse_config
from harness.devices.ios.roles import filler
from harness.errors import UsageError
from harness.model import Secret, ios_releases
from harness.virtual.ios.meaning_router import meant
from harness.virtual.ios.nat_meaning import plan
from harness.virtual.ios.state import State
from harness.virtual.settings import load

EXAMPLES = Path(__file__).parents[1] / "virtual" / "ios" / "configurations"
BARE = """\
hostname R1
no aaa new-model
interface FastEthernet0/0
 ip address 11.0.0.8 255.255.255.0
interface FastEthernet0/1
 ip address 10.1.1.254 255.255.255.0
end
"""

DEMUX = {
    "interface": "FastEthernet0/0", "address": "11.0.0.8", "mask": "255.255.255.0", "aaa": True,
    "users": [{"name": "w2k01", "password": Secret("lab")}], "group": "1", "template": 1, "ignore_checksum": True,
    "policies": [{"number": 1, "encryption": "3des", "dh_group": "2"}], "key": Secret("*****"), "keyring": "L2TP",
    "keepalive_s": 3600, "lifetime_s": 600, "offered": "TS1",
    "transform_sets": [{"name": "TS1", "transforms": ["esp-3des", "esp-sha-hmac"]}], "map": "dynamic", "demux": True,
    "crypto_map": "CRYP_MAP", "number": 6000, "dynamic_map": "DYN_MAP", "dynamic_number": 10, "loopback": 0,
    "loopback_address": "12.0.0.8", "authentication": "chap ms-chap", "pool": "POOL", "first": "20.0.0.100", "last": "20.0.0.110",
}  # fmt: skip
STATIC = {
    **{name: value for name, value in DEMUX.items() if name not in ("dynamic_map", "dynamic_number")},
    "map": "static", "crypto_map": "STATIC_MAP", "number": 5, "peer": "203.0.113.232", "list": 105,
}  # fmt: skip
SET = "esp-des-sha-transport"
LAC = {
    "interface": "FastEthernet0/0", "address": "10.0.0.12", "mask": "255.255.255.0",
    "users": [{"name": "LAC", "password": "cisco"}, {"name": "LNS", "password": "cisco"}], "group": "1", "domains": ["cisco.com"],
    "lns": "10.0.0.13", "local_name": "LAC", "profile": "l2tp", "keep_sa": True, "tunnel_authentication": True,
    "tunnel_password": "cisco", "no_logging": True, "policy": 1, "key": Secret("cisco"), "transform_set": SET,
    "transforms": "esp-des esp-sha-hmac", "crypto_map": "l2tpsec", "number": 10,
}  # fmt: skip
LNS = {
    "interface": "FastEthernet0/0", "address": "10.0.0.13", "mask": "255.255.255.0",
    "users": [{"name": name, "password": "cisco"} for name in ("userSerial10@cisco.com", "LAC", "LNS")], "group": "1",
    "protocol": "any", "template": 1, "terminate_from": "LAC", "profile": "l2tp", "keep_sa": True,
    "lcp_renegotiation": "on-mismatch", "tunnel_authentication": True, "policy": 1, "key": "cisco", "key_peer": "10.0.0.12",
    "transform_set": SET, "transforms": "esp-des esp-sha-hmac", "crypto_map": "l2tpsec", "number": 10,
}  # fmt: skip
VOLUNTARY = {
    **{name: LNS[name] for name in LNS if name not in ("terminate_from", "lcp_renegotiation", "policy", "key", "key_peer")},
    "group": "dial-in", "protocol": "l2tp", "keep_sa": False, "tunnel_authentication": False, "pmtu": True, "lifetime_s": 120,
}  # fmt: skip
NAT = {
    "inside": "FastEthernet0/1", "outside": "FastEthernet0/0", "list": 1,
    "sources": [{"network": "10.1.1.0", "wildcard": "0.0.0.255"}], "spi_match": [10], "preserve_port": [10],
    "hosts": [{"list": 10, "host": "10.1.1.1"}], "ftp": [{"list": 10, "port": 21}, {"list": 10, "port": 2021}], "skinny": [20002],
}  # fmt: skip
ENDPOINT = {
    "interface": "FastEthernet0/0", "policy": 10, "encryption": "aes 256", "dh_group": "2", "hash": "md5",
    "key": Secret("under-test"),
    "nat_transparency": "spi-matching", "transform_set": "TS", "transforms": "esp-aes 256 esp-sha-hmac", "crypto_map": "VPN",
    "number": 10, "peers": ["11.0.0.9"], "list": 101, "lifetime_s": 900,
    "flows": [{"source": "10.1.1.0", "destination": "10.2.2.0", "source_wildcard": "0.0.0.255", "destination_wildcard": "0.0.0.255"}
    ],
    "routes": [{"network": "10.2.2.0", "mask": "255.255.255.0", "gateway": "11.0.0.9"}],
}  # fmt: skip
ALL = {
    "demux": ("gateway", DEMUX), "static": ("gateway", STATIC), "lac": ("lac", LAC), "lns": ("lns", LNS),
    "voluntary": ("lns", VOLUNTARY), "nat": ("nat", NAT), "endpoint": ("endpoint", ENDPOINT),
}  # fmt: skip


def filled(name):
    role, settings = ALL[name]
    return roles.fill(role, settings)


def flat(section, above=()):
    for line, below in section.items():
        yield (*above, line)
        yield from flat(below, (*above, line))


def terminal(release="12.4(1)"):
    return Terminal(State(startup=BARE, release=release))


def typed(terminal, lines):
    """The lines that were refused, with what was said."""
    terminal.run("configure terminal")
    said = {line: terminal.run(line) for line in lines}
    terminal.run("end")
    return {line: told for line, told in said.items() if any(one.startswith("%") and "NOTE" not in one for one in told)}


def running(lines):
    """What a router's running configuration has because of the lines."""
    router = terminal()
    before = set(flat(parse_config("\n".join(router.run("show running-config")))))
    assert typed(router, lines) == {}
    return set(flat(parse_config("\n".join(router.run("show running-config"))))) - before


@pytest.mark.parametrize(
    ("name", "document", "left", "more"),
    [
        ("demux", "nat-demux-lns", {
            "service timestamps debug datetime msec", "service timestamps log datetime msec", "no service password-encryption",
            "hostname LNS", "ip dhcp excluded-address 20.0.0.8", "ip dhcp excluded-address 20.0.0.10",
            "crypto isakmp key cisco hostname w2k01", "interface FastEthernet0/1", "interface FastEthernet2/0", "router ospf 1",
            "ip route 171.0.0.0 255.0.0.0 172.19.192.1",
        }, set()),
        ("lac", "l2tp-security-lac", set(), set()),
        ("lns", "l2tp-security-lns", {"speed 10", "half-duplex"}, set()),
        ("voluntary", "l2tp-security-voluntary", {"speed 10", "half-duplex"}, set()),
        ("nat", "nat-esp", {"crypto ipsec nat-transparency spi-matching"}, {
            ("access-list 1 permit 10.1.1.0 0.0.0.255",), ("ip nat inside source list 1 interface FastEthernet0/0 overload",),
            ("interface FastEthernet0/0", "ip nat outside"), ("interface FastEthernet0/1", "ip nat inside"),
        }),
    ],
)  # fmt: skip
def test_the_vendors_examples_come_out(name, document, left, more):
    """All that the example has and concerns the role, as a router shows it; `left` is what else it has."""
    ours = running(filled(name).lines)
    theirs = running((EXAMPLES / f"{document}.cfg").read_text().splitlines())
    assert {path[0] if len(path) == 1 or path[0] in left else path[-1] for path in theirs - ours} == left
    assert ours - theirs == more


def test_a_static_map_has_demux_as_the_figure_has_it():
    found = parse_config("\n".join(filled("static").lines))
    assert found["crypto map STATIC_MAP 5 ipsec-isakmp"].keys() == {
        "set peer 203.0.113.232", "set nat demux", "set transform-set TS1", "match address 105",
    }  # fmt: skip
    assert "access-list 105 permit udp host 11.0.0.8 eq 1701 any" in found
    assert not any("dynamic" in line for line in found)


@pytest.mark.parametrize("name", ALL)
def test_a_router_takes_every_line_and_gives_up_all_again(name):
    role, router = filled(name), terminal()
    before = router.run("show running-config")
    assert typed(router, role.lines) == {}
    running = set(flat(parse_config("\n".join(router.run("show running-config")))))
    wanted = set(flat(parse_config("\n".join(role.lines))))
    assert wanted <= running
    assert typed(router, role.undo) == {}
    strip = {"ip address 10.0.0.12 255.255.255.0", "ip address 10.0.0.13 255.255.255.0", "ip address 11.0.0.8 255.255.255.0"}
    left = [line for line in router.run("show running-config") if line.strip() not in strip and "bytes" not in line]
    assert left == [line for line in before if line.strip() not in strip and "bytes" not in line]


@pytest.mark.parametrize("name", ALL)
def test_a_release_refuses_what_the_gates_name_and_nothing_else(name):
    role = filled(name)
    for release in ("12.2(1)", "12.2(8)T", "12.3(11)T3", "12.4(1)"):
        lacks = ios_releases.missing(role.features, ios_releases.parse(release))
        refused = typed(terminal(release), role.lines)
        assert {gates.feature_of(line) for line in refused} - {None} == {one.feature.name for one in lacks}
        # The lines below a section that is not there are refused with it.
        assert bool(refused) == bool(lacks)


CALLERS = {"authentication": "chap", "pool": "POOL", "first": "10.5.0.1", "last": "10.5.0.9"}


def test_what_it_means_is_that_role():
    """Read by the code that makes a live router of a configuration: nothing lacks."""

    def meaning(role):
        router = terminal()
        assert typed(router, role.lines) == {}
        return meant(router.state.configuration.tree, load("plain"))

    for settings, demux in ((DEMUX, True), ({**DEMUX, "demux": False}, False), (STATIC, True), ({**STATIC, "demux": False}, False)):
        found = meaning(roles.gateway(settings))
        assert (found.lacks, found.settings.personality.demux) == ((), demux)
        assert (found.settings.users.keys(), found.settings.pool_last) == ({"w2k01"}, "20.0.0.110")
    found = meaning(roles.lac(LAC))
    (group,) = found.settings.vpdn.request
    assert (found.lacks, group.security.profile, group.security.keep_sa, group.domains) == ((), "l2tp", True, ("cisco.com",))
    found = meaning(roles.lns({**LNS, **CALLERS}))
    (group,) = found.settings.vpdn.accept
    assert (found.lacks, group.security.profile, group.security.keep_sa) == ((), "l2tp", True)
    found = meaning(roles.lns({**VOLUNTARY, **CALLERS, "policy": 1, "key": "cisco"}))
    (group,) = found.settings.vpdn.accept
    assert (found.lacks, group.pmtu, group.security.keep_sa, group.tunnel_authentication) == ((), True, False, False)


def test_a_nat_means_a_nat():
    router = terminal()
    assert typed(router, filled("nat").lines) == {}
    found = plan(router.state.configuration.tree)
    assert (found.lacks, found.outside, found.overload, found.pool) == ((), "11.0.0.8", True, None)
    assert found.services.spi_match == found.services.preserve_port
    assert found.services.spi_match.lines
    assert ([one.port for one in found.services.ftp], found.services.skinny) == ([21, 2021], (20002,))
    more = {"pool": "OUT", "first": "11.0.0.20", "last": "11.0.0.20", "netmask": "255.255.255.0", "udp_timeout_s": 30}
    assert typed(router, [*filled("nat").undo, *roles.nat({**NAT, **more}).lines]) == {}
    found = plan(router.state.configuration.tree)
    assert (found.lacks, found.outside, found.timeouts) == ((), "11.0.0.20", {"udp": 30.0})


def test_what_a_release_lacks_is_told_with_what_brought_it():
    role = roles.gateway(DEMUX)
    assert role.features == ("nat-demux",)
    (lack,) = ios_releases.missing(role.features, ios_releases.parse("12.3(11)T3"))
    assert str(lack) == (
        'IOS 12.3(11)T3 lacks "set nat demux", which came with 12.3(11)T4 and 12.4(1) '
        "(L2TP-IPsec Support for NAT and PAT Windows Clients)"
    )
    assert ios_releases.missing(role.features, ios_releases.parse("12.3(11)T4")) == ()
    assert roles.gateway({**DEMUX, "demux": False}).features == ()
    assert set(roles.lac({**LAC, "pmtu": True}).features) == {"l2tp-security", "crypto-map-profile", "ip-pmtu"}
    (doubt,) = ios_releases.missing(["nat-demux"], ios_releases.parse("12.2(27)SBA"))
    assert not doubt.known
    assert str(doubt).startswith("no document tells whether IOS 12.2(27)SBA has")
    with pytest.raises(UsageError, match="no feature of IOS"):
        ios_releases.missing(["telepathy"], ios_releases.parse("12.4(1)"))
    (lack,) = ios_releases.missing(["l2tp-security"], ios_releases.parse("12.2(4)T"), "AS5300")
    assert lack.known


@pytest.mark.parametrize(
    ("line", "release", "told"),
    [
        (" no set nat demux", "12.3(11)T3", '; IOS 12.3(11)T3 lacks "set nat demux", which came with 12.3(11)T4 and 12.4(1) ('),
        ("set nat demux", "12.4(1)", ""),
        ("set nat demux", None, "; it came with 12.3(11)T4 and 12.4(1) (L2TP-IPsec Support for NAT and PAT Windows Clients)"),
        ("set nat demux", "XE of tomorrow", "; it came with 12.3(11)T4 and 12.4(1) ("),
        ("show ip nat translations esp verbose", "12.2(13)T", '; IOS 12.2(13)T lacks "show ip nat translations esp"'),
        ("speed 100", "12.2(1)", ""),
    ],
)
def test_why_a_line_was_refused(line, release, told):
    found = gates.why_refused(line, release)
    assert found.startswith(told)
    assert bool(found) == bool(told)


# --- wrong values ---


def without(settings, name):
    return {key: value for key, value in settings.items() if key != name}


@pytest.mark.parametrize(
    ("role", "settings", "told"),
    [
        ("lac", without(LAC, "lns"), "the role 'lac' lacks a value for 'lns'\n  cure: give an IPv4 address"),
        ("lac", {**LAC, "colour": 1}, "the role 'lac' knows no value 'colour'"),
        ("lac", {**LAC, "keep_as": True}, "did you mean keep_sa?"),
        ("lac", {**LAC, "lns": "10.0.0.256"}, "takes for 'lns' an IPv4 address, and not '10.0.0.256'"),
        ("lac", {**LAC, "number": 0}, "takes for 'number' a number from 1 to 65535, and not 0"),
        ("lac", {**LAC, "number": True}, "takes for 'number' a number"),
        ("lac", {**LAC, "keep_sa": "yes"}, "takes for 'keep_sa' true or false, and not 'yes'"),
        ("lac", {**LAC, "group": "a b"}, "takes for 'group' one word"),
        ("lac", {**LAC, "local_name": "what?"}, "takes for 'local_name' one word"),
        ("lac", {**LAC, "transforms": "esp-des\nreload"}, None),
        ("lac", {**LAC, "mask": "255.0.255.0"}, "takes for 'mask' a subnet mask"),
        ("lac", without(LAC, "mask"), "lacks a value for 'mask'\n  cure: its line is 'ip address {address} {mask}'"),
        ("lac", {**LAC, "domains": "cisco.com"}, "takes for 'domains' a list"),
        ("lac", {**LAC, "domains": ["a", "b c"]}, "takes for 'domains 2' one word"),
        ("lac", {**LAC, "users": [{"name": "x"}]}, "lacks a value for 'users 1: password'"),
        ("lac", {**LAC, "users": [{"name": "x", "password": "y", "z": 1}]}, "knows no value 'users 1: z'"),
        ("lac", {**LAC, "users": ["x"]}, "takes for 'users' 1 a mapping with name, password"),
        ("lac", {**LAC, "tunnel_authentication": False}, "types nothing of 'tunnel_password' with these other values"),
        ("gateway", {**DEMUX, "map": "both"}, "takes for 'map' one of static, dynamic, and not 'both'"),
        ("gateway", {**STATIC, "dynamic_map": "D"}, "types nothing of 'dynamic_map'"),
        ("gateway", without(DEMUX, "dynamic_map"), "lacks a value for 'dynamic_map'"),
        ("gateway", {**DEMUX, "interface": "fa0/0"}, "takes for 'interface' an interface's full name"),
        ("toaster", {}, "there is no role 'toaster'\n  cure: one of access, endpoint, gateway, lac, lns, nat"),
    ],
)
def test_a_wrong_value_is_told_with_its_name_and_the_role(role, settings, told):
    if told is None:  # words are words however they are parted, and no line can be smuggled in
        assert "crypto ipsec transform-set esp-des-sha-transport esp-des reload" in roles.fill(role, settings).lines
        return
    with pytest.raises(UsageError) as caught:
        roles.fill(role, settings)
    assert told in str(caught.value)


@pytest.mark.parametrize("key", [Secret("top secret"), "top secret", 7, Secret("what?")])
def test_a_secret_is_not_told(key):
    with pytest.raises(UsageError, match=r"takes for 'key' a secret of one word, and not \*\*\*") as caught:
        roles.lac({**LAC, "key": key})
    assert "top" not in str(caught.value)
    assert "cisco" not in repr(roles.lac(LAC))
    assert {one.reveal() for one in roles.gateway(DEMUX).secrets} == {"lab", "*****"}


def test_a_template_that_is_wrong_in_itself(tmp_path):
    def told(text):
        (tmp_path / "bad.yaml").write_text(text)
        filler.template.cache_clear()
        with pytest.raises(UsageError) as caught:
            filler.template("bad", tmp_path)
        return str(caught.value)

    assert "has no value 'b'" in told("about: x\nvalues: {a: word}\nlines: ['one {b}']")
    assert "has no value 'b'" in told("about: x\nvalues: {a: word}\nlines: ['one {a}  | b']")
    assert "knows no kind 'sword'" in told("about: x\nvalues: {a: sword}\nlines: []")
    filler.template.cache_clear()


def test_every_template_is_whole():
    assert filler.names() == ("access", "endpoint", "gateway", "lac", "lns", "nat")
    for name in filler.names():
        found = filler.template(name)
        raw = yaml.safe_load((filler.HERE / f"{name}.yaml").read_text())
        text = "\n".join(raw["lines"])
        for value in (*found.one, *found.many):
            assert value in text, (name, value)  # no value that no line knows


@pytest.mark.parametrize("by", ["profile", "vpdn-group"])
def test_a_router_that_takes_calls_by_pppoe(by):
    settings = {
        "callers": "FastEthernet0/1", "lender": "FastEthernet0/0", "by": by, "group": "DSL", "template": 5, "mtu": 1492,
        "authentication": "chap",
    }  # fmt: skip
    role = roles.access(settings)
    assert role.features == (("pppoe-profiles",) if by == "profile" else ())
    assert role.undo[-1] == "no interface Virtual-Template5"
    taken = "no bba-group pppoe DSL" if by == "profile" else "no vpdn-group DSL"
    assert taken in role.undo
