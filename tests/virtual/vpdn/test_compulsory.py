"""NAS-initiated tunnelling: a caller, its LAC, and the LNS, with nothing but IKE and ESP between those two."""

from __future__ import annotations

from dataclasses import replace

import pytest
from vpdn_bench import (
    ACCEPT,
    CRYPTO,
    LAC,
    LNS,
    LNS_PPP,
    OTHER_LNS,
    PASSWORD,
    REQUEST,
    USER,
)

from harness.model import Secret
from harness.virtual.vpdn import view
from harness.virtual.vpdn.groups import AcceptGroup, Security, Target, Vpdn
from harness.wire import events
from harness.wire.packet import ESP
from harness.wire.ppp import frame
from harness.wire.ppp.frame import Protocol
from harness.wire.retransmit import Schedule

MAIN, INFORMATIONAL, QUICK = 2, 5, 32


def restarts(caller) -> int:
    """How many LCP Configure-Requests the caller was sent: the LAC's, and an LNS's that begins LCP again."""
    found = [frame.parse(data) for data in caller.core.heard]
    return sum(protocol == Protocol.LCP and body[0] == 1 for protocol, body in found)


def test_a_call_is_carried_in_esp_and_in_nothing_else(bench) -> None:
    """SEC-01, 02, 03, 06, 15."""
    world = bench()
    caller = world.call()
    assert caller.core.address == "172.16.1.10"
    assert world.ping(caller)
    assert not world.clear()
    assert {(p.protocol, p.dport) for p in world.since()} == {(17, 500), (ESP, 0)}
    assert {(p.src, p.dst) for p in world.since()} == {(LAC, LNS), (LNS, LAC)}
    assert [who for who in world.ike() if who[1] == MAIN] == [(LAC, MAIN), (LNS, MAIN)] * 3
    assert [who for who in world.ike() if who[1] == QUICK] == [(LAC, QUICK), (LNS, QUICK), (LAC, QUICK)]
    row = view.of(world.loop.time(), world.lns.core).tunnels[0]
    assert (row.role, row.peer, row.group, row.protected) == ("LNS", LAC, "1", True)
    assert [(one.user, one.address) for one in row.sessions] == [(USER, "172.16.1.10")]


def test_the_first_esp_comes_after_quick_mode(bench) -> None:
    """SEC-34: nothing of L2TP leaves before there are SAs, and then it does."""
    world = bench()
    world.lose = lambda packet: packet.src == LNS
    caller = world.call(wait=25.0)
    assert caller.core.address is None
    assert {(p.src, p.protocol, p.dport) for p in world.since()} == {(LAC, 17, 500), (LNS, 17, 500)}
    assert world.ike().count((LAC, MAIN)) >= 4


@pytest.mark.parametrize(
    ("user", "tunnelled"), [(USER, True), ("someone@Cisco.COM", True), ("someone@other", False), ("local", False)]
)
def test_the_domain_selects_the_tunnel(bench, user: str, tunnelled: bool) -> None:
    """SEC-04: a user of the domain is tunnelled, another one is the LAC's own."""
    users = {name: Secret(PASSWORD) for name in (USER, "someone@Cisco.COM", "someone@other", "local")}
    world = bench(lns={"users": users}, lac={"users": users})
    caller = world.call(user)
    assert caller.core.address == ("172.16.1.10" if tunnelled else "172.17.1.10")
    assert bool(world.since()) is tunnelled
    assert world.ping(caller, to=LNS_PPP if tunnelled else "172.17.1.1")


def test_one_group_may_have_several_domains(bench) -> None:
    """SEC-05: both domains' callers share the one tunnel."""
    users = {name: Secret(PASSWORD) for name in (USER, "second@example.com")}
    world = bench(request=replace(REQUEST, domains=("cisco.com", "example.com")), lns={"users": users})
    callers = [world.call(), world.call("second@example.com")]
    assert [caller.core.address for caller in callers] == ["172.16.1.10", "172.16.1.11"]
    (row,) = view.of(world.loop.time(), world.lns.core).tunnels
    assert len(row.sessions) == 2
    assert all(world.ping(caller) for caller in callers)


def test_only_the_named_lac_is_accepted(bench) -> None:
    """SEC-08: another host name is refused, and its SAs go again."""
    world = bench(request=replace(REQUEST, local_name="OTHER"))
    caller = world.call(wait=40.0)
    assert caller.core.down
    assert "no vpdn group accepts 'OTHER'" in world.reasons(LNS)
    assert not world.of(LNS, "tunnel-up")
    assert not world.clear()
    assert not list(world.lns.core.ipsec.sadb)


@pytest.mark.parametrize(("password", "comes_up"), [("cisco", True), ("wrong", False)])
def test_tunnel_authentication(bench, password: str, comes_up: bool) -> None:
    """SEC-09, SEC-10."""
    world = bench(request=replace(REQUEST, password=Secret(password)))
    caller = world.call(wait=40.0)
    assert (caller.core.address is not None) is comes_up
    assert bool(world.of(LNS, "session-up")) is comes_up
    assert any("not authori" in reason for reason in world.reasons(LAC)) is not comes_up


def test_without_tunnel_authentication_nobody_is_asked(bench) -> None:
    """SEC-22: no Challenge, and the tunnel is there all the same."""
    open_door = {"password": None, "tunnel_authentication": False}
    world = bench(replace(ACCEPT, **open_door), replace(REQUEST, **open_door))
    assert world.call().core.address


def test_another_protocol_on_the_port_is_refused(bench) -> None:
    """SEC-11, as far as `protocol l2tp` goes: an L2F packet (version 1) begins nothing."""
    world = bench(replace(ACCEPT, security=None))
    world.lns.order(lambda now: world.lns.core._l2tp(now, LAC, 1701, b"\x00\x01" + bytes(30), None))
    assert world.reasons(LNS, "dropped") == ["L2F is not spoken here"]
    assert not world.lns.core.lns.tunnels


@pytest.mark.parametrize(
    ("renegotiation", "requests"), [("always", 2), ("on-mismatch", 1), ("never", 1)]
)
def test_lcp_is_taken_over_or_begun_again(bench, renegotiation, requests) -> None:
    """SEC-12, 13, 14: the caller sees how often LCP is asked for."""
    world = bench(replace(ACCEPT, renegotiation=renegotiation))
    caller = world.call()
    assert restarts(caller) == requests
    assert caller.core.address
    assert world.ping(caller)


@pytest.mark.parametrize(("renegotiation", "up"), [("on-mismatch", True), ("always", True), ("never", False)])
def test_lcp_that_does_not_fit(bench, renegotiation, up) -> None:
    """SEC-13, 14: the LAC has settled on CHAP, the LNS wants PAP. It begins again, or, where it may not, refuses the call."""
    world = bench(replace(ACCEPT, renegotiation=renegotiation, authentication=("pap",)))
    caller = world.call(accept=("chap-md5", "pap"))
    assert (caller.core.address is not None) is up
    if up:
        assert restarts(caller) == 2
        assert [e.authentication for e in caller.core.told if isinstance(e, events.LcpUp)] == ["chap-md5", "pap"]
    else:
        assert any("not pap" in reason for reason in world.reasons(LNS))


def test_the_lns_judges_the_password_that_the_lac_took(bench) -> None:
    """A wrong one is refused by the LNS: the LAC, which has handed it over, does not know."""
    world = bench()
    caller = world.call(password="wrong", wait=40.0)
    assert caller.core.address is None
    assert any("wrong password" in reason for reason in world.reasons(LNS))
    assert any(isinstance(event, events.Failed) and event.stage == "PPP authentication" for event in caller.core.told)


def test_a_group_has_its_own_pool(bench) -> None:
    """SEC-15."""
    world = bench()
    vpdn = Vpdn((replace(ACCEPT, pool="mypool"),), crypto=CRYPTO, pools={"mypool": ("192.168.5.1", "192.168.5.1")})
    world.lns.order(lambda now: world.lns.core.reconfigure(now, vpdn=vpdn))
    assert world.call().core.address == "192.168.5.1"
    assert world.call(wait=30.0).core.address is None
    assert any("pool is exhausted" in reason for reason in world.reasons(LNS))


def test_targets_go_by_priority_limit_and_reachability(bench) -> None:
    """`initiate-to`: the first in order, the next one where it has its limit, and where it does not answer."""
    targets = (Target(OTHER_LNS, limit=1, priority=1), Target(LNS, priority=2))
    world = bench(request=replace(REQUEST, targets=targets), lac={"ike_schedule": Schedule((1.0, 2.0))})
    caller = world.call(wait=60.0)  # nobody is at the first
    assert caller.core.address == "172.16.1.10"
    second = world.router(OTHER_LNS, "172.18.1.1", Vpdn((ACCEPT,), crypto=CRYPTO))
    world.run(60.0)
    third = world.call()
    assert third.core.address == "172.18.1.10"
    assert world.call().core.address == "172.16.1.11"
    assert len(view.of(world.loop.time(), second.core).tunnels[0].sessions) == 1


def test_groups_with_and_without_protection_live_side_by_side(bench) -> None:
    """SEC-30, 37: a group without a crypto profile works in the clear, on the same LNS as one with it."""
    clear = AcceptGroup(name="2", terminate_from="CLEAR", password=Secret("cisco"), pool=None)
    to_clear = replace(REQUEST, name="2", domains=("example.com",), local_name="CLEAR", security=None)
    users = {name: Secret(PASSWORD) for name in (USER, "second@example.com")}
    world = bench((ACCEPT, clear), (REQUEST, to_clear), lns={"users": users})
    plain = world.call("second@example.com")
    assert plain.core.address
    assert world.clear()
    assert not world.esp()
    at = world.loop.time()
    protected = world.call()
    assert protected.core.address
    assert world.esp(at)
    assert not world.clear(at)
    assert world.ping(plain)
    assert world.ping(protected)
    rows = view.of(world.loop.time(), world.lns.core).tunnels
    assert {(row.group, row.protected) for row in rows} == {("1", True), ("2", False)}


@pytest.mark.parametrize(
    ("lac_crypto", "security", "reason"),
    [
        (CRYPTO, Security("typo"), "no crypto map on FastEthernet0/0 has the profile typo"),
        (replace(CRYPTO, applied=None), Security("l2tp"), "no crypto map with a profile is on FastEthernet0/0"),
        (replace(CRYPTO, applied="another"), Security("l2tp"), "no crypto map with a profile is on FastEthernet0/0"),
        (None, Security("l2tp"), "no crypto profile is configured"),
    ],
)
def test_a_lac_that_cannot_protect_sends_nothing(bench, lac_crypto, security, reason) -> None:
    """SEC-35, 36, 63 on the LAC: no tunnel, and not a packet on the wire."""
    world = bench(request=replace(REQUEST, security=security), lac_crypto=lac_crypto)
    caller = world.call()
    assert caller.core.address is None
    world.run(30.0)
    assert caller.core.down
    assert world.since() == []
    assert reason in world.reasons(LAC)


@pytest.mark.parametrize(
    ("lns_crypto", "security", "reason"),
    [
        (CRYPTO, Security("typo"), "there is no crypto profile typo to protect vpdn group 1"),
        (replace(CRYPTO, applied=None), Security("l2tp"), "no crypto map with a profile is on FastEthernet0/0"),
    ],
)
def test_an_lns_that_cannot_protect_has_no_tunnel(bench, lns_crypto, security, reason) -> None:
    """SEC-35, 36, 63 on the LNS."""
    world = bench(replace(ACCEPT, security=security), lns_crypto=lns_crypto)
    caller = world.call(wait=60.0)
    assert caller.core.address is None
    assert not world.of(LNS, "tunnel-up")
    assert not world.clear()
    assert reason in world.reasons(LNS)


def test_a_wrong_key_fails_in_phase_1(bench) -> None:
    """SEC-65: by the peer's address, and only there."""
    keys = {"10.0.0.0/8": Secret("cisco"), f"{LAC}": Secret("other")}
    world = bench(lns_crypto=replace(CRYPTO, keys=keys))
    caller = world.call(wait=60.0)
    assert caller.core.address is None
    assert not [who for who in world.ike() if who[1] == QUICK]
    assert not world.of(LNS, "ike-up")
    assert not world.clear()
