"""Survival: what became of each client, judged from the wire and compared with the client's own account.

Marked packets are the pulse: a question that went up on the client's own SA is answered when the answer came down to the
client's own address on the client's own SA. What the client says of itself never decides anything here; where it differs from the
wire, the difference is a finding of its own (`Life.disagreements`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, pairwise

from harness.model import Observation, RecordKind, Side, Stage
from harness.verdict.dials import Dial, dials, latest, own_frames, records_in
from harness.verdict.findings import require
from harness.verdict.link_cuts import cut, gives_up
from harness.verdict.pulse import Asked, LostBy, asked
from harness.verdict.reading import Reading, deletes, l2tp_message, ppp
from harness.verdict.stages import progress

ANSWER_WITHIN_S = 2.0
"""A question asked less than this before its client's end, or the capture's, may still be on its way: it is not judged."""

SILENCE_MARKS = 3
"""That many questions in a row without an answer, up to the end, are silence rather than loss."""

OUTAGE_S = 3.0
"""So long without any answer is the end of a connection even if answers come again later: when the one that took its place leaves,
a gateway may find its way back to the first. Three times the slowest answer, and longer than any loss of the lab's."""

LEAVING_S = 0.1
"""An answer that arrives this shortly before a client leaves, or later, may find nobody to write it down."""

ACCOUNT_BOUND_S = 1.0
"""Greatest distance between the moment a client says it was up and the moment the wire shows it."""


class Cause(StrEnum):
    """Why a client's connection ended, in the words of the field."""

    RUN_OVER = "still up when the run was over"
    NEVER_UP = "never came up"
    CLIENT_CLOSED = "the client closed"
    CLIENT_DELETE = "IKE Delete from the client"
    GATEWAY_DELETE = "IKE Delete from the gateway"
    STOP_CCN = "StopCCN from the gateway"
    CDN = "CDN from the gateway"
    LCP_TERMINATE = "LCP Terminate-Request from the gateway"
    SILENCE = "the gateway fell silent"
    VANISHED = "the client vanished without a word"


GATEWAY_ENDS = (Cause.GATEWAY_DELETE, Cause.STOP_CCN, Cause.CDN, Cause.LCP_TERMINATE, Cause.SILENCE)


@dataclass(frozen=True, slots=True)
class End:
    cause: Cause
    t: float
    frame: Observation | None = None
    stage: Stage | None = None  # where set-up stopped, for NEVER_UP
    reason: str | None = None  # why, in the client's words

    @property
    def incomplete(self) -> str:
        """Where set-up stopped, and why where the client has said so."""
        return f"{self.stage} incomplete" + ("" if self.reason is None else f" ({self.reason})")


@dataclass(frozen=True, slots=True)
class Life:
    """One client from its first packet to its end, in one of its lives.

    `asked` are the judged questions by time; loss is counted among them.
    """

    client: str
    up: Observation | None
    asked: tuple[Asked, ...]
    end: End
    planned: bool  # a step of the scenario ended this client, and not before that step began
    run_closed: bool  # the client was told to close because the run was over
    disagreements: tuple[str, ...]
    remarks: tuple[str, ...]
    silence: tuple[Asked, ...] = ()  # the questions in a row that make up the silence, where that was the end
    number: int = 1  # of this client's lives
    began: float = float("-inf")  # its first frame, seconds since the epoch
    until: float = float("inf")  # when the same client dialled again
    cut_off: bool = False  # it left for want of answers that the scenario's own cut of the link kept from it

    @property
    def sent(self) -> int:
        return len(self.asked)

    @property
    def answered(self) -> int:
        return sum(a.answer is not None for a in self.asked)

    @property
    def lost(self) -> int:
        return self.sent - self.answered

    def lost_by(self, box: LostBy) -> int:
        return sum(a.lost_by is box for a in self.asked)

    @property
    def last_answered(self) -> Asked | None:
        """The last one before the silence; without one, the last of all."""
        before = self.asked[: self.asked.index(self.silence[0])] if self.silence else self.asked
        return next((a for a in reversed(before) if a.answer is not None), None)

    @property
    def first_unanswered(self) -> Asked | None:
        """The question with which the silence began; without one, the first of those at the end that were not answered, if any."""
        if self.silence:
            return self.silence[0]
        found = None
        for a in reversed(self.asked):
            if a.answer is not None:
                break
            found = a
        return found

    @property
    def longest_gap(self) -> float:
        """Seconds between two neighbouring answered questions, at most; losses at the very end don't count."""
        times = [a.question.t for a in self.asked if a.answer is not None]
        return max((b - a for a, b in pairwise(times)), default=0.0)

    @property
    def left_by_itself(self) -> bool:
        """Closed by the client though neither a step nor the end of the run asked for it."""
        return self.end.cause in (Cause.CLIENT_CLOSED, Cause.CLIENT_DELETE) and not self.planned and not self.run_closed

    @property
    def died(self) -> bool:
        """Lost while up, by nothing the scenario did to it on purpose."""
        return self.up is not None and self.end.cause in GATEWAY_ENDS and not self.planned

    @property
    def first_answer_s(self) -> float | None:
        """Seconds from PPP up to the first answered question; None where none was."""
        first = next((a.answer for a in self.asked if a.answer is not None), None)
        return None if first is None or self.up is None else round(first.t - self.up.t, 3)

    def answered_after(self, t: float) -> tuple[Asked, ...]:
        return tuple(a for a in self.asked if a.question.t > t and a.answer is not None)

    def facts(self) -> dict[str, object]:
        first = self.first_unanswered
        last = self.last_answered
        return {
            "up": None if self.up is None else self.up.t,
            "sent": self.sent,
            "answered": self.answered,
            "lost": self.lost,
            "lost_by": {box.value: self.lost_by(box) for box in LostBy},
            "first_answer_s": self.first_answer_s,
            "longest_gap_s": round(self.longest_gap, 3),
            "last_answered": None if last is None else last.sequence,
            "first_unanswered": None if first is None else first.sequence,
            "end": self.end.cause.value,
            "end_t": self.end.t,
            "end_frame": None if self.end.frame is None else [self.end.frame.side.value, self.end.frame.frame],
            "stage": None if self.end.stage is None else self.end.stage.value,
            "reason": self.end.reason,
            "planned": self.planned,
            "disagreements": list(self.disagreements),
            "remarks": list(self.remarks),
        }


def lives(reading: Reading) -> dict[str, Life]:
    """Everybody's life; of those who came back, the last one."""
    return {client: life_of(reading, latest(reading, client)) for client in reading.clients}


def every_life(reading: Reading) -> tuple[Life, ...]:
    """All lives of all clients, in the order in which they began."""
    return reading.once(_every_life)


def trusted_lives(reading: Reading) -> dict[str, Life]:
    """As `lives`; raises Inconclusive where a client's account contradicts the wire."""
    found = lives(reading)
    require_no_contradiction(found.values())
    return found


def require_no_contradiction(found: Iterable[Life]) -> None:
    contradictions = [d for life in found for d in life.disagreements]
    require(not contradictions, "; ".join(contradictions[:4]))


def _every_life(reading: Reading) -> tuple[Life, ...]:
    found = [life_of(reading, dial) for client in reading.clients for dial in dials(reading, client)]
    return tuple(sorted(found, key=lambda life: (life.began, life.client)))


def life_of(reading: Reading, dial: Dial) -> Life:
    client = dial.client
    came = progress(reading, dial)
    horizon = min(reading.end_of_capture(Side.INSIDE), dial.until)
    began = horizon if came.first is None else came.first.t
    everything = tuple(a for a in asked(reading, client) if dial.holds(a.question.t))
    if came.up is None:
        end = End(Cause.NEVER_UP, horizon, None, came.stopped_at, _reason(reading, dial))
        contradictions = tuple(_disagreements(reading, dial, None, everything, horizon))
        remarks = _remarks(reading, dial, end)
        return Life(client, None, (), end, False, False, contradictions, remarks, number=dial.number, began=began, until=dial.until)
    closing = next(_closings(reading, dial, came.up.t), None)
    vanished = _vanished(reading, dial, closing)
    over = closing.t if closing is not None else vanished.t if vanished is not None else horizon
    judged = tuple(a for a in everything if a.answer is not None or _judged(reading, a.question.t, over))
    silent = _silence(judged)
    # Silence before a farewell is the end; the farewell only says that somebody noticed.
    silenced = End(Cause.SILENCE, silent[0].question.t, silent[0].question) if silent else None
    end = silenced or vanished or closing or End(Cause.RUN_OVER, over)
    step = reading.closing_step(client, dial.began)
    planned = step is not None and dial.holds(step.began) and end.t >= step.began
    planned = planned or _came_and_went(reading, dial, end) or _of_its_own_will(reading, end)
    run_closed = any(r.data.get("by") == "run" for r in records_in(reading, dial, RecordKind.ENDED))
    left = over if vanished is None else min(over, vanished.t)
    contradictions = tuple(_disagreements(reading, dial, came.up, everything, left))
    silence = silent if end.cause is Cause.SILENCE else ()
    return Life(
        client, came.up, judged, end, planned, run_closed, contradictions, _remarks(reading, dial, end), silence,
        number=dial.number, began=began, until=dial.until, cut_off=_cut_off(reading, dial, end),
    )  # fmt: skip


def _judged(reading: Reading, t: float, over: float) -> bool:
    """Whether an answer was due to a question of that moment: there was time for it, and a way."""
    return t <= over - ANSWER_WITHIN_S and not cut(reading, t)


def _vanished(reading: Reading, dial: Dial, closing: End | None) -> End | None:
    """The client was taken away without a word: by a step, or, where clients come and go, by its own account and not the wire's."""
    step = next((s for s in reading.named(f"vanish:{dial.client}") if dial.holds(s.began)), None)
    if step is not None:
        return End(Cause.VANISHED, step.began) if closing is None or closing.t >= step.began else None
    gone = next((r for r in records_in(reading, dial, RecordKind.ENDED) if r.data.get("by") == "client"), None)
    if gone is None or (closing is not None and closing.t <= gone.t):
        return None  # what the gateway says to one who has gone before is no end of its own
    later = [o for o in own_frames(reading, dial) if o.t > gone.t + LEAVING_S and reading.direction(o) == "up"]
    return None if later else End(Cause.VANISHED, gone.t)


def _came_and_went(reading: Reading, dial: Dial, end: End) -> bool:
    """Whether this end is one of those that a step of random joining and leaving asked for: it asks whoever it likes, and the
    client that was asked says that it was its own doing."""
    if end.cause not in (Cause.CLIENT_CLOSED, Cause.CLIENT_DELETE, Cause.VANISHED):
        return False
    if not any(s.began <= end.t <= s.ended + ACCOUNT_BOUND_S for kind in ("churn", "storm") for s in reading.steps(kind)):
        return False
    return any(r.data.get("by") == "client" for r in records_in(reading, dial, RecordKind.ENDED))


def _of_its_own_will(reading: Reading, end: End) -> bool:
    """In captures taken elsewhere a client's good-bye counts as asked for: nobody says otherwise."""
    return not reading.evidence.accounts and end.cause in (Cause.CLIENT_CLOSED, Cause.CLIENT_DELETE)


def _cut_off(reading: Reading, dial: Dial, end: End) -> bool:
    if end.cause not in (Cause.CLIENT_CLOSED, Cause.CLIENT_DELETE):
        return False
    ended = records_in(reading, dial, RecordKind.ENDED)
    return any(r.data.get("by") == "silence" and gives_up(reading, r.t) for r in ended)


def _silence(asked: tuple[Asked, ...]) -> tuple[Asked, ...]:
    """The first run of unanswered questions that is long enough to call it silence: to the end of the traffic, or an outage."""
    for answered, group in groupby(asked, key=lambda a: a.answer is not None):
        run = tuple(group)
        outage = run[-1].question.t - run[0].question.t >= OUTAGE_S
        if not answered and len(run) >= SILENCE_MARKS and (outage or run[-1] is asked[-1]):
            return run
    return ()


def _closings(reading: Reading, dial: Dial, after: float) -> Iterator[End]:
    """Every farewell, by time, that reached or left this client once it was up."""
    for o in own_frames(reading, dial):
        direction = reading.direction(o)
        if o.t <= after or direction is None:
            continue
        cause = _farewell(o, direction)
        if cause is not None and not (deletes(o) and reading.replaced(o)):
            yield End(cause, o.t, o)


def _farewell(o: Observation, direction: str) -> Cause | None:
    up = direction == "up"
    if deletes(o):
        return Cause.CLIENT_DELETE if up else Cause.GATEWAY_DELETE
    message = l2tp_message(o)
    if message == "StopCCN":
        return Cause.CLIENT_CLOSED if up else Cause.STOP_CCN
    if message == "CDN":
        return Cause.CLIENT_CLOSED if up else Cause.CDN
    if ppp(o) == ("LCP", "Terminate-Request"):
        return Cause.CLIENT_CLOSED if up else Cause.LCP_TERMINATE
    return None


def _reason(reading: Reading, dial: Dial) -> str | None:
    failed = records_in(reading, dial, RecordKind.FAILED)
    return None if not failed else str(failed[-1].data.get("reason"))


def _disagreements(
    reading: Reading, dial: Dial, up: Observation | None, asked: tuple[Asked, ...], left: float
) -> Iterator[str]:
    """What the client says against what the wire shows; `left` is when the client stopped listening."""
    if not reading.evidence.accounts:
        return
    client = dial.client
    said_up = records_in(reading, dial, RecordKind.PPP_UP)
    if said_up and up is None:
        yield f"{client} says it came up, the wire shows that it did not"
    elif up is not None and not said_up:
        yield f"the wire shows {client} come up, its own account does not"
    elif up is not None and abs(said_up[0].t - up.t) > ACCOUNT_BOUND_S:
        yield f"{client} says it was up at {said_up[0].t:.3f}, the wire says {up.t:.3f}"
    said = {int(r.data["sequence"]) for r in records_in(reading, dial, RecordKind.MARK_ANSWERED)}
    sent = {int(r.data["sequence"]) for r in records_in(reading, dial, RecordKind.MARK_SENT)} - {a.sequence for a in asked}
    if sent:
        yield f"{client} says it sent marks {_some(sent)}, the wire does not show them"
    seen = {a.sequence: a.answer.t for a in asked if a.answer is not None}
    if said - set(seen):
        yield f"{client} says marks {_some(said - set(seen))} were answered, the wire shows no answer that reached it"
    unheard = {number for number, t in seen.items() if t < left - LEAVING_S} - said
    if unheard:
        yield f"answers to marks {_some(unheard)} reached {client} on the wire, and it has no record of them"


def _remarks(reading: Reading, dial: Dial, end: End) -> tuple[str, ...]:
    """Differences that contradict nothing the verdict rests on, but that a reader wants to know."""
    client = dial.client
    remarks = []
    failed = records_in(reading, dial, RecordKind.FAILED)
    if end.stage is not None and failed and str(failed[-1].data.get("stage")) != end.stage.value:
        remarks.append(f"{client} says it failed at {failed[-1].data.get('stage')}, the wire shows {end.stage.value} incomplete")
    ended = records_in(reading, dial, RecordKind.ENDED)
    if ended and end.cause in GATEWAY_ENDS and ended[0].data.get("by") == "client":
        remarks.append(f"{client} says it closed of its own will, the wire says: {end.cause.value}")
    if ended and end.cause in (Cause.CLIENT_CLOSED, Cause.CLIENT_DELETE) and ended[0].data.get("by") == "gateway":
        remarks.append(f"{client} says the gateway closed, the wire says: {end.cause.value}")
    return tuple(remarks)


def _some(numbers: set[int]) -> str:
    ordered = sorted(numbers)
    return ", ".join(map(str, ordered[:5])) + (f" and {len(ordered) - 5} more" if len(ordered) > 5 else "")
