"""What counts as sustained, and whether the search finds a rate that is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.storm.meter import TOTAL, Measured
from harness.storm.ramp import (
    FACTOR,
    LATE_S,
    MOST_STEPS,
    PRECISION,
    WITHIN_S,
    Outcome,
    Tried,
    arrivals_of,
    found,
    judge,
    next_rate,
)

WELL = Measured(100, 100, 0, {}, (), {TOTAL: {50: 0.2, 90: 0.4, 99: 0.9, 100: 1.2}}, ())
GOOD, OVER, LATE = Outcome.SUSTAINED, Outcome.OVERLOADED, Outcome.LATE


def search(outcome: Callable[[float], Outcome], first: float = 10.0, highest: float = math.inf) -> tuple[Tried, ...]:
    tried: tuple[Tried, ...] = ()
    while (rate := next_rate(tried, first=first, highest=highest)) is not None:
        tried += (Tried(rate, outcome(rate)),)
    return tried


def test_all_up_in_time_and_none_lost_is_sustained() -> None:
    assert judge(20, WELL, 0.0) == Tried(20, GOOD)


@pytest.mark.parametrize(
    ("measured", "because"),
    [
        (replace(WELL, up=99, failed={"main mode": 1}), "1 of 100 did not come up (main mode: 1)"),
        (replace(WELL, up=98, waiting=2), "2 of 100 did not come up (not decided)"),
        (replace(WELL, lost=("c7",)), "1 established were lost: c7"),
        (replace(WELL, took_s={TOTAL: {100: WITHIN_S + 0.01}}), "a set-up took 2.01 s"),
    ],
)
def test_each_condition_is_one(measured: Measured, because: str) -> None:
    assert judge(20, measured, 0.0) == Tried(20, OVER, because)


def test_clients_that_think_themselves_up_and_are_not_answered_are_lost() -> None:
    assert judge(20, WELL, 0.0, silent=["c1", "c2"]) == Tried(20, OVER, "2 of 100 are not alive, nothing answers c1, c2")


def test_a_late_generator_accuses_nobody() -> None:
    failing = replace(WELL, up=0, failed={"main mode": 100})
    assert judge(20, failing, LATE_S + 0.1) == Tried(20, LATE, "the generator was 0.60 s late")
    assert judge(20, failing, 0.0, ["a timer fired late"]) == Tried(20, LATE, "a timer fired late")


def test_as_many_arrive_in_a_step_as_come_in_its_time() -> None:
    assert [arrivals_of(rate, 500, 20.0) for rate in (0.01, 2.5, 10, 25, 80)] == [2, 50, 200, 500, 500]


def test_a_gateway_of_53_set_ups_a_second_is_found_out() -> None:
    tried = search(lambda rate: GOOD if rate <= 53 else OVER)
    assert [round(one.rate, 1) for one in tried] == [10, 20, 40, 80, 56.6, 47.6, 51.9]
    assert found(tried).rate == pytest.approx(51.9, abs=0.1)
    assert found(tried).limit == pytest.approx(56.6, abs=0.1)


@given(st.floats(0.2, 3000))
def test_whatever_is_borne_is_found_within_the_precision(borne: float) -> None:
    tried = search(lambda rate: GOOD if rate <= borne else OVER)
    now = found(tried)
    assert len(tried) <= MOST_STEPS
    if len(tried) < MOST_STEPS:
        assert now.rate is not None
        assert now.limit is not None
        assert now.rate <= borne <= now.limit <= now.rate * PRECISION


def test_the_search_is_bounded_upward_downward_and_by_what_is_wanted() -> None:
    assert len(search(lambda rate: GOOD)) == MOST_STEPS
    assert len(search(lambda rate: OVER)) == MOST_STEPS
    assert [one.rate for one in search(lambda rate: GOOD, highest=30)] == [10, 20, 30]
    assert found(search(lambda rate: OVER)).rate is None


def test_where_the_generator_ends_first_it_says_so() -> None:
    now = found(search(lambda rate: GOOD if rate < 35 else LATE))
    assert now.by_generator
    assert now.rate is not None
    assert now.rate < 35
    assert not found(search(lambda rate: GOOD if rate < 35 else OVER)).by_generator


def test_a_rate_that_held_above_one_that_did_not_does_not_count() -> None:
    tried = (Tried(10, GOOD), Tried(20, OVER), Tried(14.1, GOOD), Tried(40, GOOD))
    assert found(tried).rate == 14.1


def test_from_a_first_rate_that_is_too_much_it_goes_down() -> None:
    assert [one.rate for one in search(lambda rate: GOOD if rate <= 3 else OVER, first=20)][:4] == [20, 10, 5, 5 / FACTOR]


def test_the_example_of_the_document() -> None:
    """500 clients and a gateway that completes 53 set-ups a second, each of which takes 0.05 s by itself."""

    def outcome(rate: float) -> Outcome:
        n = arrivals_of(rate, 500)
        waits = max(0.0, n / 53 - n / rate) + 0.05
        return judge(rate, replace(WELL, took_s={TOTAL: {100: waits}}), 0.0).outcome

    tried = search(outcome)
    assert [(round(one.rate, 1), one.outcome is GOOD) for one in tried] == [
        (10.0, True),
        (20.0, True),
        (40.0, True),
        (80.0, False),
        (56.6, True),
        (67.3, False),
        (61.7, True),
    ]
    assert found(tried).rate == pytest.approx(61.7, abs=0.1)
