from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.model import FrameKind, Observation, Pair, Side
from harness.probes.clocks import GRAIN_S, estimate, on_one_clock, provable

START = 1_700_000_000.0


def packet(side: Side, frame: int, t: float, digest: str) -> Observation:
    return Observation(side, frame, t, "10.0.0.2", "203.0.113.1", 4500, 4500, 64, FrameKind.ESP, 100, digest)


def crossed(
    late: Callable[[float], float], *, up: tuple[float, float] = (0.001, 0.02), down: tuple[float, float] = (0.001, 0.02),
    ways: tuple[str, ...] = ("up", "down"), seconds: float = 60.0, count: int = 400,
) -> tuple[list[Observation], list[Observation], list[Pair]]:  # fmt: skip
    """Packets that take between `up` and `down` seconds through the NAT; `late(t)` is how much later the outside clock is then."""
    chance = random.Random(7)
    inside, outside, pairs = [], [], []
    for n in range(1, count + 1):
        way = ways[n % len(ways)]
        before = START + seconds * n / count
        after = before + chance.uniform(*(up if way == "up" else down))
        at_inside, at_outside = (before, after) if way == "up" else (after, before)
        inside.append(packet(Side.INSIDE, n, at_inside, f"{n}"))
        outside.append(packet(Side.OUTSIDE, n, at_outside + late(at_outside - START), f"{n}"))
        pairs.append(Pair(n, n, way))
    return inside, outside, pairs


@pytest.mark.parametrize("true", [-5.0, -0.05, 0.05, 3600.0])
def test_an_offset_is_found_within_its_bound_and_corrected(true: float) -> None:
    inside, outside, pairs = crossed(lambda t: true)
    found = estimate(inside, outside, pairs)
    assert found is not None
    assert abs(found.offset_s - true) <= found.bound_s < 0.005
    assert (found.up, found.down, found.drift_ppm) == (200, 200, 0.0)
    assert provable(found)


def test_unequal_ways_stay_within_the_bound() -> None:
    """The NAT is slow upwards only: the estimate is off by half of that, and the bound says so."""
    found = estimate(*crossed(lambda t: 5.0, up=(0.4, 0.5)))
    assert found is not None
    assert 0.15 < abs(found.offset_s - 5.0) <= found.bound_s < 0.25


def test_clocks_that_may_agree_are_not_corrected() -> None:
    found = estimate(*crossed(lambda t: 0.0, up=(0.3, 0.4)))
    assert found is not None
    assert not provable(found)


@pytest.mark.parametrize("ppm", [-80.0, 40.0])
def test_a_drift_over_an_hour_is_found_and_taken_out(ppm: float) -> None:
    inside, outside, pairs = crossed(lambda t: 2.0 + ppm * 1e-6 * t, seconds=3600.0, count=2000)
    found = estimate(inside, outside, pairs)
    assert found is not None
    assert abs(found.drift_ppm - ppm) < 2.0
    for t in (0.0, 1800.0, 3600.0):
        assert abs(found.at_time(START + t) - (2.0 + ppm * 1e-6 * t)) <= found.bound_s < 0.02
    put = on_one_clock({Side.INSIDE: inside, Side.OUTSIDE: outside}, replace(found, corrected=True))
    for pair in pairs:
        took = put[Side.OUTSIDE][pair.outside - 1].t - put[Side.INSIDE][pair.inside - 1].t
        assert -GRAIN_S <= (took if pair.direction == "up" else -took) < 0.05
    assert on_one_clock({Side.OUTSIDE: outside}, found)[Side.OUTSIDE] == tuple(outside)


def test_a_clock_that_was_set_leaves_no_bound() -> None:
    found = estimate(*crossed(lambda t: 0.0 if t < 30 else 4.0))
    assert found is not None
    assert math.isinf(found.bound_s)
    assert "was set" in found.why
    assert not provable(found)


@pytest.mark.parametrize("way", ["up", "down"])
def test_one_direction_alone_leaves_no_bound(way: str) -> None:
    found = estimate(*crossed(lambda t: 5.0, ways=(way,)))
    assert found is not None
    assert math.isinf(found.bound_s)
    assert way in found.why


def test_packets_that_are_alike_do_not_count() -> None:
    inside, outside, pairs = crossed(lambda t: 5.0, count=40)
    for n in (40, 41):  # one keepalive lost, the other taken for it: it would seem to have been quick by 9 s
        inside.append(packet(Side.INSIDE, n + 1, START + n, "alike"))
    outside.append(packet(Side.OUTSIDE, 41, START + 30.0, "alike"))
    found = estimate(inside, outside, [*pairs, Pair(41, 41, "up")])
    assert found is not None
    assert (found.up, found.down) == (20, 20)
    assert abs(found.offset_s - 5.0) <= found.bound_s


def test_nothing_in_common_tells_nothing() -> None:
    assert estimate([], [], []) is None
