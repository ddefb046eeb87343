"""Which lines would cut off the way by which a router is managed, and which would not."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.devices.ios import access, roles
from harness.devices.ios.access import Packet
from harness.devices.ios.configurations import parse_config
from harness.devices.ios.logins import Way
from harness.devices.ios.management import cuts, interface_of
from harness.virtual.access_list import Flow, access_list

CONFIG = """\
hostname R1
no aaa new-model
username natstorm privilege 15 password 0 letmein
username other password 0 x
enable secret 5 $1$abcd$efgh
ip vrf mgmt
 rd 1:1
crypto map WAN 10 ipsec-isakmp
 set peer 203.0.113.9
 match address 101
interface FastEthernet0/0
 ip address 192.0.2.1 255.255.255.0
 ip access-group 110 in
interface FastEthernet0/1
 ip address 203.0.113.1 255.255.255.0
 ip address 203.0.113.2 255.255.255.0 secondary
interface Loopback7
 ip address 10.7.7.7 255.255.255.255
interface Loopback8
 ip vrf forwarding mgmt
 ip address 10.8.8.8 255.255.255.255
interface GigabitEthernet0/2.30
 encapsulation dot1Q 30
 ip address 10.30.0.1 255.255.255.0
ip route 0.0.0.0 0.0.0.0 192.0.2.254
ip route 0.0.0.0 0.0.0.0 203.0.113.254 200
access-list 5 permit 198.51.100.0 0.0.0.255
access-list 6 permit 10.0.0.0 0.255.255.255
access-list 101 permit ip 10.0.0.0 0.0.0.255 10.9.0.0 0.0.0.255
access-list 102 permit ip host 192.0.2.1 any
access-list 103 permit udp host 192.0.2.1 eq 1701 any
access-list 110 permit tcp any any eq 22
access-list 111 permit tcp any any established
ip access-list extended TELNET
 permit tcp any host 192.0.2.1 eq telnet
line con 0
line vty 0 4
 login local
 transport input ssh telnet
line vty 5 15
 login local
end
"""
WAY = Way("192.0.2.1", "198.51.100.7", user="natstorm")
M = "interface FastEthernet0/0"


def cut(lines, way=WAY, config=CONFIG):
    return list(cuts(parse_config(config), lines, way))


@pytest.mark.parametrize(
    ("lines", "at", "why"),
    [
        # the interface
        ([M, " shutdown"], 1, "would shut down FastEthernet0/0, by whose address 192.0.2.1 it is managed"),
        (["int fa0/0", "shut"], 1, "would shut down"),
        (["interface FastEthernet 0/0", "  sh"], 1, "would shut down"),
        ([M, " no ip address"], 1, "would take the address 192.0.2.1 away"),
        ([M, " no ip address 192.0.2.1 255.255.255.0"], 1, "would take the address"),
        ([M, " no ip address", " ip address 192.0.2.1 255.255.255.0"], 1, "would take the address"),
        ([M, " default ip addr"], 1, "would take the address"),
        ([M, " ip address 192.0.2.77 255.255.255.0"], 1, "would take the address"),
        ([M, " ip address dhcp"], 1, "would take the address"),
        ([M, " ip unnumbered Loopback7"], 1, "would take the address"),
        ([M, " ip vrf forwarding mgmt"], 1, "would take the address"),
        (["default interface FastEthernet0/0"], 0, "would take the address"),
        ([M, " switchport"], 1, "would change what FastEthernet0/0 is"),
        # lists and crypto maps
        ([M, " ip access-group 6 in"], 1, "would have access list 6 keep the session with this client off FastEthernet0/0"),
        ([M, " ip access-group 111 in"], 1, "would have access list 111"),
        ([M, " ip access-group TELNET in"], 1, "would have access list TELNET"),
        (["access-list 112 permit udp any any", M, " ip access-group 112 in"], 2, "would have access list 112"),
        (["no access-list 110", "access-list 110 permit udp any any", "access-list 110 permit ip any any"], 1, "access list 110"),
        ([M, " crypto map WAN", "crypto map WAN 10", " match address 102"], 3, "would have crypto map WAN ask for IPsec"),
        (["crypto map WAN 10", " match address 102", M, " crypto map WAN"], 3, "by access list 102"),
        ([M, " crypto map WAN", "access-list 101 permit tcp any any"], 2, "by access list 101"),
        (["crypto dynamic-map D 1", " match address 102", "crypto map X 9 ipsec-isakmp dynamic D", M, " crypto map X"], 4, "map X"),
        (["ip nat inside source static tcp 10.0.0.2 22 interface FastEthernet0/0 22"], 0, "would have NAT take"),
        (["ip nat inside source static 10.0.0.2 192.0.2.1"], 0, "would have NAT take"),
        # routes
        (["no ip route 0.0.0.0 0.0.0.0 192.0.2.254"], 0, "would take away the route by which the client 198.51.100.7 is answered"),
        (["no ip route 0.0.0.0 0.0.0.0"], 0, "would take away the route"),
        (["ip route 198.51.100.0 255.255.255.0 203.0.113.254"], 0, "would take away the route"),
        (["interface FastEthernet0/1", " ip address 198.51.100.1 255.255.255.0"], 1, "would take away the route"),
        (["no ip routing"], 0, "would route no answer"),
        # terminal lines
        (["line vty 0 4", " transport input telnet"], 1, "would take ssh off the terminal lines vty 0 4"),
        (["line vty 0 4", " transport input none"], 1, "would take ssh off"),
        (["line vty 5 15", " transport input telnet"], 1, "the terminal lines vty 5 15"),
        (["line vty 0 4", " access-class 6 in"], 1, "would keep this client off the terminal lines vty 0 4, by access list 6"),
        (["line vty 0 4", " login"], 1, "would change how the terminal lines vty 0 4 ask who logs in (login local to login)"),
        (["line vty 0 4", " no login"], 1, "would change how"),
        (["line vty 0 4", " no exec"], 1, "would take the command line off"),
        (["no ip ssh version"], 0, "would change the SSH server"),
        (["no ip ssh"], 0, "would change the SSH server"),
        (["crypto key zeroize rsa"], 0, "would take the keys of the SSH server away"),
        # logging in
        (["no username natstorm"], 0, "would remove the user natstorm"),
        (["username natstorm password 0 another"], 0, "would change the password of the user natstorm"),
        (["no enable secret"], 0, "would change the enable password"),
        (["enable secret new"], 0, "would change the enable password"),
        (["aaa new-model", "aaa authentication login default group radius"], 1, "would change how AAA asks for login"),
        (["do reload"], 0, "would be no configuration"),
        (["hostname R2", "end", "reload"], 2, "would be no configuration"),
    ],
)
def test_what_cuts_off_is_told_with_its_line(lines, at, why):
    first = cut(lines)[0]
    assert (first.line, lines.index(first.line)) == (lines[at], at)
    assert why in str(first)
    assert "another" not in str(first)


@pytest.mark.parametrize(
    "lines",
    [
        [M, " description uplink", " no shutdown", " ip address 192.0.2.1 255.255.255.0", " ip nat inside", " ip mtu 1400"],
        [M, " ip address 192.0.2.9 255.255.255.0 secondary", " no ip address 192.0.2.9 255.255.255.0 secondary"],
        [M, " ip access-group 6 out"],  # what the router sends itself passes no list
        [M, " ip access-group 5 in", " no ip access-group 5 in"],
        [M, " ip access-group 199 in"],  # a list that is not there lets all pass
        ["no access-list 110", "access-list 110 permit ip any any"],
        [M, " crypto map WAN"],
        [M, " crypto map WAN", "crypto map WAN 10 ipsec-isakmp", " match address 103"],
        ["crypto map WAN 10", " match address 102"],  # of a map that is on no interface
        ["interface FastEthernet0/1", " shutdown", " no ip address", " crypto map WAN", " ip access-group 6 in"],
        [M, "exit", "interface FastEthernet0/1", "shutdown"],
        ["no interface Loopback7", "no ip vrf mgmt"],
        ["ip nat inside source static tcp 10.0.0.2 80 interface FastEthernet0/0 80"],
        ["no ip route 0.0.0.0 0.0.0.0 203.0.113.254", "ip route 10.9.0.0 255.255.0.0 203.0.113.9"],
        ["line vty 0 4", " transport input ssh", " access-class 5 in", " exec-timeout 0 0", " no access-class 5 in"],
        ["line con 0", " transport input none", " login"],
        ["username natstorm privilege 15", "username natstorm password letmein", "no username other"],
        ["aaa new-model", "aaa authentication login default local", "aaa authentication ppp default local"],
        ["hostname R2", "ip ssh version 2", "end", ""],
    ],
)
def test_what_does_not_cut_off_is_let_pass(lines):
    assert cut(lines) == []


def test_what_stands_in_the_way_already_is_not_held_against_a_line():
    config = CONFIG.replace(" ip access-group 110 in", " ip access-group 6 in").replace(" input ssh telnet", " input telnet")
    assert cut(["hostname R2", M, " description x"], config=config) == []


def test_other_ways():
    loop, tagged = Way("10.7.7.7", None, user="natstorm"), Way("10.30.0.1", "10.30.0.9", user="natstorm")
    assert interface_of(parse_config(CONFIG), "203.0.113.2") == "FastEthernet0/1"
    assert str(cut(["no interface Loopback7"], loop)[0]).endswith("by which it is managed (Loopback7)")
    first, second = "no ip route 0.0.0.0 0.0.0.0 192.0.2.254", "no ip route 0.0.0.0 0.0.0.0 203.0.113.254"
    assert cut([first], loop) == []
    assert [one.line for one in cut([first, second], loop)] == [second]
    assert "take the address" in str(cut(["no ip vrf mgmt"], Way("10.8.8.8"))[0])
    assert "shut down" in str(cut(["interface GigabitEthernet0/2", " shutdown"], tagged)[0])
    assert "what GigabitEthernet0/2.30 is" in str(cut(["interface GigabitEthernet0/2.30", " encapsulation dot1Q 31"], tagged)[0])
    # a client on the interface's own network needs no route
    assert cut(["no ip route 0.0.0.0 0.0.0.0"], Way("192.0.2.1", "192.0.2.50")) == []
    assert "take away the route" in str(cut([M, " ip address 192.0.2.1 255.255.255.252"], Way("192.0.2.1", "192.0.2.50"))[0])


def test_an_unknown_client_is_doubt():
    way = Way("192.0.2.1", None, user="natstorm")
    assert "access list 5" in str(cut([M, " ip access-group 5 in"], way)[0])
    assert cut(["access-list 7 permit any", M, " ip access-group 7 in"], way) == []
    assert "ask for IPsec" in str(cut(["crypto map WAN 10", " match address 102", M, " crypto map WAN"], way)[0])


def test_a_console_cannot_be_cut_off_by_an_interface():
    way = Way(line="con 0", user="")
    assert cut(
        [M, " shutdown", " no ip address", "no ip route 0.0.0.0 0.0.0.0", "line vty 0 4", " transport input none"], way
    ) == []
    assert "the terminal lines con 0" in str(cut(["line con 0", " login local"], way)[0])
    assert "enable password" in str(cut(["no enable secret"], way)[0])


def test_what_acts_at_once_and_what_on_the_next_login():
    assert [one.at_once for one in cut([M, " shutdown"])] == [True]
    assert [one.at_once for one in cut(["no username natstorm", "line vty 0 4", " transport input none"])] == [False, False]


def test_a_role_beside_the_management_interface_is_let_pass():
    from test_ios_roles import DEMUX, ENDPOINT, NAT

    assert cut(roles.gateway({**DEMUX, "interface": "FastEthernet0/1"}).lines) == []
    assert cut(roles.endpoint({**ENDPOINT, "interface": "FastEthernet0/1"}).lines) == []
    assert cut(roles.nat({**NAT, "inside": "FastEthernet1/0", "outside": "FastEthernet0/1"}).lines) == []
    assert "take the address" in str(cut(roles.gateway(DEMUX).lines)[0])
    # a map for L2TP on the very interface does not concern the session
    assert cut(roles.gateway({**DEMUX, "address": None, "mask": None}).lines) == []


# --- access lists ---

TO_US = Packet("198.51.100.7", "192.0.2.1", None, 22)


@pytest.mark.parametrize(
    ("lines", "extended", "expected"),
    [
        ([], True, "permit"),
        (["permit ip any any"], True, "permit"),
        (["permit udp any any"], True, "deny"),
        (["deny tcp any host 192.0.2.1 eq 23", "permit tcp any any"], True, "permit"),
        (["deny tcp any any range 20 25", "permit ip any any"], True, "deny"),
        (["permit tcp any gt 1023 any eq 22"], True, "both"),  # the client's port is not known
        (["permit tcp any any established"], True, "both"),
        (["permit tcp any any eq 22 time-range NIGHT"], True, "both"),
        (["permit tcp any any eq nonsense"], True, "both"),
        (["20 permit ip any any", "10 deny tcp any any"], True, "deny"),
        (["permit tcp any any eq 22 log"], True, "permit"),
        (["permit ip"], True, "both"),
        (["permit 198.51.100.7"], False, "permit"),
        (["deny 198.51.100.0 0.0.0.255 log", "permit any"], False, "deny"),
        (["remark open", "permit host 198.51.100.8"], False, "deny"),
    ],
)
def test_a_list_and_a_packet(lines, extended, expected):
    wanted = {"permit", "deny"} if expected == "both" else {expected}
    assert access.outcomes(lines, TO_US, extended=extended) == wanted


@given(
    st.lists(st.sampled_from(["permit 198.51.100.0 0.0.0.255", "deny any", "permit 10.0.0.1", "deny 198.51.100.7"]), max_size=5),
    st.sampled_from(["198.51.100.7", "198.51.100.8", "10.0.0.1", "192.0.2.2"]),
)
def test_doubt_holds_the_truth(lines, source):
    """What a list makes of a client that is known is among what it may make of one that is not."""
    known = access.outcomes(lines, Packet(source, None), extended=False)
    assert len(known) == 1
    assert known <= access.outcomes(lines, Packet(None, None), extended=False)


NETS = st.sampled_from(
    ["any", "host 198.51.100.7", "host 192.0.2.1", "198.51.100.0 0.0.0.255", "192.0.2.0 0.0.0.254", "10.0.0.0 0.255.0.255"]
)
PORTED = st.tuples(st.just("tcp"), NETS, NETS, st.sampled_from(["", "eq 22", "eq 23"]))
PLAIN = st.tuples(st.sampled_from(["ip", "tcp", "udp", "esp"]), NETS, NETS)
LINES = st.tuples(st.sampled_from(["permit", "deny"]), (PORTED | PLAIN).map(" ".join)).map(" ".join).map(str.strip)


@settings(max_examples=200, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=4), st.sampled_from(["198.51.100.7", "198.51.100.8", "10.7.0.9", "192.0.2.3"]))
def test_the_virtual_routers_lists_judge_alike(lines, source):
    """Written apart: what a virtual endpoint asks of each packet."""
    flow = Flow(int(IPv4Address(source)), int(IPv4Address("192.0.2.1")), 6, 40000, 22)
    expected = "permit" if access_list(101, *lines).permits(flow) else "deny"
    assert access.outcomes(lines, Packet(source, "192.0.2.1", 40000, 22), extended=True) == {expected}
    assert expected in access.outcomes(lines, Packet(None, "192.0.2.1", None, 22), extended=True)


WORDS = [
    "no", "default", "interface", "FastEthernet0/0", "fa", "0/0", "ip", "address", "192.0.2.1", "255.255.255.0", "access-group",
    "5", "in", "crypto", "map", "WAN", "10", "ipsec-isakmp", "dynamic", "match", "vrf", "forwarding", "route", "0.0.0.0",
    "line", "vty", "0", "4", "login", "local", "transport", "input", "access-class", "access-list", "permit", "any", "tcp",
    "eq", "username", "natstorm", "enable", "secret", "aaa", "new-model", "authentication", "exit", "nat", "inside", "source",
    "static", "extended", "shutdown", "do", "end",
]  # fmt: skip
ODD = st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join)


@settings(max_examples=300, deadline=None)
@given(st.lists(ODD, max_size=6), st.sampled_from([WAY, Way(), Way(line="con 0")]))
def test_no_line_is_too_odd(lines, way):
    for one in cut(lines, way):
        assert one.line in lines
        assert one.why.startswith("would ")


@pytest.mark.parametrize("line", ["crypto map", "ip access-group", "ip address", "shutdown", "encapsulation"])
def test_an_interface_that_is_not_the_managements_is_free(line):
    assert cut(["interface FastEthernet0/1", line]) == []


@pytest.mark.parametrize(
    ("above", "line"),
    [
        (M, "ip access-group 6 in"), (M, "crypto map WAN"), (M, "ip vrf forwarding mgmt"), (M, "ip address 192.0.2.1 255.0.0.0"),
        ("crypto map WAN 10", "match address 102"), ("line vty 0 4", "access-class 6 in"), ("line vty 0 4", "transport input ssh"),
        ("ip access-list extended TELNET", "permit tcp any eq 22 host 192.0.2.1 range 20 25 log"), ("line con 0", "password 7 08"),
        ("no x", "ip route vrf mgmt 0.0.0.0 0.0.0.0 10.0.0.1 200"), ("no x", "access-list 110 permit tcp any any eq 22"),
        ("no x", "crypto map WAN 20 ipsec-isakmp dynamic D"), ("no x", "username natstorm privilege 1 password 0 x"),
        ("no x", "ip nat inside source static tcp 10.0.0.2 22 interface FastEthernet0/0 22"), ("no x", "line vty 0 4"),
        ("no x", "aaa authentication login default local"), ("no x", "ip access-list extended TELNET"),
    ],
)  # fmt: skip
def test_a_line_that_is_cut_short_is_no_trouble(above, line):
    """Before and after `no`, with the interface's lists and map put there before and after it."""
    words = line.split()
    for end in range(1, len(words) + 1):
        for verb in ([], ["no"], ["default"]):
            short = " ".join([*verb, *words[:end]])
            on = [M, "crypto map WAN", "ip access-group TELNET in", "ip access-group 110 in"]
            for found in cut([*on, above, short, *on]):
                assert found.why.startswith("would ")
