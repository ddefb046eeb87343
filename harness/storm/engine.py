"""Carries a plan out, in open loop: every move at its moment, whatever has become of those before.

A generator that waited for one client before it dialled the next would spare a slow gateway the storm. One that cannot keep to its
plan must know it: what it is late by is measured at every move and told to the fleet, and a run in which it was too late is
INCONCLUSIVE.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.storm.plan import Move, Plan

if TYPE_CHECKING:
    from harness.clients.fleet import Fleet


@dataclass(frozen=True, slots=True)
class Driven:
    """`began` is on the run's monotonic clock; `late` holds by how many seconds each move came after its moment."""

    began: float
    late: tuple[float, ...]

    @property
    def worst_s(self) -> float:
        return max(self.late, default=0.0)

    def over(self, seconds: float) -> int:
        """How many moves were later than that."""
        return sum(one > seconds for one in self.late)


async def drive(fleet: Fleet, plan: Plan, take: Callable[[Move], object]) -> Driven:
    """`take` makes a move, and does not wait for what comes of it."""
    began = fleet.now()
    late = []
    for move in plan:
        await asyncio.sleep(began + move.at - fleet.now())  # of a moment that has passed, too: the clients' turn comes in between
        behind = max(0.0, fleet.now() - began - move.at)
        late.append(behind)
        fleet.delayed(f"a client was told to {move.turn.value} late", behind)
        take(move)
    return Driven(began, tuple(late))
