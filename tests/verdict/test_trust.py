"""Every reason not to trust the evidence is found, and counts only for those that rest on what it spoils."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import verdict_builders as b

from harness.model import CaptureFacts, Evidence, FrameKind, Outcome, RecordKind, Side
from harness.probes.clocks import compare
from harness.verdict.checks import CHECKS
from harness.verdict.reading import Reading
from harness.verdict.trust import SIDES, TRAFFIC, Need, doubts

ALL = (*TRAFFIC, Need.FAR_END, Need.TRANSLATED, Need.VIEWS)
EVERY = frozenset(ALL)


def captures(e: Evidence, side: Side, **fields: Any) -> Evidence:
    return replace(e, captures=tuple(replace(c, **fields) if c.side is side else c for c in e.captures))


def no_capture(e: Evidence, side: Side) -> Evidence:
    return replace(e, captures=tuple(c for c in e.captures if c.side is not side))


def shift(e: Evidence, side: Side, by: float) -> Evidence:
    return replace(e, observations={**e.observations, side: tuple(replace(o, t=o.t + by) for o in e.observations[side])})


def edit(e: Evidence, side: Side, which: Callable[[Any], bool], **fields: Any) -> Evidence:
    frames = tuple(replace(o, **fields) if which(o) else o for o in e.observations[side])
    assert frames != e.observations[side]
    return replace(e, observations={**e.observations, side: frames})


def records_late(e: Evidence, by: float) -> Evidence:
    return replace(e, records=tuple(replace(r, t=r.t + by) for r in e.records))


def is_mark(o: Any) -> bool:
    return o.inner is not None and o.inner.mark is not None and o.inner.mark.sequence == 7


def is_mm5(o: Any) -> bool:
    return o.ike is not None and o.ike["message"] == "MM5"


def unpair(e: Evidence, side: Side, direction: str) -> Evidence:
    """One frame behind the NAT has nobody before it."""
    i, o = next((p.inside, p.outside) for p in e.pairs if p.direction == direction and p.inside > 40)
    other, number = (Side.INSIDE, i) if side is Side.OUTSIDE else (Side.OUTSIDE, o)
    pairs = tuple(p for p in e.pairs if p.inside != i)
    frames = tuple(x for x in e.observations[other] if x.frame != number)
    return replace(e, pairs=pairs, observations={**e.observations, other: frames})


DOUBTS: list[tuple[str, Callable[[Evidence], Evidence], set[Need]]] = [
    ("console fell silent", lambda e: replace(e, trouble=("the console fell silent",)), set(EVERY)),
    ("no client was planned", lambda e: replace(e, plans=()), set(EVERY)),
    ("never told to connect", lambda e: replace(e, steps=tuple(s for s in e.steps if s.name != "connect:c2")), set(EVERY)),
    *((f"the {s.value} capture lost 3 frames", lambda e, s=s: captures(e, s, dropped=3), {Need(s.value)}) for s in SIDES.values()),
    *((f"the {s.value} capture does not cover", lambda e, s=s: captures(e, s, complete=False), {Need(s.value)})
      for s in SIDES.values()),
    ("orderly end (eth0: the connection broke)", lambda e: captures(e, Side.INSIDE, complete=False, why="the connection broke"),
     {Need.INSIDE}),
    *((f"no capture of the {s.value}", lambda e, s=s: no_capture(e, s), {Need(s.value)}) for s in SIDES.values()),
    *((f"the {s.value} capture is empty", lambda e, s=s: replace(e, observations={**e.observations, s: ()}), {Need(s.value)})
      for s in (Side.FAR_END, Side.TRANSLATED)),
    ("clock is +0.", lambda e: records_late(e, -0.2), {Need.CLOCKS}),
    ("clock is -0.", lambda e: records_late(e, 0.2), {Need.CLOCKS}),
    ("no client record could be matched", lambda e: replace(e, records=()), {Need.CLOCKS}),
    ("captures are +0.3", lambda e: shift(shift(e, Side.OUTSIDE, 0.3), Side.INSIDE, 0.0), {Need.CLOCKS}),
    ("fell behind: late", lambda e: replace(e, records=(*e.records, b.Record(b.T0, "c1", RecordKind.IMPAIRED, {"reason": "late"}))),
     {Need.GENERATOR}),
    ("no marked traffic", lambda e: replace(e, observations={**e.observations, Side.INSIDE: tuple(
        o for o in e.observations[Side.INSIDE] if o.inner is None or o.inner.mark is None)}), {Need.MARKS}),
    ("c2 came up but sent no marked", lambda e: replace(e, observations={**e.observations, Side.INSIDE: tuple(
        o for o in e.observations[Side.INSIDE] if o.inner is None or o.inner.mark is None or o.inner.mark.owner != 2)}),
     {Need.MARKS}),
    ("own account", lambda e: replace(e, gateway_views=()), {Need.VIEWS}),
    ("do not show who c2 is", lambda e: replace(e, identities=e.identities[:1]), {Need.DECRYPTED}),
    ("IKE message could not be decrypted", lambda e: edit(e, Side.OUTSIDE, is_mm5, ike={
        "icookie": f"{1:016x}", "rcookie": "x", "message": "MM5", "encrypted": True, "decrypted": False}), {Need.DECRYPTED}),
    ("which no client agreed", lambda e: edit(e, Side.OUTSIDE, is_mark, esp={"spi": "00000bad", "sequence": 1}), {Need.DECRYPTED}),
    ("ESP packet could not be decrypted", lambda e: edit(e, Side.INSIDE, lambda o: is_mark(o) and o.inner.mark.answer, inner=None),
     {Need.DECRYPTED}),
    ("cut short", lambda e: edit(e, Side.INSIDE, lambda o: is_mark(o) and o.inner.mark.answer, problem="cut short"),
     {Need.DECRYPTED}),
    ("cut short", lambda e: edit(e, Side.INSIDE, is_mm5, problem="cut short"), {Need.DECRYPTED}),
    ("outside frame", lambda e: unpair(e, Side.OUTSIDE, "up"), {Need.PAIRED}),
    ("inside frame", lambda e: unpair(e, Side.INSIDE, "down"), {Need.PAIRED}),
]  # fmt: skip


@pytest.mark.parametrize(("words", "spoil", "hit"), DOUBTS, ids=[f"{d[0]}-{i}" for i, d in enumerate(DOUBTS)])
def test_each_doubt_counts_for_those_it_concerns_only(words: str, spoil: Callable[[Evidence], Evidence], hit: set[Need]) -> None:
    evidence = spoil(b.clean().evidence())
    sides = (Need.INSIDE, Need.OUTSIDE)
    found = any(words in d for d in doubts(Reading(evidence), ALL))
    assert found
    for need in EVERY - hit:
        needs = (*(s for s in sides if s not in hit), need) if Need.DECRYPTED not in hit else (need,)
        assert not any(words in d for d in doubts(Reading(evidence), needs)), need


def test_a_clean_run_raises_no_doubt() -> None:
    assert doubts(Reading(b.clean().evidence()), ALL) == ()


def test_a_gateway_that_tells_no_events_leaves_what_needs_them_undecided() -> None:
    (doubt,) = doubts(Reading(b.clean().evidence()), (Need.GATEWAY_EVENTS,))
    assert "tells no events" in doubt


def test_a_slow_nat_is_no_difference_of_clocks() -> None:
    for apart, said in ((0.0, ()), (0.3, ("the clocks of the two captures are +0.300 s apart",))):
        world = b.clean()
        for p in world.packets:
            p.outside = replace(p.outside, t=p.outside.t + apart + (0.25 if p.direction == "up" else -0.25))
        assert doubts(Reading(world.evidence()), (Need.INSIDE, Need.OUTSIDE, Need.CLOCKS)) == said


def test_a_nat_that_is_slow_one_way_is_no_difference_of_clocks() -> None:
    world = b.clean()
    for p in world.packets:
        if p.direction == "down":
            p.inside = replace(p.inside, t=p.inside.t + 2.5)
    assert doubts(Reading(world.evidence()), (Need.INSIDE, Need.OUTSIDE, Need.CLOCKS)) == ()


def test_a_clock_that_is_set_in_the_midst_of_a_run_is_noticed() -> None:
    """However few packets follow: one that comes out before it went in is enough."""
    world = b.clean()
    late = sorted(world.packets, key=lambda p: p.inside.t)[-40:]
    for p in late:
        p.outside = replace(p.outside, t=p.outside.t + 0.3)
    assert {p.direction for p in late} == {"up", "down"}
    found = doubts(Reading(world.evidence()), (Need.INSIDE, Need.OUTSIDE, Need.CLOCKS))
    assert any("clocks of the two captures" in doubt for doubt in found)


def test_of_two_clocks_a_nat_that_is_slow_one_way_leaves_too_little_known() -> None:
    """Then nothing tells the way through the NAT from the clocks."""
    world = b.clean()
    for p in world.packets:
        if p.direction == "down":
            p.inside = replace(p.inside, t=p.inside.t + 2.5)
    evidence = world.evidence()
    evidence = replace(evidence, clock=compare(evidence.observations, evidence.gateway_address))
    (doubt,) = doubts(Reading(evidence), (Need.INSIDE, Need.OUTSIDE, Need.CLOCKS))
    assert "known to within 1.25" in doubt


def test_a_client_that_dials_anew_says_nothing_of_the_clocks() -> None:
    """Its first datagram was long before; where hardly a mark was sent that is most of what there is to compare."""
    world = b.clean()
    world.records = [r for r in world.records if r.kind is not RecordKind.MARK_SENT]
    for i in range(1, 6):
        world.record(b.T0 + 700.0 * i, "c1", RecordKind.STARTED)
    assert doubts(Reading(world.evidence()), (Need.CLOCKS,)) == ()


def test_where_one_direction_alone_is_seen_transit_counts_as_the_clocks() -> None:
    world = b.clean()
    world.packets = [p for p in world.packets if p.direction == "up"]
    for p in world.packets:
        p.outside = replace(p.outside, t=p.outside.t + 0.25)
    found = doubts(Reading(world.evidence()), (Need.INSIDE, Need.OUTSIDE, Need.CLOCKS))
    assert found == ("the clocks of the two captures are +0.250 s apart",)


def test_what_the_nat_dropped_is_no_reason_for_doubt() -> None:
    world = b.clean()
    for p in (*world.find("mark", "c1")[3:5], *world.find("answer", "c2")[3:5]):
        if p.direction == "up":
            p.outside = None
        else:
            p.inside = None
    assert doubts(Reading(world.evidence()), (Need.INSIDE, Need.OUTSIDE, Need.PAIRED)) == ()


def test_what_the_nat_altered_is_a_finding_and_no_reason_for_doubt() -> None:
    world = b.clean()
    p = world.find("mark", "c1")[3]
    p.outside, p.paired = replace(p.outside, payload_digest="other", inner=None), False
    assert doubts(Reading(world.evidence()), (Need.INSIDE, Need.OUTSIDE, Need.PAIRED, Need.DECRYPTED)) == ()


def test_a_frame_far_away_in_time_or_of_another_flow_does_not_explain_one() -> None:
    world = b.clean()
    p, q = world.find("mark", "c1")[3], world.find("mark", "c2")[3]
    p.outside, p.inside = None, p.inside
    q.inside = None
    found = doubts(Reading(world.evidence()), (Need.INSIDE, Need.OUTSIDE, Need.PAIRED))
    assert len(found) == 1
    assert "came out of the NAT" in found[0]


def test_a_retransmission_or_a_key_that_was_never_made_may_stay_closed() -> None:
    closed = {"encrypted": True, "decrypted": False}
    world = b.clean()
    world.ike("c1", b.T0 + 0.02, "up", "MM5", **closed, retransmission=True)
    world.records = [r for r in world.records if not (r.client == "c2" and r.kind is RecordKind.IKE_UP)]
    world.set_ike("MM5", "c2", **closed)
    assert doubts(Reading(world.evidence()), (Need.INSIDE, Need.OUTSIDE, Need.DECRYPTED)) == ()


def test_every_check_names_its_needs_and_keeps_its_name() -> None:
    assert len({c.__name__ for c in CHECKS.values()}) == len(CHECKS)
    for row, check in CHECKS.items():
        assert check.needs, row
        assert check.__doc__, row


@pytest.mark.parametrize("row", sorted(CHECKS))
def test_a_lossy_capture_never_passes_nor_fails_what_rests_on_it(row: str) -> None:
    evidence = b.clean().evidence()
    for side in SIDES.values():
        lossy = captures(evidence, side, dropped=1)
        if Need(side.value) in CHECKS[row].needs:
            assert CHECKS[row](lossy).outcome is Outcome.INCONCLUSIVE
        else:
            assert CHECKS[row](lossy) == CHECKS[row](evidence)


def test_facts_and_frames_are_plain_values() -> None:
    import json

    for evidence in (b.clean().evidence(), b.eviction().evidence(), b.endings().evidence()):
        for row, check in CHECKS.items():
            verdict = check(evidence)
            json.dumps(verdict.facts)
            for side, number in verdict.frames:
                assert side in set(Side), row
                assert 0 < number <= len(evidence.observations[Side(side)])


def test_an_unused_kind_of_frame_does_not_disturb() -> None:
    world = b.clean()
    world.lone.append(b.Observation(Side.OUTSIDE, 0, b.T0 + 1, "", "", None, None, 0, FrameKind.OTHER, 42, "arp"))
    evidence = world.evidence()
    assert isinstance(evidence.captures[0], CaptureFacts)
    assert doubts(Reading(evidence), ALL) == ()
    for row in ("DMX-33", "NTT-14", "NTT-16", "NTT-27"):
        assert CHECKS[row](evidence).outcome is Outcome.PASS
