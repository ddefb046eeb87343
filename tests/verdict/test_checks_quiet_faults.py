"""Faults that take nobody's connection at once: each check that promises more than survival, on a run where only that is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import lives_builders as v
import pytest
import verdict_builders as b

from harness.model import Evidence, Mark, Outcome, RecordKind, Step
from harness.verdict.checks import CHECKS
from harness.verdict.port_life import exhausted_ports_refuse_the_next

Make = Callable[[], Evidence]


def of(build: Callable[[], Any], *acts: Callable[[Any], object], **overrides: Any) -> Make:
    def make() -> Evidence:
        world = build()
        for act in acts:
            act(world)
        found: Evidence = world.evidence(**overrides)
        return found

    return make


def lifetime(seconds: int, since: float = 0.0, until: float = float("inf")) -> Callable[[Any], None]:
    """The gateway's answers in quick mode name a lifetime."""

    def act(w: Any) -> None:
        for p in w.find("QM2"):
            if b.T0 + since <= p.inside.t < b.T0 + until:
                for side in ("inside", "outside"):
                    o = getattr(p, side)
                    setattr(
                        p,
                        side,
                        replace(o, ike={**o.ike, "proposals": [{**one, "lifetime_s": seconds} for one in o.ike["proposals"]]}),
                    )

    return act


def lapses() -> Any:
    """Clients with an SA of 3 s: the first one hangs up when it is over, since the gateway renews nobody's."""
    world = v.LivesWorld(2)
    t = world.connect("c2", world.connect("c1", b.T0)) + 0.1
    agreed = world.find("QM3", "c1")[0].inside.t
    t = world.hold(t, agreed + 3.0 - t)
    world.control("c1", agreed + 3.0, "up", "StopCCN")
    world.up.discard("c1")
    t = world.hold(agreed + 3.1, 4.0)
    world.view("end", t)
    return v.over(world, t)


def told_lifetime(seconds: int) -> Callable[[Any], None]:
    """The gateway's first answers in quick mode name a shorter lifetime in a notify, as RFC 2407 has it."""
    data = (bytes.fromhex("8001000100020004") + seconds.to_bytes(4)).hex()

    def act(w: Any) -> None:
        for client in ("c1", "c2"):
            first = w.find("QM2", client)[0]
            for side in ("inside", "outside"):
                o = getattr(first, side)
                setattr(first, side, replace(o, ike={**o.ike, "notifies": [{"type": 24576, "data": data}]}))

    return act


def leaves_after_rekey() -> Any:
    """A client ends its connection once its main mode has been renewed, as if that had been the old one's end."""
    world = v.rekeying()
    t = max(p.inside.t for p in world.find("MM6", "c1")) + 3.0
    world.packets = [p for p in world.packets if p.client != "c1" or p.inside.t < t]
    world.records = [r for r in world.records if r.client != "c1" or r.t < t]
    world.control("c1", t, "up", "StopCCN")
    return world


def wraps(w: Any) -> None:
    """The gateway counts its packets to c1 from 1 to 32, over and over; c1 heeds nothing that it has seen the number of."""
    row = sorted((p for p in w.packets if p.client == "c1" and p.direction == "down" and p.inside.esp), key=lambda p: p.inside.t)
    for i, p in enumerate(row):
        for side in ("inside", "outside"):
            o = getattr(p, side)
            setattr(p, side, replace(o, esp={**o.esp, "sequence": 1 + i % 32}))
    heard = {p.inside.inner.mark.sequence for p in row[:32] if p.inside.inner.mark is not None}
    answered = RecordKind.MARK_ANSWERED
    w.records = [r for r in w.records if (r.client, r.kind) != ("c1", answered) or r.data["sequence"] in heard]


def renewed_on(port: int) -> Callable[[], Any]:
    """A client's main mode is renewed while it is up, begun on that port at the gateway."""

    def build() -> Any:
        world = v.rekeying(1)
        for p in [q for q in world.packets if q.name.startswith("MM") and q.inside.t > b.T0 + 3]:
            for side in ("inside", "outside"):
                o = getattr(p, side)
                end = "dport" if p.direction == "up" else "sport"
                setattr(p, side, replace(o, **{end: port}))
        return world

    return build


def swallowed(w: Any) -> None:
    for p in w.find("keepalive"):
        p.outside = None


def shared_address() -> Evidence:
    """The gateway gives the second client the address of the first."""
    found: Evidence = b.clean().evidence()
    first = found.identities[0].ppp_address
    return replace(found, identities=tuple(replace(i, ppp_address=first) for i in found.identities))


class OneAddress(b.World):
    def ppp(self, client: str) -> str:
        return "172.16.1.10"


def in_turn() -> Evidence:
    """The same address for both, the second after the first has gone."""
    world = OneAddress(2)
    left = world.hold(world.connect("c1", b.T0) + 0.1, 3.0)
    came = b.close(world, "c1", left, by="client") + 1.0
    world.steps.append(Step("client-close:c1", left, came - 1.0, ("c1",)))
    t = world.hold(world.connect("c2", came) + 0.1, 6.0)
    held = {"c1": (b.T0, came - 1.0), "c2": (came, t)}
    found: Evidence = b.over(world, t).evidence()
    lives = (replace(i, since=held[i.client][0], until=held[i.client][1]) for i in found.identities)
    return replace(found, identities=tuple(lives))


def end_of(w: Any, name: str) -> float:
    return float(next(s.ended for s in w.steps if s.name == name))


def sends_on(client: str, step: str, after: float = 4.0) -> Callable[[Any], None]:
    """A client goes on asking though it was told that it is over."""

    def act(w: Any) -> None:
        t = end_of(w, step) + after
        w.record(t, client, RecordKind.MARK_SENT, sequence=900, size=84)
        w.esp(
            client, t, "up", "mark", ppp={"protocol": "IP", "src": w.ppp(client), "dst": b.FAR}, mark=Mark(w.n(client), 900, False)
        )

    return act


def deletes_spi(client: str, spi: str) -> Callable[[Any], None]:
    return lambda w: w.set_ike("INFO", client, deletes=[{"protocol": "esp", "spis": [spi]}])


PASS: list[tuple[str, Make]] = [
    ("DMX-07", in_turn),
    ("DMX-14", of(v.rekeying, lifetime(600))),
    ("DMX-40", of(b.endings, sends_on("c1", "delete-ipsec:c1", 0.5))),
    ("DMX-44", of(b.endings, deletes_spi("c3", "c0000003"))),
    ("NTT-05", of(renewed_on(4500))),
    ("NTT-08", of(b.idle)),
]

FAIL: list[tuple[str, Make, str]] = [
    ("DMX-07", shared_address, "c1 and c2 have the same PPP address, 172.16.1.10"),
    ("DMX-14", of(lapses, lifetime(3, until=0.05)), "c1's SA c0101000 was not renewed in the 3 s that it had"),
    ("DMX-15", of(lapses, lifetime(3, until=0.05)), "was not renewed in the 3 s"),
    ("DMX-16", of(lapses, lifetime(3, until=0.05)), "was not renewed in the 3 s"),
    ("DMX-14", of(lapses, told_lifetime(3)), "c1's SA c0101000 was not renewed in the 3 s that it had"),
    ("DMX-15", of(leaves_after_rekey), "c1 gave up its connection after a rekey"),
    ("DMX-07", of(b.clean, wraps), "c1 died: the gateway fell silent"),
    ("NTT-28", of(b.clean, wraps), "c1 died: the gateway fell silent"),
    ("DMX-40", of(b.endings, sends_on("c1", "delete-ipsec:c1")), "c1 went on sending on ['d0000001'] after the gateway's Delete"),
    ("DMX-43", of(b.endings, sends_on("c2", "gateway-close:c2")), "c2 went on using its session after the gateway's"),
    ("DMX-44", of(b.endings, deletes_spi("c3", "030000c0")), "c3 deleted ['030000c0'], which is no SA of its own"),
    ("NTT-05", of(renewed_on(500)), "c1's main mode was renewed on 500"),
    ("NTT-08", of(b.idle, swallowed), "keepalives"),
]

INCONCLUSIVE: list[tuple[str, Make, str]] = []  # nothing here makes evidence doubtful


def full(come: int = 3, ports: int = 2) -> Any:
    world = v.LivesWorld(come)
    t = b.T0
    for i, plan in enumerate(world.plans):
        t = world.connect(plan.name, t, until="QM1" if i >= ports else None) + 0.1
        if i >= ports:
            world.ike(plan.name, t, "down", "INFO", notifies=[{"type": 14, "name": "NO-PROPOSAL-CHOSEN"}])
        t = world.hold(t + 0.1, 1.0)
    t = world.hold(t, 4.0)
    world.view("end", t)
    return v.over(world, t)


@pytest.mark.parametrize(("row", "make"), PASS, ids=[f"{c[0]}-{i}" for i, c in enumerate(PASS)])
def test_passes(row: str, make: Make) -> None:
    verdict = CHECKS[row](make())
    assert verdict.outcome is Outcome.PASS, verdict.because


@pytest.mark.parametrize(("row", "make", "words"), FAIL, ids=[f"{c[0]}-{i}" for i, c in enumerate(FAIL)])
def test_fails(row: str, make: Make, words: str) -> None:
    verdict = CHECKS[row](make())
    assert verdict.outcome is Outcome.FAIL, verdict.because
    assert words in verdict.because


def test_whoever_is_refused_is_refused_for_want_of_a_port() -> None:
    world = full(come=4, ports=2)
    assert exhausted_ports_refuse_the_next(world.evidence(), last=1025).outcome is Outcome.PASS
    verdict = exhausted_ports_refuse_the_next(world.evidence(), last=1026)
    assert verdict.outcome is Outcome.FAIL
    assert "c3 was refused while port 1026 was free" in verdict.because


def test_1701_is_no_port_to_tell_a_client_by() -> None:
    at_1700 = v.LivesWorld(3, fixed={("c1", 1): 1700})
    t = at_1700.hold(at_1700.connect("c1", b.T0) + 0.1, 1.0)
    for client in ("c2", "c3"):
        t = at_1700.connect(client, t, until="QM1")
        at_1700.ike(client, t, "down", "INFO", notifies=[{"type": 14, "name": "NO-PROPOSAL-CHOSEN"}])
        t = at_1700.hold(t + 0.1, 1.0)
    v.over(at_1700, at_1700.hold(t, 4.0))
    assert exhausted_ports_refuse_the_next(at_1700.evidence(), first=1700, last=1701).outcome is Outcome.PASS
