"""What is configured and does nothing is told: whose it is, once, and to nobody who reads the router that is played."""

from __future__ import annotations

import random

import pytest
from live import Live
from terminal import STARTUP, Terminal
from test_configuration import loaded

from harness.devices.ios.configurations import parse_config
from harness.virtual.ios.endpoint_role import EndpointRole
from harness.virtual.ios.nat_role import NatRole
from harness.virtual.ios.router import IosRouter
from harness.virtual.ios.state import State
from harness.virtual.ios.unheeded import ENDPOINT, GLOBAL, NAT, ON_INTERFACES, WIRE, unheeded

TRANSLATES = (
    "interface FastEthernet0/0", "ip nat inside", "interface FastEthernet0/1", "ip nat outside",
    "ip nat inside source list 1 interface FastEthernet0/1 overload",
)  # fmt: skip
MAKERS = {WIRE: IosRouter, NAT: NatRole, ENDPOINT: EndpointRole}
NOT_HERE = "this router is a LAC, LNS or gateway (--wire), and that takes a NAT (--role nat)"


def sentences(role, *lines):
    return list(unheeded(loaded("\n".join(lines))[0].tree, role))


def test_a_router_that_is_no_nat_says_that_it_translates_nothing():
    assert sentences(WIRE, *TRANSLATES) == [
        f"`{TRANSLATES[-1]}` translates nothing: {NOT_HERE}",
        f"`ip nat inside` on FastEthernet0/0, the first of 2 such lines, translates nothing: {NOT_HERE}",
    ]
    assert sentences(NAT, *TRANSLATES) == []
    assert len(sentences(ENDPOINT, *TRANSLATES)) == 2


@pytest.mark.parametrize(
    ("lines", "heeding"),
    [
        (("vpdn-group 1",), {WIRE}),
        (("bba-group pppoe global",), {WIRE}),
        (("router rip",), {WIRE}),
        (("router ospf 1",), set()),
        (("ip dhcp pool LAN",), set()),
        (("snmp-server community public",), set()),
        (("ip nat pool P 1.1.1.1 1.1.1.9 netmask 255.255.255.0",), {NAT}),
        (("interface fa0/0", "ip nat outside"), {NAT}),
        (("interface fa0/0", "crypto map M"), {WIRE, ENDPOINT}),
        (("interface fa0/0", "pppoe enable"), {WIRE}),
        (("interface fa0/0", "ip access-group 101 in"), set()),
        (("interface fa0/0", "ip policy route-map M"), set()),
        (("interface fa0/0", "half-duplex"), set()),
        (("interface fa0/0", "duplex half"), set()),
        (("interface fa0/0", "duplex full", "ip address 1.1.1.1 255.0.0.0", "hostname A"), {WIRE, NAT, ENDPOINT}),
    ],
)
def test_whose_each_line_is(lines, heeding):
    said = {role: sentences(role, *lines) for role in MAKERS}
    assert {role for role in MAKERS if not said[role]} == heeding
    for role in said.keys() - heeding:
        (one,) = said[role]
        assert ("no virtual router does that" in one) is (not heeding)
        assert all(f"a {name}" in one for name in heeding)


def test_every_row_is_of_a_line_that_the_router_takes():
    typed = [line for lines in (*test_whose_each_line_is.pytestmark[0].args[1],) for line in lines[0]]
    rows = {words for table in (GLOBAL, ON_INTERFACES) for words, _, _ in table}
    assert {words for words in rows if any(line.startswith(words) for line in typed)} == rows


@pytest.mark.parametrize("role", MAKERS)
def test_every_role_has_its_own(role):
    startup = STARTUP.replace("line con 0\n", "router ospf 7\nline con 0\n")
    state = State(startup=startup)
    MAKERS[role](state, random.Random(1).randbytes)
    assert [one for one in state.tell_unheeded() if "ospf" in one] == [
        "`router ospf 7` tells nobody of routes: no virtual router does that"
    ]


def test_it_is_logged_when_configuration_mode_is_left_and_once():
    live = Live(lambda: 0.0)
    live.run("terminal monitor")
    live.run("configure terminal")
    for line in TRANSLATES:
        assert live.run(line) == []
    said = live.type("end\r")
    assert said.count("%NATSTORM-7-UNHEEDED: `ip nat inside` on FastEthernet0/0") == 1
    assert said.index("%SYS-5-CONFIG_I") < said.index("%NATSTORM-7-UNHEEDED")
    assert "UNHEEDED" not in live.type("configure terminal\rhostname EDGE\rend\r")
    live.configure("interface FastEthernet0/0", "no ip nat inside", "interface FastEthernet0/1", "no ip nat outside")
    live.configure("interface FastEthernet0/0", "ip nat inside")  # anew
    told = [line for line in live.state.buffer if "`ip nat inside` on" in line]
    assert len(told) == 2
    assert "`ip nat inside` on FastEthernet0/0 translates nothing" in told[1]


def test_it_is_told_when_a_saved_configuration_is_taken_in_and_anew_after_a_reload():
    live = Live(lambda: 0.0)
    live.configure("router ospf 1")
    live.run("write memory")
    live.configure("no router ospf 1")
    live.type("copy startup-config running-config\r\r")
    assert sum("ospf" in line for line in live.state.buffer) == 2
    live.state.reload("Reload Command")
    live.state.tick(10.0)
    live.router.tick(10.0)
    assert any("ospf" in one for one in live.state.tell_unheeded())
    assert live.state.tell_unheeded() == ()


def test_no_log_host_hears_of_it_and_our_reader_takes_it_for_a_log_line():
    heard = []
    live = Live(lambda: 0.0)
    live.configure("interface FastEthernet0/0", "ip address 203.0.113.231 255.255.255.0", "logging 203.0.113.9")
    live.router.core.send_own = lambda now, host, sport, dport, message: heard.append(message)
    live.configure("router ospf 1")
    assert any("ospf" in line for line in live.state.buffer)
    assert not [message for message in heard if b"UNHEEDED" in message]
    line = next(line for line in live.state.buffer if "ospf" in line)
    assert parse_config(f"hostname A\n{line}\nend\n") == parse_config("hostname A\nend\n")


def test_a_state_without_a_role_has_nothing_to_tell():
    terminal = Terminal()
    terminal.run("configure terminal")
    terminal.run("router ospf 1")
    terminal.run("end")
    assert not any("UNHEEDED" in line for line in terminal.state.buffer)
