"""One clock a run: cores live on a monotonic clock, records and captures on the epoch; the offset between them is fixed once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

Now = Callable[[], float]


@dataclass(frozen=True, slots=True)
class RunClock:
    """`monotonic` and `realtime` give seconds; `offset` is what turns the first into the second, as it was when the run began."""

    offset: float
    monotonic: Now = time.monotonic
    realtime: Now = time.time

    @classmethod
    def fix(cls, monotonic: Now = time.monotonic, realtime: Now = time.time) -> RunClock:
        """Reads both clocks as close together as can be: of several readings, the one with the least time around it."""
        best = min((_reading(monotonic, realtime) for _ in range(5)), key=lambda reading: reading[0])
        return cls(best[1], monotonic, realtime)

    def epoch(self, now: float) -> float:
        """Seconds since the epoch for a moment of the monotonic clock."""
        return now + self.offset

    def drift(self) -> float:
        """By how many seconds the epoch's clock has moved against the monotonic one since the offset was fixed."""
        return min((_reading(self.monotonic, self.realtime) for _ in range(5)), key=lambda reading: reading[0])[1] - self.offset


def _reading(monotonic: Now, realtime: Now) -> tuple[float, float]:
    before = monotonic()
    epoch = realtime()
    after = monotonic()
    return after - before, epoch - (before + after) / 2
