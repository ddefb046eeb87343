"""When clients arrive: times in seconds from a storm's beginning, pure. The same shape, number and seed give the same times."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from enum import StrEnum

from harness.errors import UsageError


class Kind(StrEnum):
    STEADY = "steady"  # one every 1/rate seconds
    BURST = "burst"  # all in one moment
    RISING = "rising"  # the rate grows evenly from nothing to `rate`, so that the mean is half of it
    POISSON = "poisson"  # gaps by chance, exponentially distributed around 1/rate


@dataclass(frozen=True, slots=True)
class Shape:
    """`rate` is in arrivals a second; a burst has none. `seed` decides what is left to chance."""

    kind: Kind = Kind.STEADY
    rate: float = 5.0
    seed: int = 1

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise UsageError(f"a rate of {self.rate:g} arrivals a second is not possible", cure="a number above 0")

    def times(self, arrivals: int) -> tuple[float, ...]:
        """So many times, in order."""
        match self.kind:
            case Kind.BURST:
                return (0.0,) * arrivals
            case Kind.STEADY:
                return tuple(number / self.rate for number in range(arrivals))
            case Kind.RISING:
                # By t there are rate * t^2 / 2T of them; all of them have come by T = 2 * arrivals / rate.
                whole = 2 * arrivals / self.rate
                return tuple(whole * math.sqrt(number / arrivals) for number in range(arrivals))
            case Kind.POISSON:
                chance = random.Random(self.seed)
                times, at = [], 0.0
                for _ in range(arrivals):
                    times.append(at)
                    at += chance.expovariate(self.rate)
                return tuple(times)

    def __str__(self) -> str:
        match self.kind:
            case Kind.BURST:
                return "in one moment"
            case Kind.STEADY:
                return f"{self.rate:g} a second"
            case Kind.RISING:
                return f"rising to {self.rate:g} a second"
            case Kind.POISSON:
                return f"{self.rate:g} a second on average, by chance (seed {self.seed})"
