"""The highest rate of arrivals that is sustained: what counts as sustained, and the search for it. Pure; docs/storm.md has the
formula and an example that is worked out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.storm.meter import Measured

WITHIN_S = 2.0
"""A set-up may take this long. Windows sends its first IKE message anew after 1 s; beyond twice that a queue is growing."""

STEP_S = 20.0
"""How long arrivals go on at one rate: a queue that grows by a tenth of what arrives has then grown to WITHIN_S."""

LATE_S = 0.5
"""A generator that is later than this does not offer the rate that it claims."""

FIRST_RATE = 10.0
FACTOR = 2.0
PRECISION = 1.15
"""The search ends where the lowest rate that was not sustained is less than this many times the highest that was."""

MOST_STEPS = 10


class Outcome(StrEnum):
    SUSTAINED = "sustained"
    OVERLOADED = "overloaded"
    LATE = "late"  # the generator itself did not keep up: nothing is known of the gateway


@dataclass(frozen=True, slots=True)
class Tried:
    """One step of the search. `because` says in words why it was not sustained."""

    rate: float
    outcome: Outcome
    because: str = ""


def arrivals_of(rate: float, clients: int, step_s: float = STEP_S) -> int:
    """How many clients arrive in a step: as many as come in `step_s`, but not more than there are, and two at least."""
    return max(2, min(clients, math.ceil(rate * step_s)))


def judge(
    rate: float,
    measured: Measured,
    late_s: float,
    behind: Sequence[str] = (),
    *,
    silent: Sequence[str] = (),
    within_s: float = WITHIN_S,
) -> Tried:
    """`late_s` is what the generator was late by at its worst, `behind` what else its own records complain of. A late generator is
    told first: it may be the cause of all else. `silent` are the clients whom nothing answered in the calm after the arrivals: a
    client that is cut off thinks itself up for a minute."""
    if late_s > LATE_S:
        return Tried(rate, Outcome.LATE, f"the generator was {late_s:.2f} s late")
    if behind:
        return Tried(rate, Outcome.LATE, behind[0])
    missing = measured.arrivals - measured.up
    if missing:
        stages = ", ".join(f"{stage}: {number}" for stage, number in measured.failed.items()) or "not decided"
        return Tried(rate, Outcome.OVERLOADED, f"{missing} of {measured.arrivals} did not come up ({stages})")
    if measured.lost:
        return Tried(rate, Outcome.OVERLOADED, f"{len(measured.lost)} established were lost: {', '.join(measured.lost[:5])}")
    if silent:
        told = f"{len(silent)} of {measured.up} are not alive, nothing answers {', '.join(silent[:5])}"
        return Tried(rate, Outcome.OVERLOADED, told)
    slowest = measured.slowest_s
    if slowest is None or slowest > within_s:
        return Tried(rate, Outcome.OVERLOADED, f"a set-up took {slowest or math.inf:.2f} s")
    return Tried(rate, Outcome.SUSTAINED)


@dataclass(frozen=True, slots=True)
class Found:
    """`rate` is the highest that was sustained, None where none was. `limit` is the lowest that was not, None where all were.
    `by_generator`: it was the generator that could not do more, so that `rate` is no more than a lower bound of the gateway's."""

    rate: float | None
    limit: float | None
    by_generator: bool


def found(tried: tuple[Tried, ...]) -> Found:
    """What the steps so far amount to. A rate that was sustained once, above one that was not, does not count."""
    limit = min((one for one in tried if one.outcome is not Outcome.SUSTAINED), key=lambda one: one.rate, default=None)
    good = [one.rate for one in tried if one.outcome is Outcome.SUSTAINED and (limit is None or one.rate < limit.rate)]
    best = max(good, default=None)
    return Found(best, None if limit is None else limit.rate, limit is not None and limit.outcome is Outcome.LATE)


def next_rate(
    tried: tuple[Tried, ...],
    *,
    first: float = FIRST_RATE,
    precision: float = PRECISION,
    most: int = MOST_STEPS,
    highest: float = math.inf,
) -> float | None:
    """The rate to try next: up (or down) by FACTOR until the answer lies between two, then their geometric mean. None when it is
    known within `precision`, `highest` was sustained, or `most` steps have been tried."""
    if len(tried) >= most:
        return None
    if not tried:
        return min(first, highest)
    now = found(tried)
    if now.rate is None:
        assert now.limit is not None
        return now.limit / FACTOR
    if now.limit is None:
        return None if now.rate >= highest else min(now.rate * FACTOR, highest)
    return None if now.limit / now.rate <= precision else math.sqrt(now.rate * now.limit)
