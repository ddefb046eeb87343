"""The roles side by side, changes while it runs, and calls that end early."""

from __future__ import annotations

from dataclasses import replace

import pytest
from vpdn_bench import ACCEPT, CRYPTO, LAC, LAC_PPP, LNS, PASSWORD, REQUEST, USER

from harness.errors import DeviceError, UsageError
from harness.model import Secret
from harness.virtual.vpdn import view
from harness.virtual.vpdn.groups import AcceptGroup, Target, Vpdn, accepting, domain_of, in_order, requesting
from harness.wire import events
from harness.wire.packet import ESP
from harness.wire.retransmit import Schedule


def test_one_router_is_lac_and_lns_at_once(bench) -> None:
    """Each tunnels its own callers to the other, in the two directions under one pair of SAs' socket."""
    back = replace(REQUEST, local_name="BACK", targets=(Target(LAC),), domains=("back.example",))
    accept_back = replace(ACCEPT, terminate_from="BACK")
    users = {name: Secret(PASSWORD) for name in (USER, "one@back.example")}
    world = bench()
    both = {
        LNS: Vpdn((ACCEPT,), (back,), crypto=CRYPTO),
        LAC: Vpdn((accept_back,), (REQUEST,), crypto=CRYPTO),
    }
    for name, vpdn in both.items():
        box = world.boxes[name]
        box.order(lambda now, box=box, vpdn=vpdn: box.core.reconfigure(now, vpdn=vpdn, users=users))
    forth = world.call()
    assert forth.core.address == "172.16.1.10"
    world.boxes[LAC], world.boxes[LNS] = world.boxes[LNS], world.boxes[LAC]  # the next call comes in at the other one
    returned = world.call("one@back.example")
    assert returned.core.address == "172.17.1.10"
    assert world.ping(forth)
    assert world.ping(returned, to=LAC_PPP)
    assert not world.clear()
    for box in world.boxes.values():
        assert sorted(row.role for row in view.of(world.loop.time(), box.core).tunnels) == ["LAC", "LNS"]


def test_protection_that_is_taken_away_and_given(bench) -> None:
    """SEC-37: the `no` form brings the clear back for the next tunnel; the live one stays as it is."""
    world = bench()
    first = world.call()
    assert first.core.address
    vpdns = (Vpdn((replace(ACCEPT, security=None),), crypto=CRYPTO), Vpdn((), (replace(REQUEST, security=None),), crypto=CRYPTO))
    for box, vpdn in zip((world.lns, world.lac), vpdns, strict=True):
        box.order(lambda now, box=box, vpdn=vpdn: box.core.reconfigure(now, vpdn=vpdn))
    at = world.loop.time()
    assert world.ping(first)
    assert {packet.protocol for packet in world.since(at)} == {ESP}
    second = world.call()
    assert second.core.address
    assert world.clear(at)
    assert world.ping(second)
    assert world.ping(first)


@pytest.mark.parametrize("method", ["pap", "chap-md5", "mschapv1", "mschapv2"])
def test_callers_say_who_they_are_in_every_way(bench, method: str) -> None:
    """The LAC takes the answer, and the LNS judges it without asking again; a wrong one does not do."""
    world = bench(replace(ACCEPT, authentication=(method,)))
    vpdn = replace(world.lac.core.settings.vpdn, caller_authentication=(method,))
    world.lac.order(lambda now: world.lac.core.reconfigure(now, vpdn=vpdn))
    caller = world.call(accept=(method,))
    assert caller.core.address == "172.16.1.10"
    assert [event.method for event in caller.core.told if isinstance(event, events.Authenticated)] == [method]
    assert world.call(accept=(method,), password="wrong").core.address is None


def test_a_caller_that_goes_while_its_call_is_placed(bench) -> None:
    """Nothing is left of it: no tunnel, no clone, no SA."""
    world = bench()
    world.lose = lambda packet: packet.src == LNS
    caller = world.call(wait=3.0)
    caller.hang_up()
    world.lose = lambda packet: False
    world.run(40.0)
    shown = view.of(world.loop.time(), world.lac.core)
    assert (shown.lines, shown.esp_sas, shown.ike_sas, len(shown.maps)) == ((), (), (), 1)
    assert not world.lac.core.lac.tunnels
    assert not world.of(LNS, "tunnel-up")


def test_an_lns_that_closes_takes_its_callers_down(bench) -> None:
    world = bench()
    caller = world.call()
    (tunnel,) = view.of(world.loop.time(), world.lns.core).tunnels
    world.lns.order(lambda now: world.lns.core.close_l2tp(now, tunnel.number))
    world.run(2.0)
    assert caller.core.down
    assert not world.lac.core.lac.lines
    with pytest.raises(DeviceError):
        world.lac.core.close_l2tp(world.loop.time(), tunnel.remote)


def test_a_lac_closes_by_order(bench) -> None:
    world = bench()
    caller = world.call()
    (tunnel,) = view.of(world.loop.time(), world.lac.core).tunnels
    assert (tunnel.role, tunnel.peer, len(tunnel.sessions)) == ("LAC", LNS, 1)
    world.lac.order(lambda now: world.lac.core.close_l2tp(now, tunnel.number))
    world.run(2.0)
    assert caller.core.down
    (down,) = world.of(LNS, "tunnel-down")
    assert down.detail["by"] == "client"


def test_a_lac_that_restarts_drops_its_lines(bench) -> None:
    world = bench()
    caller = world.call()
    world.lac.order(lambda now: world.lac.core.restart(now))
    world.run(1.0)
    assert caller.core.down
    again = world.call()
    assert again.number == 2
    assert again.core.address


def test_a_caller_is_heard_while_its_call_is_placed(bench) -> None:
    """Its LCP echoes are answered by the LAC, or it would hang up before a slow LNS answers."""
    world = bench(lac={"ike_schedule": Schedule((9.0, 9.0, 9.0))})
    world.lose = lambda packet: world.loop.time() < 17.0
    caller = world.call(echo_s=2.0, echo_misses=2, wait=28.0)
    assert caller.core.address == "172.16.1.10"
    assert world.loop.time() > 17.0


def test_a_local_call_ends_on_its_line(bench) -> None:
    world = bench()
    caller = world.call("local")
    assert caller.core.address == "172.17.1.10"
    assert view.of(world.loop.time(), world.lac.core).lines == (view.LineRow(1, "local", "ended here", 0),)
    caller.close()
    world.run(10.0)
    assert caller.core.down
    assert not world.lac.core.lac.lines
    assert world.call("local").core.address == "172.17.1.11"


def test_the_choice_of_groups() -> None:
    named, other = AcceptGroup(name="1", terminate_from="LAC"), AcceptGroup(name="2")
    assert accepting((other, named), "LAC") is named
    assert accepting((other, named), "anybody") is other
    assert accepting((named,), "anybody") is None
    assert [domain_of(user) for user in ("a@B.example", "a", "a@", "a@b@c.example")] == ["b.example", "", "", "c.example"]
    assert requesting((REQUEST,), "x@CISCO.com") is REQUEST
    assert requesting((REQUEST,), "cisco.com") is None
    assert requesting((replace(REQUEST, domains=("",)),), "x@") is None


def test_the_order_of_targets() -> None:
    one, two, three = Target("1", priority=2), Target("2", limit=1), Target("3")
    every = (one, two, three)
    assert in_order(every, {}) == (two, three, one)
    assert in_order(every, {"2": 1}) == (three, one)
    assert in_order(every, {"3": 1}) == (two, three, one)
    assert in_order(every, {}, frozenset(("2", "3"))) == (one,)
    assert in_order((two,), {}, frozenset(("2",))) == (two,)


@pytest.mark.parametrize(
    ("what", "wrong"),
    [
        ("accept-dialin group 1", lambda: Vpdn((ACCEPT, replace(ACCEPT, terminate_from="X")))),
        ("terminate-from hostname LAC", lambda: Vpdn((ACCEPT, replace(ACCEPT, name="2")))),
        ("request-dialin group 1", lambda: Vpdn((), (REQUEST, replace(REQUEST, domains=())))),
        ("domain cisco.com", lambda: Vpdn((), (REQUEST, replace(REQUEST, name="2", domains=("CISCO.com",))))),
        ("the pool none", lambda: Vpdn((replace(ACCEPT, pool="none"),))),
    ],
)
def test_what_cannot_be_configured(what: str, wrong) -> None:
    with pytest.raises(UsageError, match=what):
        wrong()


def test_secrets_stay_secret() -> None:
    told = repr((replace(ACCEPT, password=Secret("whispered")), REQUEST, replace(CRYPTO, keys={LAC: Secret("whispered")})))
    assert "whispered" not in told
    assert told.count("***") == 3
