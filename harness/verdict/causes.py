"""Which of the document's four causes an end had, and whether anybody asked for it.

"The connection is maintained until one of the following actions occurs: the IPsec connection is closed; the NAT or PAT device ends
the session; the LNS closes the session; the Windows client closes the session." An end that is none of these has no cause. One that
is, and that neither the scenario nor the client wanted, was done by a box unasked, which is a fault all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from harness.model import RecordKind
from harness.verdict.blame import Blame, blame
from harness.verdict.dials import dials, records_in
from harness.verdict.findings import Findings
from harness.verdict.reading import Crossing, Reading
from harness.verdict.survival import Cause, End, Life

NAT_STEPS = ("nat-clears", "nat-reboots", "nat-renumbers", "nat-forgets", "silence")
"""Steps after which a NAT may end sessions: what it forgot, or what was idle for longer than its timer."""

NAT_NOTICED_S = 300.0
"""What a NAT ended may take this long to be noticed by whoever sends first."""


class FourCauses(StrEnum):
    IPSEC = "the IPsec connection was closed"
    NAT = "the NAT ended the session"
    LNS = "the LNS closed the session"
    CLIENT = "the client closed the session"
    NONE = "no cause of the four"


_CAUSES: Mapping[Cause, FourCauses] = {
    Cause.CLIENT_CLOSED: FourCauses.CLIENT,
    Cause.VANISHED: FourCauses.CLIENT,
    Cause.CLIENT_DELETE: FourCauses.IPSEC,
    Cause.GATEWAY_DELETE: FourCauses.IPSEC,
    Cause.STOP_CCN: FourCauses.LNS,
    Cause.CDN: FourCauses.LNS,
    Cause.LCP_TERMINATE: FourCauses.LNS,
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How one life that was up ended. `asked`: by a step, by the client's own wish, or by the end of the run."""

    life: Life
    cause: FourCauses
    asked: bool
    why: str
    blame: Blame | None = None

    def facts(self) -> dict[str, Any]:
        frame = self.life.end.frame
        return {
            "client": self.life.client,
            "life": self.life.number,
            "t": self.life.end.t,
            "cause": self.cause.value,
            "asked": self.asked,
            "why": self.why,
            "frame": None if frame is None else [frame.side.value, frame.frame],
        }


def endings_of(reading: Reading, lives: Iterable[Life]) -> tuple[Ending, ...]:
    """Every end of a life that was up, but for those that the run's own end cut short."""
    ended = (life for life in lives if life.up is not None and life.end.cause is not Cause.RUN_OVER and not _by_run(life))
    return tuple(_ending(reading, life) for life in ended)


def expect_causes(f: Findings, found: Iterable[Ending]) -> None:
    """None of the ends is without a cause, and none was a box's own doing."""
    counts: dict[str, int] = {}
    for ending in found:
        counts[ending.cause.value] = counts.get(ending.cause.value, 0) + 1
        life = ending.life
        which = f"{life.client} (life {life.number})" if life.number > 1 else life.client
        whose = None if ending.blame is None else ending.blame.box
        box = "" if whose is None else f", to blame: the {whose.replace('nat', 'NAT')}"
        f.expect(ending.cause is not FourCauses.NONE, f"{which} ended for no cause of the four: {ending.why}{box}", life.end.frame)
        unasked = f"{which} ended though nobody asked for it: {ending.why}{box}"
        f.expect(ending.asked or ending.cause is FourCauses.NONE, unasked, life.end.frame)
    f.facts["causes"] = counts


def moved(reading: Reading, client: str, since: float, until: float) -> Crossing | None:
    """The client's first packet after `since` (and before `until`) that came out of the NAT elsewhere than those before it."""
    before: dict[int | None, tuple[str, int | None]] = {}
    for c in reading.once(_upwards).get(client, ()):
        end = (c.outside.src, c.outside.sport)
        known = before.setdefault(c.inside.dport, end) if c.inside.t < since else before.get(c.inside.dport)
        if c.inside.t < since:
            before[c.inside.dport] = end
        elif known is not None and end != known and c.inside.t < until:
            return c
    return None


def _upwards(reading: Reading) -> Mapping[str, list[Crossing]]:
    found: dict[str, list[Crossing]] = {}
    for c in reading.crossings():
        client = reading.at_address(c.inside.src) if c.direction == "up" else None
        if client is not None:
            found.setdefault(client, []).append(c)
    return found


def _ending(reading: Reading, life: Life) -> Ending:
    dial = dials(reading, life.client)[life.number - 1]
    said = next((str(r.data.get("by")) for r in records_in(reading, dial, RecordKind.ENDED)), None)
    cause, why = _CAUSES.get(life.end.cause, FourCauses.NONE), life.end.cause.value
    if life.end.cause in (Cause.CLIENT_CLOSED, Cause.CLIENT_DELETE) and said in ("silence", "gateway"):
        # A farewell that nobody wished for: the client hung up for want of an answer, and says so.
        why, life = f"the client gave up ({said})", replace(life, end=End(Cause.SILENCE, _last_answered(life), life.end.frame))
        cause = FourCauses.NONE
    if cause is FourCauses.NONE:
        fault = blame(reading, life)
        if fault.box == "nat" or _ended_by_nat(reading, life):
            why = fault.why if fault.box == "nat" else why
            return Ending(life, FourCauses.NAT, _nat_step(reading, life) is not None, why, fault)
        return Ending(life, FourCauses.NONE, False, why, fault)
    asked = life.planned or (said == "client" and cause is FourCauses.CLIENT)
    return Ending(life, cause, asked, why, None if asked else blame(reading, life))


def _last_answered(life: Life) -> float:
    last = life.last_answered
    return life.end.t if last is None else last.question.t


def _ended_by_nat(reading: Reading, life: Life) -> bool:
    """The scenario made the NAT forget, and the client's packets came out elsewhere, or nothing came through any more."""
    began = _nat_step(reading, life)
    return began is not None and moved(reading, life.client, began, life.until) is not None


def _nat_step(reading: Reading, life: Life) -> float | None:
    """When the newest step began after which the NAT may have ended this life."""
    steps = [s for kind in NAT_STEPS for s in reading.steps(kind) if not s.clients or life.client in s.clients]
    found = [s.began for s in steps if life.began <= s.began <= life.end.t <= s.ended + NAT_NOTICED_S]
    return max(found, default=None)


def _by_run(life: Life) -> bool:
    return life.run_closed and life.end.cause in (Cause.CLIENT_CLOSED, Cause.CLIENT_DELETE, Cause.VANISHED)
