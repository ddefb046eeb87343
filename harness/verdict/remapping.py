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


ASKED_FOR = ("nat-clears", "nat-reboots", "nat-renumbers")
"""The steps in which a scenario has the NAT give a client another mapping, as its operator may."""


@dataclass(frozen=True, slots=True)
class Remapping:
    """`client`'s mapping towards the gateway's port `service` changed from outside port `before` to `after`. `last` is its last
    packet at the old port, `first` the first at the new one, `followed` the gateway's first to the client there (all outside).
    `asked_for`: by a step of the scenario, for that client or for all.
    """

    client: str
    service: int
    before: int
    after: int
    last: Observation
    first: Observation
    followed: Observation | None
    asked_for: bool = False

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
                asked_for = _asked_for(reading, client, known.t, c.outside.t)
                found.append(Remapping(client, c.outside.dport, before, after, known, c.outside, followed, asked_for))
        latest[flow] = c.outside
    return tuple(found)


def _asked_for(reading: Reading, client: str, since: float, until: float) -> bool:
    steps = (s for kind in ASKED_FOR for s in reading.steps(kind) if not s.clients or client in s.clients)
    return any(s.began <= until and since <= s.ended for s in steps)


def _followed(reading: Reading, client: str, port: int, after: float) -> Observation | None:
    down = (o for o in reading.way(Side.OUTSIDE, "down") if o.t > after and o.dport == port)
    return next((o for o in down if reading.flow_owner(o) == client), None)
