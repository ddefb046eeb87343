"""How far apart the clocks of two captures are, from the packets that both have.

What goes up cannot come out of the NAT before it went in, nor what goes down. So the offset at any moment lies below the transit
of every packet going up, as the two clocks show it, and above the negative transit of every one going down; the quickest packets of
either direction leave the narrowest room. The middle of it is the estimate, as in NTP, and half of it the bound: half of the
quickest round trip, whatever share of it each way takes. Where no constant fits, clocks drift: then a line is looked for, of which
nothing is asked but that no packet travels back in time (the convex-hull method of Zhang, Liu and Xia, INFOCOM 2002).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from harness.model import ClockOffset, Observation, Pair, Side
from harness.probes.pairing import pair

GRAIN_S = 0.0005
"""Two captures may stamp one instant this far apart: a packet may seem to be as much quicker than light."""

DRIFT = 0.001
"""Two clocks may gain on each other by this much a second at most: a quartz that is off by more is broken."""

_HALVINGS = 60

Point = tuple[float, float]
"""Time since the first packet, and transit as the two clocks show it."""


@dataclass(frozen=True, slots=True)
class _Room:
    """Where the offset may lie: below `above` and above `below`. Of the points only those of the two convex hulls are kept."""

    below: tuple[Point, ...]
    above: tuple[Point, ...]

    def between(self, slope: float) -> tuple[float, float]:
        """(lowest, highest) value at time 0 of a line of this slope that keeps below and above."""
        return max(y - slope * t for t, y in self.below), min(y - slope * t for t, y in self.above)

    def margin(self, slope: float) -> float:
        """Half of the room for such a line; negative where it does not fit. Concave in `slope`."""
        low, high = self.between(slope)
        return (high - low) / 2


def estimate(inside: Iterable[Observation], outside: Iterable[Observation], pairs: Iterable[Pair]) -> ClockOffset | None:
    """The offset of the outside clock; None where nothing was seen on both sides.

    Only packets whose payload occurs once on each side count: for others, pairing is a matter of time. Infinite `bound_s` where
    packets went one way only, or where not even a line fits, since a clock was set meanwhile.
    """
    ins, outs = {o.frame: o for o in inside}, {o.frame: o for o in outside}
    once = _unique(ins.values()) & _unique(outs.values())
    sure = [(ins[p.inside], outs[p.outside], p.direction) for p in pairs if p.inside in ins and p.outside in outs]
    sure = [(i, o, way) for i, o, way in sure if i.payload_digest in once]
    if not sure:
        return None
    start, end = min(i.t for i, _, _ in sure), max(i.t for i, _, _ in sure)
    shown = {way: [(i.t - start, o.t - i.t) for i, o, w in sure if w == way] for way in ("up", "down")}
    counts = {way: len(found) for way, found in shown.items()}
    if not all(counts.values()):
        alone = next(way for way, count in counts.items() if count)
        quickest = (min if alone == "up" else max)(y for _, y in shown[alone])
        why = f"all packets that both captures have went {alone}, so the way through the NAT cannot be told from the clocks"
        return ClockOffset(quickest, math.inf, at=start, up=counts["up"], down=counts["down"], why=why)
    room = _Room(_hull(shown["down"], upper=True), _hull(shown["up"], upper=False))
    low, high = room.between(0.0)
    if high - low >= -2 * GRAIN_S:
        return ClockOffset((low + high) / 2, max((high - low) / 2, GRAIN_S), 0.0, start, counts["up"], counts["down"])
    slope = _best(room.margin)
    low, high = room.between(slope)
    found = ClockOffset((low + high) / 2, 0.0, slope * 1e6, start, counts["up"], counts["down"])
    if high - low < -2 * GRAIN_S:
        why = "neither one offset nor a steady drift fits all packets: one of the clocks was set meanwhile"
        return replace(found, bound_s=math.inf, why=why)
    return replace(found, bound_s=max(_reach(room, slope, end - start), GRAIN_S))


def compare(observations: Mapping[Side, Sequence[Observation]], gateway: str) -> ClockOffset | None:
    """The offset of two captures of one NAT, `corrected` where the clocks are shown to be apart; None where nothing is in both.

    How the packets are paired does not rest on their stamps as far as it counts: `estimate` takes only what occurs once.
    """
    inside, outside = observations.get(Side.INSIDE, ()), observations.get(Side.OUTSIDE, ())
    found = estimate(inside, outside, pair(inside, outside, gateway).pairs)
    return None if found is None else replace(found, corrected=provable(found))


def in_words(clock: ClockOffset | None) -> str:
    if clock is None:
        return "not compared: nothing was captured on both sides"
    if clock.why:
        return f"cannot be compared: {clock.why}"
    rests = f"{clock.up} packets up and {clock.down} down"
    bound = f"within ±{clock.bound_s * 1000:.3f} ms"
    drift = f", and gains {clock.drift_ppm:+.1f} µs a second" if clock.drift_ppm else ""
    if not clock.corrected:
        return f"not shown to be apart: {clock.offset_s * 1000:+.3f} ms, {bound}, by {rests}"
    return f"the outside's is {clock.offset_s:+.6f} s off the inside's{drift}, {bound}, by {rests}; corrected"


def provable(clock: ClockOffset) -> bool:
    """Whether the clocks are shown to be apart. Within the bound they may as well agree, and nothing is to be corrected."""
    return math.isfinite(clock.bound_s) and (clock.drift_ppm != 0.0 or abs(clock.offset_s) > clock.bound_s)


def on_one_clock(
    observations: Mapping[Side, Sequence[Observation]], clock: ClockOffset
) -> dict[Side, tuple[Observation, ...]]:
    """The observations with those of the outside on the inside's clock, where `clock` is `corrected`; else as they are."""
    put = {side: tuple(found) for side, found in observations.items()}
    if clock.corrected and Side.OUTSIDE in put:
        put[Side.OUTSIDE] = tuple(replace(o, t=o.t - clock.at_time(o.t)) for o in put[Side.OUTSIDE])
    return put


def _unique(observations: Iterable[Observation]) -> set[str]:
    return {digest for digest, count in Counter(o.payload_digest for o in observations).items() if count == 1}


def _hull(points: Sequence[Point], *, upper: bool) -> tuple[Point, ...]:
    """The upper or the lower part of the convex hull, by time (Andrew's monotone chain)."""
    sign = -1.0 if upper else 1.0
    hull: list[Point] = []
    for point in sorted(points):
        while len(hull) >= 2 and sign * _turn(hull[-2], hull[-1], point) <= 0:
            hull.pop()
        hull.append(point)
    return tuple(hull)


def _turn(a: Point, b: Point, c: Point) -> float:
    """Positive where the way from a over b to c turns left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _best(margin: Callable[[float], float]) -> float:
    """The slope of the greatest margin, by ternary search: the margin is concave."""
    low, high = -DRIFT, DRIFT
    for _ in range(2 * _HALVINGS):
        third = (high - low) / 3
        if margin(low + third) < margin(high - third):
            low += third
        else:
            high -= third
    return (low + high) / 2


def _reach(room: _Room, slope: float, span: float) -> float:
    """How far any line that fits may be from the one of `slope`, at most, in the `span` seconds. The lines that fit form a polygon
    of slope and height: what is farthest is one of its corners, which lie at the slopes of the hulls' edges."""
    height = sum(room.between(slope)) / 2
    slack = max(0.0, -room.margin(slope))
    edges = [(b[1] - a[1]) / (b[0] - a[0]) for hull in (room.below, room.above) for a, b in _edges(hull) if b[0] > a[0]]
    ends = (_last_fit(room, slope, -DRIFT, slack), _last_fit(room, slope, DRIFT, slack))
    farthest = 0.0
    for other in (*ends, *(edge for edge in edges if ends[0] <= edge <= ends[1])):
        for value in room.between(other):
            for t in (0.0, span):
                farthest = max(farthest, abs(value - height + (other - slope) * t))
    return farthest


def _edges(hull: tuple[Point, ...]) -> Iterable[tuple[Point, Point]]:
    return pairwise(hull)


def _last_fit(room: _Room, fits: float, beyond: float, slack: float) -> float:
    """The slope farthest from `fits` towards `beyond` that still fits, by bisection."""
    for _ in range(_HALVINGS):
        middle = (fits + beyond) / 2
        if room.margin(middle) >= -slack:
            fits = middle
        else:
            beyond = middle
    return fits
