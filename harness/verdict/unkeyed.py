"""What the wire shows of an eviction without any key: signs for a reader, and no verdict.

ESP hides whose words it carries, not whose SA carries them. A client that goes on sending on its SA, and from one moment on gets
nothing on it, while the gateway goes on sending to another client's, looks like the victim of that other; what its packets were,
and whether they asked for an answer, only their keys would show.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from harness.model import FrameKind, Observation, Side
from harness.verdict.reading import Reading
from harness.verdict.survival import OUTAGE_S, SILENCE_MARKS

NEAR_S = 2.0
"""A newcomer's quick mode is told with it that was complete this shortly before or after the last packet towards the client."""


@dataclass(frozen=True, slots=True)
class Sign:
    """`client` sent `unanswered` packets from `first` on (inside) and got nothing between `last` and `again` (outside; None: never
    anything before, never anything more). `newcomer` is whoever completed quick mode then, in the frame `agreed` (outside);
    `others` counts what the gateway sent to others meanwhile."""

    client: str
    last: Observation | None
    again: Observation | None
    first: Observation
    unanswered: int
    newcomer: str | None
    agreed: Observation | None
    others: int

    @property
    def sentence(self) -> str:
        told = f"{self.client} sent {self.unanswered} ESP packets from inside.pcap frame {self.first.frame} on; nothing came back"
        told += "" if self.last is None else f" after outside.pcap frame {self.last.frame}"
        told += "" if self.again is None else f" until outside.pcap frame {self.again.frame}"
        others = f", while the gateway sent {self.others} packets to others"
        told += others if self.others else "; the gateway sent to nobody else either"
        if self.agreed is not None:
            told += f"; {self.newcomer}'s quick mode was complete at outside.pcap frame {self.agreed.frame}"
        return told

    def facts(self) -> dict[str, Any]:
        frames = {"last": self.last, "again": self.again, "first": self.first, "agreed": self.agreed}
        told = {name: None if o is None else [o.side.value, o.frame] for name, o in frames.items()}
        return {"client": self.client, "newcomer": self.newcomer, "unanswered": self.unanswered, "others": self.others, **told}


def signs(reading: Reading) -> tuple[Sign, ...]:
    """One a client that fell silent while it went on sending; in the order in which it happened."""
    found = [sign for client in reading.clients if (sign := _sign(reading, client)) is not None]
    return tuple(sorted(found, key=lambda sign: sign.first.t))


def _sign(reading: Reading, client: str) -> Sign | None:
    """The first outage: between two packets towards the client, or before the first or after the last."""
    sent = [o for o in reading.way(Side.INSIDE, "up", FrameKind.ESP) if reading.at_address(o.src) == client]
    down = list(reading.way(Side.OUTSIDE, "down", FrameKind.ESP))
    own = [o for o in down if reading.sa_owner(o) == client]
    for last, again in pairwise([None, *own, None]):
        since, until = float("-inf") if last is None else last.t, float("inf") if again is None else again.t
        unanswered = [o for o in sent if since < o.t < until]
        if len(unanswered) >= SILENCE_MARKS and unanswered[-1].t - unanswered[0].t >= OUTAGE_S:
            others = sum(since < o.t < until and reading.sa_owner(o) != client for o in down)
            agreed, newcomer = _newcomer(reading, client, unanswered[0].t if last is None else last.t)
            return Sign(client, last, again, unanswered[0], len(unanswered), newcomer, agreed, others)
    return None


def _newcomer(reading: Reading, client: str, t: float) -> tuple[Observation | None, str | None]:
    """Another client's quick mode that was complete at about that time, the nearest one."""
    others = (other for other in reading.clients if other != client)
    near = [(o, other) for other in others for o in reading.ike_messages(other, "QM3") if abs(o.t - t) <= NEAR_S]
    return min(near, key=lambda one: abs(one[0].t - t), default=(None, None))
