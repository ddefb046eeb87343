"""Open loop: every move at its moment, whatever became of those before, and lateness is known."""

from __future__ import annotations

from typing import Any, cast

import pytest

from harness.clients.fleet import Fleet
from harness.simulation.loop import SimulatedLoop
from harness.storm.engine import Driven, drive
from harness.storm.plan import Move, Plan, storm
from harness.storm.shape import Kind, Shape

NAMES = ("c1", "c2", "c3")


class Watched:
    """As much of a fleet as the engine asks for. `busy` is how much longer than the loop's the clock's time has grown."""

    def __init__(self) -> None:
        self.busy = 0.0
        self.told: list[tuple[str, float]] = []

    def now(self) -> float:
        import asyncio

        return asyncio.get_running_loop().time() + self.busy

    def delayed(self, what: str, seconds: float) -> None:
        self.told.append((what, seconds))


def driven(plan: Plan, costs: dict[str, float] | None = None) -> tuple[Driven, list[tuple[float, str]], Watched]:
    """A move of `costs` keeps the machine busy for so many seconds."""
    fleet, taken = Watched(), []

    def take(move: Move) -> None:
        taken.append((round(fleet.now(), 6), move.client))
        fleet.busy += (costs or {}).get(move.client, 0.0)

    with SimulatedLoop.runner() as runner:
        result = runner.run(drive(cast(Fleet, cast(Any, fleet)), plan, take))
    return result, taken, fleet


def test_each_move_comes_at_its_moment() -> None:
    result, taken, _ = driven(storm(NAMES, Shape(rate=2)))
    assert taken == [(0.0, "c1"), (0.5, "c2"), (1.0, "c3")]
    assert result.worst_s == pytest.approx(0.0, abs=1e-6)
    assert result.over(0.5) == 0


def test_a_burst_is_taken_in_one_moment_and_in_order() -> None:
    assert driven(storm(NAMES, Shape(Kind.BURST)))[1] == [(0.0, "c1"), (0.0, "c2"), (0.0, "c3")]


def test_a_machine_that_is_behind_knows_by_how_much_and_catches_up() -> None:
    result, taken, fleet = driven(storm(NAMES, Shape(rate=1)), {"c1": 1.75})
    assert taken == [(0.0, "c1"), (1.75, "c2"), (2.0, "c3")]
    assert result.late == pytest.approx((0.0, 0.75, 0.0), abs=1e-6)
    assert (result.over(0.5), result.worst_s) == (1, pytest.approx(0.75))
    assert max(fleet.told, key=lambda one: one[1]) == ("a client was told to join late", pytest.approx(0.75))


def test_an_empty_plan_is_over_at_once() -> None:
    assert driven(())[0].late == ()
    assert driven(())[0].worst_s == 0.0
