"""A NAT that forgets: a client's mapping that became another one though it was in use.

RFC 4787 REQ-5 lets a UDP mapping expire after two minutes without traffic, never sooner; RFC 3948 counts on 20 s at least. A flow
in which the client sent a packet less than that ago, and that comes out at another port, was forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.model import Observation, Side
from harness.verdict.reading import Reading

IN_USE_S = 20.0
"""A mapping that carried a packet this shortly ago is in use: the default interval of NAT-keepalives, RFC 3948 section 4."""


@dataclass(frozen=True, slots=True)
class Remapping:
    """`client`'s mapping towards the gateway's port `service` changed from outside port `before` to `after`. `last` is its last
    packet at the old port, `first` the first at the new one, `followed` the gateway's first to the client there (all outside)."""

    client: str
    service: int
    before: int
    after: int
    last: Observation
    first: Observation
    followed: Observation | None

    @property
    def sentence(self) -> str:
        answer = "the gateway followed" if self.followed is not None else "the gateway did not follow"
        return (
            f"the NAT forgot {self.client}'s mapping for port {self.service}: outside port {self.before} became {self.after}, "
            f"and {answer}"
        )


def remappings(reading: Reading) -> tuple[Remapping, ...]:
    """By time."""
    return reading.once(_remappings)


def _remappings(reading: Reading) -> tuple[Remapping, ...]:
    """Judged by what clients send alone: that makes a mapping, and what comes down need not refresh it (RFC 4787 REQ-6)."""
    latest: dict[tuple[str, int, int], Observation] = {}  # the flow's latest frame outside, and with it its port there
    found = []
    for c in reading.crossings():
        client = reading.at_address(c.inside.src)
        if c.direction != "up" or client is None or c.inside.sport is None or c.outside.dport is None:
            continue
        flow = (client, c.inside.sport, c.outside.dport)
        known = latest.get(flow)
        if known is not None and c.outside.t - known.t < IN_USE_S:
            before, after = known.sport, c.outside.sport
            if before is not None and after is not None and before != after:
                followed = _followed(reading, client, after, c.outside.t)
                found.append(Remapping(client, c.outside.dport, before, after, known, c.outside, followed))
        latest[flow] = c.outside
    return tuple(found)


def _followed(reading: Reading, client: str, port: int, after: float) -> Observation | None:
    down = (o for o in reading.way(Side.OUTSIDE, "down") if o.t > after and o.dport == port)
    return next((o for o in down if reading.flow_owner(o) == client), None)
