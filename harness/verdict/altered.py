"""Packets that the NAT changed beyond what a NAT may change: they went in, and something else came out in their place."""

from __future__ import annotations

from dataclasses import dataclass

from harness.model import FrameKind, Observation, Side
from harness.verdict.reading import Reading

NAT_TRANSIT_S = 0.1
"""Longest time a packet may spend in the NAT to be taken for the one that came out."""

CLOCK_GRAIN_S = 0.001
"""Two captures may stamp one instant this far apart."""


@dataclass(frozen=True, slots=True)
class Altered:
    """A frame before the NAT and the frame behind it that took its place with another payload."""

    direction: str
    before: Observation
    behind: Observation


def altered(reading: Reading) -> tuple[Altered, ...]:
    """Unpaired frames behind the NAT for which one of the same kind and flow, unpaired too, had just gone in.

    The flow is known by the port mapping that the paired packets show; where none is known, by kind and time alone.
    """
    pairs = reading.evidence.pairs
    paired = {(Side.INSIDE, p.inside) for p in pairs} | {(Side.OUTSIDE, p.outside) for p in pairs}
    outer = {(c.inside.src, c.inside.sport): c.outside.sport for c in reading.crossings() if c.direction == "up"}
    found = []
    for direction, before, behind in (("up", Side.INSIDE, Side.OUTSIDE), ("down", Side.OUTSIDE, Side.INSIDE)):
        waiting = [o for o in reading.way(before, direction) if (o.side, o.frame) not in paired]
        for o in reading.way(behind, direction):
            if (o.side, o.frame) in paired or o.kind in (FrameKind.ICMP, FrameKind.OTHER):
                continue
            source = next((w for w in waiting if _same_flow(w, o, direction, outer)), None)
            if source is not None:
                waiting.remove(source)
                found.append(Altered(direction, source, o))
    return tuple(found)


def _same_flow(before: Observation, behind: Observation, direction: str, outer: dict[tuple[str, int | None], int | None]) -> bool:
    if before.kind is not behind.kind or not -CLOCK_GRAIN_S <= behind.t - before.t <= NAT_TRANSIT_S:
        return False
    inside, outside = (before, behind) if direction == "up" else (behind, before)
    flow = (inside.src, inside.sport) if direction == "up" else (inside.dst, inside.dport)
    port = outside.sport if direction == "up" else outside.dport
    return flow not in outer or outer[flow] == port
