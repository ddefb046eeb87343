"""A NAT that forgets mappings, and a gateway that falls silent: whose fault, and what the story says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import verdict_builders as b

from harness.model import FrameKind, Outcome, RecordKind, Side, Step
from harness.report.blame import headline
from harness.verdict.blame import fell_mute
from harness.verdict.killer import Strength, deaths
from harness.verdict.mapping import mappings_last
from harness.verdict.reading import Reading
from harness.verdict.remapping import IN_USE_S, remappings
from harness.verdict.story import tell
from harness.verdict.survival import lives

MOVED = b.T0 + 8.0


def moved(world: Any, to: int = 50_001, *, down: bool = True, since: float = MOVED) -> None:
    """From `since` on the NAT shows client 1's port 4500 as `to`; the gateway follows, or does not."""
    for p in world.packets:
        if p.client != "c1" or 4500 not in (p.inside.sport, p.inside.dport) or p.inside.t < since:
            continue
        if p.direction == "up":
            p.outside = replace(p.outside, sport=to)
        elif down:
            p.outside = replace(p.outside, dport=to)


def test_mappings_that_last() -> None:
    for world in (b.clean(), b.eviction(), b.endings(), b.together()):
        verdict = mappings_last(world.evidence())
        assert verdict.outcome is Outcome.PASS, verdict.because
        assert verdict.facts["blamed"] == []


def test_a_mapping_that_became_another_is_the_nats_fault() -> None:
    world = b.clean(hold=12.0)
    before = world.outer("c1", 4500)
    moved(world)
    (change,) = remappings(Reading(world.evidence()))
    assert (change.client, change.service, change.before, change.after) == ("c1", 4500, before, 50_001)
    assert change.last.t < MOVED <= change.first.t
    assert change.followed is not None
    verdict = mappings_last(world.evidence())
    assert verdict.outcome is Outcome.FAIL
    assert f"outside port {before} became 50001, and the gateway followed" in verdict.because
    assert headline(world.evidence(), {"mappings": verdict}).blame == ("nat",)
    said = " ".join(tell(world.evidence()))
    assert "the NAT forgot c1's mapping for port 4500" in said
    assert said.endswith("To blame: the NAT.")


def test_a_mapping_that_the_scenario_had_cleared_is_nobodys_fault() -> None:
    for client, outcome, said in (("c1", Outcome.PASS, "The scenario had it so."), ("c2", Outcome.FAIL, "To blame: the NAT.")):
        world = b.clean(hold=12.0)
        moved(world)
        world.steps.append(Step(f"nat-clears:{client}", MOVED - 0.01, MOVED, (client,), {"mappings": 2}))
        assert mappings_last(world.evidence()).outcome is outcome
        assert tell(world.evidence())[-1].endswith(said)


def test_an_idle_mapping_may_expire() -> None:
    world = b.clean(hold=12.0)
    for p in world.packets:
        late = IN_USE_S if p.inside.t >= MOVED else 0.0
        p.inside, p.outside = replace(p.inside, t=p.inside.t + late), replace(p.outside, t=p.outside.t + late)
    moved(world)
    assert remappings(Reading(world.evidence())) == ()


def test_a_gateway_that_does_not_follow_is_not_to_blame() -> None:
    world = b.clean(hold=12.0)
    moved(world)
    world.packets = [p for p in world.packets if p.direction == "up" or p.client != "c1" or p.inside.t < MOVED]
    world.records = [r for r in world.records if r.kind is not RecordKind.MARK_ANSWERED or r.client != "c1" or r.t < MOVED]
    reading = Reading(world.evidence())
    (death,) = deaths(reading, lives(reading))
    assert (death.victim, death.blame.box) == ("c1", "nat")
    assert "the gateway did not follow" in death.blame.why


def mute(world: Any, since: float) -> None:
    world.packets = [p for p in world.packets if p.direction == "up" or p.inside.t < since]
    world.records = [r for r in world.records if r.kind is not RecordKind.MARK_ANSWERED or r.t < since]


def test_a_gateway_that_falls_silent_towards_everybody_has_evicted_nobody() -> None:
    world = b.eviction("mute")
    newcomer = world.find("QM3", "c2")[0].inside.t
    reading = Reading(world.evidence())
    (evicted,) = deaths(reading, lives(reading))
    assert (evicted.killer, evicted.strength) == ("c2", Strength.SUSPECTED)
    mute(world, newcomer + 0.001)
    reading = Reading(world.evidence())
    death = next(d for d in deaths(reading, lives(reading)) if d.victim == "c1")
    assert fell_mute(reading, death.life.end.t)
    assert (death.killer, death.strength, death.suspects, death.blame.box) == (None, Strength.NONE, (), "gateway")
    assert "it said nothing to any other client either" in death.blame.why
    assert "fell silent towards everybody" in tell(world.evidence())[0]


def test_port_unreachable_tells_a_dead_gateway_from_a_silent_one() -> None:
    world = b.clean(hold=12.0)
    mute(world, MOVED)
    evidence = world.evidence()
    assert "nothing came back" in tell(evidence)[0]
    last = evidence.observations[Side.OUTSIDE][-1]
    refusal = replace(last, frame=last.frame + 1, src=evidence.gateway_address, dst=evidence.nat_outside, kind=FrameKind.ICMP,
                      sport=None, dport=None, esp=None, inner=None, ike=None,
                      headers={"icmp_type": 3, "icmp_code": 3})  # fmt: skip
    seen = {**evidence.observations, Side.OUTSIDE: (*evidence.observations[Side.OUTSIDE], refusal)}
    assert "only 'port unreachable' came back" in tell(replace(evidence, observations=seen))[0]


def test_what_the_scenario_injected_is_nobodys() -> None:
    evidence = b.clean().evidence()
    sides = {}
    for side, frames in evidence.observations.items():
        junk = [replace(o, frame=o.frame + 100_000, kind=FrameKind.INJECTED, ike=None, esp=None, inner=None) for o in frames[:9]]
        sides[side] = (*frames, *junk)
    littered = replace(evidence, observations=sides)
    assert tell(littered) == tell(evidence)
    assert mappings_last(littered) == mappings_last(evidence)
