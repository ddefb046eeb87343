"""A NAT that forgets: a client's mapping that became another one though it was in use.

RFC 4787 REQ-5 lets a UDP mapping expire after two minutes without traffic, never sooner; RFC 3948 counts on 20 s at least. A flow
that had a packet less than that ago and comes out at another port was forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.model import Observation, Side
from harness.verdict.reading import Reading

IN_USE_S = 20.0
"""A mapping that carried a packet this shortly ago is in use: the default interval of NAT-keepalives, RFC 3948 section 4."""


@dataclass(frozen=True, slots=True)
class Remapping:
    """`client`'s mapping towards the gateway's port `service` changed from outside port `before` to `after`. `last` is the last
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
    latest: dict[tuple[str, int, int], Observation] = {}  # the flow's latest frame outside, and with it its port there
    found = []
    for c in reading.crossings():
        client = reading.at_address(c.inside.src if c.direction == "up" else c.inside.dst)
        ports = (c.inside.sport, c.outside.dport) if c.direction == "up" else (c.inside.dport, c.outside.sport)
        if client is None or ports[0] is None or ports[1] is None:
            continue
        flow = (client, ports[0], ports[1])
        known = latest.get(flow)
        # Only what a client sends makes a mapping; what comes down can have been let through by another's.
        if c.direction == "up" and known is not None and c.outside.t - known.t < IN_USE_S:
            before, after = _port(reading, known), _port(reading, c.outside)
            if before is not None and after is not None and before != after:
                followed = _followed(reading, client, after, c.outside.t)
                found.append(Remapping(client, ports[1], before, after, known, c.outside, followed))
        if c.direction == "up" or (known is not None and _port(reading, known) == _port(reading, c.outside)):
            latest[flow] = c.outside
    return tuple(found)


def _port(reading: Reading, o: Observation) -> int | None:
    """The client's port as the outside sees it."""
    return o.sport if reading.direction(o) == "up" else o.dport


def _followed(reading: Reading, client: str, port: int, after: float) -> Observation | None:
    down = (o for o in reading.way(Side.OUTSIDE, "down") if o.t > after and o.dport == port)
    return next((o for o in down if reading.flow_owner(o) == client), None)
