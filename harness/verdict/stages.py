"""How far a set-up came, as the wire shows it: which stage was the first that did not complete, and when PPP was up."""

from __future__ import annotations

from dataclasses import dataclass

from harness.model import Observation, Stage
from harness.verdict.dials import Dial, own_frames
from harness.verdict.reading import Reading, ike, l2tp_message, ppp


@dataclass(frozen=True, slots=True)
class Progress:
    """`reached` maps each completed stage to the frame that completed it (inside the NAT); `stopped_at` is the first stage
    that did not complete, None where the client came up. `first` is the client's first frame."""

    reached: dict[Stage, Observation]
    stopped_at: Stage | None
    first: Observation | None = None

    @property
    def up(self) -> Observation | None:
        return self.reached.get(Stage.IPCP)


def progress(reading: Reading, dial: Dial) -> Progress:
    """Read off the inside capture, so that only what reached the client counts."""
    frames = own_frames(reading, dial)
    first: dict[tuple[str, str], Observation] = {}
    for o in frames:
        name = _name(o)
        if name is not None:
            first.setdefault((reading.direction(o) or "", name), o)
    reached: dict[Stage, Observation] = {}
    for stage, wanted in _COMPLETES:
        seen = [first[w] for w in wanted if w in first]
        if len(seen) == len(wanted):
            reached[stage] = max(seen, key=lambda o: (o.t, o.frame))
    # a link without authentication is up all the same: what counts is the last stage
    asked_for = [s for s, _ in _COMPLETES if not (reading.evidence.clear_expected and s in (Stage.MAIN_MODE, Stage.QUICK_MODE))]
    stopped = None if Stage.IPCP in reached else next(stage for stage in asked_for if stage not in reached)
    return Progress(reached, stopped, frames[0] if frames else None)


_COMPLETES: tuple[tuple[Stage, tuple[tuple[str, str], ...]], ...] = (
    (Stage.MAIN_MODE, (("down", "MM6"),)),
    (Stage.QUICK_MODE, (("up", "QM3"),)),
    (Stage.L2TP_TUNNEL, (("down", "SCCRP"), ("up", "SCCCN"))),
    (Stage.L2TP_SESSION, (("down", "ICRP"), ("up", "ICCN"))),
    (Stage.LCP, (("up", "LCP Configure-Ack"), ("down", "LCP Configure-Ack"))),
    (Stage.AUTHENTICATION, (("down", "CHAP Success"),)),
    (Stage.IPCP, (("up", "IPCP Configure-Ack"), ("down", "IPCP Configure-Ack"))),
)


def _name(o: Observation) -> str | None:
    """What a frame is called in the table above; data and the like have no name."""
    message = ike(o, "message")
    if message is not None:
        return str(message)
    control = l2tp_message(o)
    if control is not None:
        return control
    frame = ppp(o)
    return None if frame is None else " ".join(frame)
