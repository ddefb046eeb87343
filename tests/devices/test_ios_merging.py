"""Configurations brought back: the lines that do it, judged by the virtual router's own configuration mode, and whose change is
whose."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.devices.ios.configurations import after, back_to, folded, parse_config, rendered, replaces
from harness.devices.ios.merging import merge
from harness.virtual.ios.configuration import Configuration
from harness.virtual.ios.configure import load
from harness.virtual.ios.state import State

BASE = """\
hostname R1
no aaa new-model
ip host a 10.0.0.1
crypto isakmp policy 10
 encr 3des
 group 2
crypto ipsec transform-set TS esp-des
interface FastEthernet0/0
 ip address 192.0.2.1 255.255.255.0
 speed 10
access-list 10 permit 10.0.0.1
access-list 10 deny any
ip access-list extended WEB
 permit tcp any any eq www
 deny ip any any
line vty 0 4
 login local
end
"""
F00 = "interface FastEthernet0/0"
FEATURES = State(release="12.4(1)").features
CHANGES = [
    ["hostname R2"], ["aaa new-model"], ["no ip host a"], ["ip host b 10.0.0.2"], ["crypto isakmp policy 10", "no encr", "group 5"],
    ["no crypto isakmp policy 10"], ["crypto isakmp policy 20", "group 5"],
    ["crypto dynamic-map D 1", "set transform-set TS", "crypto map M 10 ipsec-isakmp dynamic D"],
    ["crypto map M 10 ipsec-isakmp dynamic D", "interface FastEthernet0/0", "crypto map M"],
    ["interface FastEthernet0/0", "ip address 192.0.2.2 255.255.255.128", "speed 100"],
    ["interface FastEthernet0/0", "no ip address"],
    ["interface FastEthernet0/0", "ip address 10.1.1.1 255.255.255.0 secondary"],
    ["interface Loopback3", "ip address 10.3.3.3 255.255.255.255"],
    ["no access-list 10"], ["no access-list 10", "access-list 10 deny any", "access-list 10 permit 10.0.0.1"],
    ["access-list 10 permit 10.0.0.9"], ["access-list 20 permit any"], ["ip access-list extended WEB", "no deny ip any any"],
    ["no ip access-list extended WEB", "ip access-list extended WEB", "deny ip any any", "permit tcp any any eq www"],
    ["line vty 0 4", "no login", "exec-timeout 5 0"], ["vpdn enable", "vpdn-group 1", "accept-dialin", "protocol l2tp"],
    ["username x password 0 y"], ["ip route 0.0.0.0 0.0.0.0 192.0.2.254"], ["ip nat translation udp-timeout 60"],
]  # fmt: skip
changes = st.lists(st.sampled_from(CHANGES), max_size=4).map(lambda some: [line for one in some for line in one])


def router(text=BASE):
    found = Configuration()
    assert load(found, text.splitlines(), FEATURES) == []
    return found


def typed(configuration, lines):
    assert load(configuration, lines, FEATURES) == []
    return parse_config(configuration.text())


@settings(max_examples=150, deadline=None)
@given(changes)
def test_a_router_is_led_back_whatever_was_typed(lines):
    """The order of access lists too. A second time nothing is left to type."""
    there = router()
    saved = parse_config(there.text())
    now = typed(there, lines)
    then = typed(there, back_to(saved, now))
    assert folded(then) == folded(saved)
    assert back_to(saved, then) == []
    for name in ("access-list 10", "ip access-list extended WEB"):
        assert list(folded(then)[name]) == list(folded(saved)[name])


@settings(max_examples=100, deadline=None)
@given(changes)
def test_what_is_ours_goes_and_what_is_theirs_stays(lines):
    there = router()
    saved = parse_config(there.text())
    now = typed(there, lines)
    # all of it ours
    assert folded(merge(saved, now, now).target) == folded(saved)
    assert merge(saved, now, now).theirs == merge(saved, now, now).conflicts == ()
    # all of it theirs
    mine = merge(saved, saved, now)
    assert folded(mine.target) == folded(now)
    assert mine.conflicts == ()
    assert bool(mine.theirs) == bool(back_to(saved, now))
    # ours, and somebody has put all back before us
    assert merge(saved, now, saved).conflicts == ()
    assert folded(merge(saved, now, saved).target) == folded(saved)


@settings(max_examples=60, deadline=None)
@given(changes)
def test_a_configuration_is_read_as_it_is_written(lines):
    there = router()
    found = typed(there, lines)
    assert parse_config(rendered(found)) == found
    assert parse_config(rendered(folded(found))) == found


def merged(ours, theirs):
    there = router()
    saved = parse_config(there.text())
    became = typed(there, ours)
    now = typed(there, theirs)
    found = merge(saved, became, now)
    return saved, found, typed(there, back_to(found.target, now))


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        (["hostname R2"], ["ip host b 10.0.0.2"], ("+ ip host b 10.0.0.2",)),
        (["hostname R2"], ["no ip host a"], ("- ip host a 10.0.0.1",)),
        ([F00, "speed 100"], [F00, "duplex full"], (f"+ {F00} / duplex full",)),
        (["no access-list 10", "access-list 10 permit any"], ["access-list 20 permit any"], ("+ access-list 20",)),
        (["no ip host a"], ["ip host a 10.0.0.1"], ()),  # they have put it back themselves
        (["no ip host a"], ["interface Loopback1"], ("+ interface Loopback1",)),
        (["vpdn enable"], ["no vpdn enable"], ()),
    ],
)
def test_both_have_changed_different_things(ours, theirs, told):
    saved, found, then = merged(ours, theirs)
    assert (found.theirs, found.conflicts) == (told, ())
    alone = typed(router(), theirs)
    # as if we had never been there
    assert folded(then) == folded(alone) or told == ()
    assert told or folded(then) == folded(saved)


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        (["hostname R2"], ["hostname R3"],
         "hostname R1: the run has taken it away, and somebody else has put 'hostname R3' in its place"),
        (["ip nat translation udp-timeout 60"], ["ip nat translation udp-timeout 90"],
         "ip nat translation udp-timeout 60: the run has made it, and somebody else has put"),
        ([F00, "ip address 10.0.0.1 255.0.0.0"], [F00, "ip address 10.0.0.2 255.255.0.0"],
         f"{F00} / ip address 192.0.2.1 255.255.255.0: the run has taken it away"),
        (["vpdn-group 1", "accept-dialin", "protocol l2tp"], ["vpdn-group 1", "description mine"],
         "vpdn-group 1: the run has made it, and somebody else has changed it: + description mine"),
        (["no access-list 10", "access-list 10 permit any"], ["access-list 10 deny any"],
         "access-list 10: the run has changed this access list, and so has somebody else"),
    ],
)  # fmt: skip
def test_both_have_changed_the_same(ours, theirs, told):
    """Theirs stays as it is."""
    there = router()
    now = typed(there, [*ours, *theirs])
    _, found, then = merged(ours, theirs)
    assert len(found.conflicts) == 1
    assert told in found.conflicts[0]
    assert folded(then) == folded(now)


@pytest.mark.parametrize(
    ("line", "other", "expected"),
    [
        ("speed 100", "speed 10", True),
        ("ip address 10.0.0.1 255.0.0.0", "ip address 192.0.2.1 255.255.255.0", True),
        ("ip address 10.0.0.1 255.0.0.0 secondary", "ip address 192.0.2.1 255.255.255.0", False),
        ("ip route 0.0.0.0 0.0.0.0 10.0.0.1", "ip route 0.0.0.0 0.0.0.0 10.0.0.2", False),
        ("set peer 10.0.0.1", "set peer 10.0.0.2", False),
        ("shutdown", "speed 10", False),
        ("speed 10", "speed 10", False),
        ("no speed 10", "no speed 100", False),
    ],
)
def test_what_takes_another_lines_place(line, other, expected):
    assert replaces(line, other) is expected


@settings(max_examples=60, deadline=None)
@given(changes)
def test_what_is_foretold_leads_back_too(lines):
    """The lines that are written down before a change are typed by whoever finds them; a line too much does no harm."""
    there = router()
    saved = parse_config(there.text())
    foretold = back_to(saved, after(saved, _indented(lines)))
    typed(there, lines)
    then = parse_config(there.text())
    load(there, foretold, FEATURES)
    left = back_to(saved, parse_config(there.text()))
    assert len(left) <= len(back_to(saved, then))


def _indented(lines):
    """As the driver is given them."""
    opening = ("interface", "crypto isakmp policy", "crypto dynamic-map", "ip access-list", "line", "vpdn-group")
    others = ("hostname", "aaa", "ip host", "ip route", "ip nat", "access-list", "vpdn ", "username", "crypto map M 10")
    heads = tuple(change[0] for change in CHANGES)
    return [line if line in heads or line.startswith((*opening, *others)) else f" {line}" for line in lines]
