"""What becomes of the SAs when the tunnel ends, and what the next tunnel needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from vpdn_bench import ACCEPT, CRYPTO, LAC, LNS, REQUEST, USER, Bench

from harness.virtual.vpdn import view
from harness.virtual.vpdn.groups import Security, Vpdn
from harness.virtual.vpdn.router import VpdnRouter

KEEP = Security("l2tp", keep_sa=True)
MAIN, INFORMATIONAL, QUICK = 2, 5, 32


def hang_up(world: Bench, caller: Any) -> None:
    """And the tunnel with it, once nobody has called for a while."""
    caller.close()
    world.run(60.0, until=lambda: bool(world.of(LNS, "tunnel-down")) and bool(world.of(LAC, "tunnel-down")))
    world.run(2.0)


def left(world: Bench, address: str) -> tuple[int, int]:
    """(ISAKMP SAs, ESP SAs) that a router still has, of each direction one."""
    shown = view.of(world.loop.time(), world.boxes[address].core)
    return len(shown.ike_sas), len(shown.esp_sas)


def kept(accept: bool = True, request: bool = True) -> dict[str, Any]:
    return {
        "accept": replace(ACCEPT, security=KEEP if accept else ACCEPT.security),
        "request": replace(REQUEST, security=KEEP if request else REQUEST.security),
    }


def test_by_default_both_phases_go(bench) -> None:
    """SEC-38: with Deletes on the wire, under both kinds of SA."""
    world = bench()
    caller = world.call()
    assert left(world, LAC) == left(world, LNS) == (1, 2)
    at = world.loop.time()
    hang_up(world, caller)
    assert left(world, LAC) == left(world, LNS) == (0, 0)
    assert sorted(world.ike(at)) == sorted([(LAC, INFORMATIONAL), (LNS, INFORMATIONAL)] * 2)
    for box in (world.lac, world.lns):
        downs = [event.kind for event in box.events if event.kind in ("tunnel-down", "esp-down", "ike-down")]
        assert downs == ["tunnel-down", "esp-down", "ike-down"]
    assert caller.core.down


def test_keep_sa_keeps_phase_1_alone(bench) -> None:
    """SEC-39."""
    world = bench(**kept())
    caller = world.call()
    at = world.loop.time()
    hang_up(world, caller)
    assert left(world, LAC) == left(world, LNS) == (1, 0)
    assert {kind for _, kind in world.ike(at)} == {INFORMATIONAL}


def test_after_keep_sa_quick_mode_is_enough(bench) -> None:
    """SEC-40: three messages, and no main mode; and the control without keep-sa: six and three. It is faster, too."""
    times = {}
    for name, terms in (("kept", kept()), ("gone", kept(False, False))):
        world = bench(**terms)
        hang_up(world, world.call())
        at = world.loop.time()
        caller = world.call()
        assert caller.core.address
        assert world.ping(caller)
        counted = [kind for _, kind in world.ike(at)]
        assert (counted.count(MAIN), counted.count(QUICK)) == ((0, 3) if name == "kept" else (6, 3))
        ups = [event.t for event in world.of(LNS, "tunnel-up")]
        first = next(t for t, packet in world.wire if t >= at)
        times[name] = ups[-1] - first
    assert times["kept"] < times["gone"]


@pytest.mark.parametrize(("at_lns", "at_lac"), [(True, False), (False, True)])
def test_keep_sa_on_one_side_only(bench, at_lns: bool, at_lac: bool) -> None:
    """SEC-41: the other side's Delete counts, and the next call comes up by main mode; nothing is stuck."""
    world = bench(**kept(at_lns, at_lac))
    hang_up(world, world.call())
    assert left(world, LAC) == left(world, LNS) == (0, 0)
    at = world.loop.time()
    assert world.call().core.address
    assert [kind for _, kind in world.ike(at)].count(MAIN) == 6


def test_a_kept_phase_1_ends_at_its_lifetime(bench) -> None:
    """SEC-44: nobody renews it; afterwards main mode is needed again."""
    life = {"ike_lifetime_s": 600}
    world = bench(**kept(), lns=life, lac=life)
    hang_up(world, world.call())
    world.run(300.0)
    assert left(world, LAC) == left(world, LNS) == (1, 0)
    before = world.ike()
    world.run(310.0)
    assert left(world, LAC) == left(world, LNS) == (0, 0)
    assert {kind for _, kind in world.ike()[len(before) :]} <= {INFORMATIONAL}
    at = world.loop.time()
    assert world.call().core.address
    assert [kind for _, kind in world.ike(at)].count(MAIN) == 6


@pytest.mark.parametrize("lost", [LNS, LAC])
def test_a_stale_phase_1_does_not_block_a_new_one(bench, lost: str) -> None:
    """SEC-43: one side has lost what the other has kept."""
    world = bench(**kept(), lac={"ike_schedule": _short()})
    hang_up(world, world.call())
    world.boxes[lost].order(lambda now: world.boxes[lost].core.restart(now))
    at = world.loop.time()
    caller = world.call(wait=60.0)
    assert caller.core.address
    assert world.ping(caller)
    assert [kind for _, kind in world.ike(at)].count(MAIN) >= 6
    assert not world.clear()


def test_a_peer_at_another_address_is_not_blocked(bench) -> None:
    """SEC-43: the LAC comes back from another address, and the kept phase 1 at the old one is in nobody's way."""
    world = bench(**kept())
    hang_up(world, world.call())
    world.router(LAC, "172.17.1.1", Vpdn((), (kept()["request"],), crypto=CRYPTO), at="10.0.0.99")
    assert world.call().core.address
    assert left(world, LNS) == (2, 2)


def test_kept_phase_1s_pile_up(bench) -> None:
    """SEC-42: the reason not to use it where peers come once. Without keep-sa nothing is left over."""
    for terms, left_over in ((kept(), 12), (kept(False, False), 0)):
        world = bench(**terms)
        for number in range(12):
            world.router(LAC, "172.17.1.1", Vpdn((), (terms["request"],), crypto=CRYPTO), at=f"10.0.1.{number + 1}")
            caller = world.call()
            assert caller.core.address
            caller.close()
            world.run(25.0)
        assert left(world, LNS) == (left_over, 0)


def test_a_tunnel_that_is_left_keeps_its_sas(bench) -> None:
    """The SAs are shared by the tunnels of two groups with one LNS: the first one's end takes nothing from the second."""
    second = replace(REQUEST, name="2", domains=("example.com",))
    users = dict.fromkeys((USER, "second@example.com"), REQUEST.password)
    world = bench(request=(REQUEST, second), lns={"users": users})
    one, two = world.call(), world.call("second@example.com")
    assert left(world, LNS) == (1, 2)
    one.close()
    world.run(30.0, until=lambda: bool(world.of(LNS, "tunnel-down")))
    world.run(2.0)
    assert world.ping(two)
    assert left(world, LAC) == left(world, LNS) == (1, 2)
    two.close()
    world.run(30.0)
    assert left(world, LAC) == left(world, LNS) == (0, 0)


def test_carrier_that_is_lost_ends_the_call(bench) -> None:
    world = bench()
    caller = world.call()
    caller.hang_up()
    world.run(1.0)
    (down,) = world.of(LNS, "session-down")
    assert "loss of carrier" in down.detail["reason"]
    world.run(30.0)
    assert left(world, LAC) == left(world, LNS) == (0, 0)


def test_sas_that_go_under_a_live_tunnel_come_back(bench) -> None:
    """RFC 3193 §3.1: the LAC has a map entry for it, and so asks for new ones; not a byte goes in the clear."""
    world = bench()
    caller = world.call()
    router: VpdnRouter = world.lns.core
    (sa,) = list(router.ipsec.sadb)
    world.lns.order(lambda now: router.delete_ipsec(now, f"{sa.spi_in:08x}"))
    world.run(0.5)
    assert left(world, LAC) == (0, 0)
    world.ping(caller)
    world.run(5.0)
    assert world.ping(caller)
    assert left(world, LAC) == left(world, LNS) == (1, 2)
    assert not world.clear()


def _short():
    from harness.wire.retransmit import Schedule

    return Schedule((1.0, 2.0))
