"""Does a client cost more where there are many? CPU of a set-up in a storm of many clients, against that in a storm of few."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from benchmarks import set_up
from harness.clients.fleet import Fleet
from harness.errors import NatstormError
from harness.storm.engine import drive
from harness.storm.plan import storm
from harness.storm.shape import Shape

FEW, MANY = 50, 500
RATE = 40.0
"""Arrivals a second: the same in both, so that the loop wakes as often for each client."""

ROUNDS = 3
CASE = ("linux", "modp2048", "aes-128")
TOLERANCE = 1.15


@dataclass(frozen=True)
class Growth:
    """Milliseconds of CPU a set-up among FEW and among MANY clients, medians of interleaved rounds."""

    few_ms: float
    many_ms: float

    @property
    def ratio(self) -> float:
        return self.many_ms / self.few_ms


async def arrive(fleet: Fleet, numbers: range, personality: str) -> None:
    """In open loop; all of `numbers` are up when it returns."""
    names = [fleet.add(set_up.plan(number, personality)).name for number in numbers]
    driven = await drive(fleet, storm(names, Shape(rate=RATE)), lambda move: fleet[move.client].connect())
    if not await fleet.until(lambda _: all(fleet[name].up for name in names), set_up.PATIENCE_S):
        down = [name for name in names if not fleet[name].up]
        raise NatstormError(f"{len(down)} of {len(names)} clients did not come up (the generator was {driven.worst_s:.2f} s late)")


def measure() -> Growth:
    found: dict[int, list[float]] = {FEW: [], MANY: []}
    for _ in range(ROUNDS):
        for clients, costs in found.items():
            costs.append(set_up.measure(clients, *CASE, connect=arrive).cpu_ms)
    return Growth(median(found[FEW]), median(found[MANY]))
