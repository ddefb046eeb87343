"""How far a set-up came, as the wire shows it: which stage was the first that did not complete, and when PPP was up."""

from __future__ import annotations

from dataclasses import dataclass

from harness.model import Observation, Side, Stage
from harness.verdict.reading import Reading, ike, l2tp_message, ppp


@dataclass(frozen=True, slots=True)
class Progress:
    """`reached` maps each completed stage to the frame that completed it (inside the NAT); `stopped_at` is the first stage
    that did not complete, None where the client came up."""

    reached: dict[Stage, Observation]
    stopped_at: Stage | None

    @property
    def up(self) -> Observation | None:
        return self.reached.get(Stage.IPCP)


def progress(reading: Reading, client: str) -> Progress:
    """Read off the inside capture, so that only what reached the client counts."""
    first: dict[tuple[str, str], Observation] = {}
    for direction in ("up", "down"):
        for o in reading.way(Side.INSIDE, direction):
            if reading.at_address(o.src if direction == "up" else o.dst) != client or reading.flow_owner(o) != client:
                continue
            if direction == "down" and reading.content_owner(o) not in (None, client):
                continue  # somebody else's words, delivered here by mistake
            name = _name(o)
            if name is not None:
                first.setdefault((direction, name), o)
    reached: dict[Stage, Observation] = {}
    for stage, wanted in _COMPLETES:
        frames = [first[w] for w in wanted if w in first]
        if len(frames) == len(wanted):
            reached[stage] = max(frames, key=lambda o: (o.t, o.frame))
    # a link without authentication is up all the same: what counts is the last stage
    stopped = None if Stage.IPCP in reached else next(stage for stage, _ in _COMPLETES if stage not in reached)
    return Progress(reached, stopped)


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
