"""When clients arrive: as many as were asked for, in order, at the rate that was asked for."""

from __future__ import annotations

from itertools import pairwise
from statistics import mean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.storm.shape import Kind, Shape


@given(kind=st.sampled_from(Kind), rate=st.floats(0.01, 1000), arrivals=st.integers(0, 300), seed=st.integers(0, 9))
def test_any_shape_gives_so_many_times_in_order_from_nought(kind: Kind, rate: float, arrivals: int, seed: int) -> None:
    times = Shape(kind, rate, seed).times(arrivals)
    assert len(times) == arrivals
    assert list(times) == sorted(times)
    assert times[:1] == (0.0,)[:arrivals]


def test_steady_arrivals_are_equally_far_apart() -> None:
    assert Shape(Kind.STEADY, 4).times(5) == (0.0, 0.25, 0.5, 0.75, 1.0)


def test_a_burst_is_one_moment() -> None:
    assert Shape(Kind.BURST).times(3) == (0.0, 0.0, 0.0)


def test_a_rising_rate_grows_evenly_to_what_was_asked_for() -> None:
    times = Shape(Kind.RISING, 50).times(1000)
    assert times[-1] < 40.0  # 2 * 1000 / 50
    in_each_quarter = [sum(10 * quarter <= at < 10 * (quarter + 1) for at in times) for quarter in range(4)]
    assert in_each_quarter == pytest.approx([62.5, 187.5, 312.5, 437.5], abs=1)  # 1, 3, 5, 7 sixteenths of 1000
    assert 1 / (times[-1] - times[-2]) == pytest.approx(50, rel=0.01)


def test_chance_keeps_the_rate_and_spreads_the_gaps() -> None:
    times = Shape(Kind.POISSON, 20, seed=3).times(5000)
    gaps = [after - before for before, after in pairwise(times)]
    assert mean(gaps) == pytest.approx(1 / 20, rel=0.05)
    assert pstdev(gaps) == pytest.approx(1 / 20, rel=0.05)  # of an exponential distribution they are the same


def test_the_seed_decides_what_chance_does() -> None:
    assert Shape(Kind.POISSON, 20, 3).times(50) == Shape(Kind.POISSON, 20, 3).times(50)
    assert Shape(Kind.POISSON, 20, 3).times(50) != Shape(Kind.POISSON, 20, 4).times(50)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="a second is not possible"):
        Shape(Kind.STEADY, rate)
