"""A NAT that ends one client's session, by order or by its timer: what becomes of that client, and that nobody else notices."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from harness.model import Observation, Side, Step, Verdict
from harness.verdict.causes import moved
from harness.verdict.dials import latest
from harness.verdict.endings import ending_step, expect_untouched
from harness.verdict.findings import Findings, require
from harness.verdict.pulse import carriers
from harness.verdict.reading import Reading
from harness.verdict.survival import ANSWER_WITHIN_S, SILENCE_MARKS, Cause, Life, trusted_lives
from harness.verdict.trust import TRAFFIC, Need, check

NAT_TIMER_S = 30.0
"""The timer of the scenario's NAT: nothing may have left the client for longer than this."""


@check(*TRAFFIC, Need.NAT_VIEWS)
def cleared_translation_concerns_only_its_client(reading: Reading) -> Verdict:
    """Scenario "nat-clears": a NAT that takes ports by chance drops one client's mappings, as its table shows. Whether that client
    goes on at a new mapping or ends is noted; everybody else keeps mapping and session."""
    step, client = ending_step(reading, "nat-clears")
    require(int(step.detail.get("mappings", 1)) > 0, "the NAT had no mapping of the client to clear")
    f, found = Findings(), trusted_lives(reading)
    _require_up(found[client], step)
    _expect_cleared(f, reading, client, step)
    what = _what_became(f, reading, found[client], step)
    outcome = f.facts["outcome"]
    f.expect(
        outcome["moved"] or outcome["end"] is not None or outcome["answered_after_s"] is None,
        f"{client} went on at the mapping it had: its translation was not cleared",
    )
    _expect_others_untouched(f, reading, found, client, step)
    return f.verdict(f"once its translation was cleared {client} {what}; the others noticed nothing")


@check(*TRAFFIC)
def idle_beyond_the_timer_concerns_only_its_client(reading: Reading, *, timer_s: float = NAT_TIMER_S) -> Verdict:
    """Scenario "nat-timeout": one client is silent for longer than the NAT's timer, keepalives and all. Its mapping is gone then:
    packets for it no longer cross, or its own come out elsewhere. What becomes of it is noted; nobody else notices."""
    step, client = ending_step(reading, "silence")
    f, found = Findings(timer_s=timer_s), trusted_lives(reading)
    _require_up(found[client], step)
    quiet = _longest_quiet(reading, client, step)
    require(quiet is not None, f"{client} sent nothing before {step.name} or nothing after it, so its silence has no length")
    assert quiet is not None
    last, first = quiet
    f.facts["quiet_s"] = round(first.t - last.t, 3)
    seconds = first.t - last.t
    require(seconds > timer_s, f"{client} was quiet for {seconds:.1f} s at most, and the NAT's timer is {timer_s:g} s")
    gone = _mapping_gone(f, reading, client, last.t + timer_s, first.t)
    f.expect(gone, f"the NAT kept {client}'s mapping over {seconds:.1f} s without a packet from it", last, first)
    what = _what_became(f, reading, found[client], step)
    _expect_others_untouched(f, reading, found, client, step)
    return f.verdict(f"after {seconds:.0f} s of silence {client} {what}; the others noticed nothing")


def _expect_cleared(f: Findings, reading: Reading, client: str, step: Step) -> None:
    """The NAT's table after the step holds none of the rows that it had for the client before."""
    tables = sorted(reading.evidence.nat_views, key=lambda v: v.t)
    own = [(v, {m for m in v.mappings if m.inside_address == reading.identities[client].inside}) for v in tables]
    before = next((rows for v, rows in reversed(own) if v.t < step.began and rows), None)
    after = next(((v, rows) for v, rows in own if v.label == f"after-{step.name}"), None)
    require(before is not None, f"the NAT's table was not asked for while it held {client}'s rows")
    require(after is not None, f"the NAT's table was not asked for after {step.name}")
    assert before is not None
    assert after is not None
    kept = sorted(m.outside_port for m in before & after[1])
    f.facts["table"] = {"before": len(before), "after": len(after[1]), "kept": kept}
    f.expect(not kept, f"the NAT's table still maps {client} to {kept} after {step.name}: nothing was cleared")


def _require_up(life: Life, step: Step) -> None:
    require(life.up is not None and life.up.t < step.began, f"{life.client} was not up when {step.name} began")
    require(not life.died or life.end.t >= step.began, f"{life.client} had died before {step.name}: {life.end.cause.value}")


def _what_became(f: Findings, reading: Reading, life: Life, step: Step) -> str:
    """Noted: the client moved to another mapping, and whether the gateway followed; stayed at the same one; or ended."""
    elsewhere = moved(reading, life.client, step.began, life.until)
    asked = [a for a in life.asked if a.question.t > step.ended]
    answered = life.answered_after(step.ended)
    ended = None if life.end.cause is Cause.RUN_OVER or life.run_closed else life.end
    too_little = f"{life.client} asked too little after {step.name} to tell what became of it"
    require(len(asked) >= SILENCE_MARKS or ended is not None, too_little)
    outcome: dict[str, Any] = {
        "moved": elsewhere is not None,
        "to": None if elsewhere is None else elsewhere.outside.sport,
        "answered_after_s": round(answered[0].question.t - step.ended, 3) if answered else None,
        "end": None if ended is None else ended.cause.value,
    }
    f.facts["outcome"] = outcome
    f.judged += 1
    if elsewhere is not None:
        f.point(elsewhere.outside)
    if answered and (ended is None or ended.t > answered[-1].question.t):
        return "moved to another mapping, and was answered there" if elsewhere is not None else "went on at the mapping it had"
    if ended is not None:
        f.point(ended.frame)
        f.facts["cause"] = "the NAT ended the session"
        where = ", once moved to another mapping" if elsewhere is not None else ""
        return f"ended{where}: {ended.cause.value}"
    return "was never answered again"


def _expect_others_untouched(f: Findings, reading: Reading, found: dict[str, Life], client: str, step: Step) -> None:
    expect_untouched(f, reading, found, client, step)
    for other, life in found.items():
        if other == client or life.up is None or life.up.t >= step.began:
            continue
        elsewhere = moved(reading, other, step.began, life.until)
        frame = None if elsewhere is None else elsewhere.outside
        f.expect(elsewhere is None, f"the NAT gave {other} another mapping too", frame)


def _longest_quiet(reading: Reading, client: str, step: Step) -> tuple[Observation, Observation] | None:
    """The client's two neighbouring packets with the longest time between them, keepalives included, of those around the step."""
    address = reading.identities[client].inside
    dial = latest(reading, client)
    sent = [o for o in dial.part(reading.frames(Side.INSIDE)) if o.src == address and reading.direction(o) == "up"]
    before = [o for o in sent if o.t < step.began][-1:]
    during = [o for o in sent if step.began <= o.t <= step.ended + ANSWER_WITHIN_S]
    row = before + during
    return max(pairwise(row), key=lambda p: p[1].t - p[0].t, default=None)


def _mapping_gone(f: Findings, reading: Reading, client: str, since: float, until: float) -> bool:
    """Whether anything shows that the mapping was gone: the NAT's own table, a packet for it that did not cross, or the next one of
    the client's at another port."""
    identity = reading.identities[client]
    crossed = {c.outside.frame for c in reading.crossings() if c.direction == "down"}
    held_back = [
        o
        for o in carriers(reading, Side.OUTSIDE, "down")
        if since < o.t < until and reading.flow_owner(o) == client and o.frame not in crossed
    ]
    tables = [v for v in reading.evidence.nat_views if since < v.t < until]
    listed = [v.label for v in tables if any(m.inside_address == identity.inside for m in v.mappings)]
    elsewhere = moved(reading, client, until, float("inf"))
    f.point(*held_back[:3])
    f.facts["shown_by"] = {
        "packets_held_back": len(held_back),
        "tables_without_it": len(tables) - len(listed),
        "moved": elsewhere is not None,
    }
    return bool(held_back) or (bool(tables) and not listed) or elsewhere is not None
