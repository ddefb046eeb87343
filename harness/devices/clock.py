"""How far a device's clock is from this machine's, asked over its command line.

A device answers between the question and the hearing of its answer, so its clock is known to within half of that round trip (as in
NTP, RFC 5905 section 8); of several the quickest counts.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from harness.devices.execute import Execute
from harness.errors import DeviceError

COMMAND = "date +%s.%N"
ASKED = 5
TIMEOUT_S = 15.0


class Asked(NamedTuple):
    """One round trip. `sent` and `heard` are seconds since the epoch by this machine's clock, `there` by the device's."""

    sent: float
    there: float
    heard: float


class Offset(NamedTuple):
    """The device's clock is `seconds` later than this machine's, give or take `bound`."""

    seconds: float
    bound: float

    def __str__(self) -> str:
        return f"{self.seconds * 1000:+.1f} ms off this machine's, within ±{self.bound * 1000:.1f} ms"


def offset(asked: Iterable[Asked]) -> Offset:
    """By the quickest round trip. ValueError where there is none."""
    best = min(asked, key=lambda one: one.heard - one.sent)
    return Offset(best.there - (best.sent + best.heard) / 2, (best.heard - best.sent) / 2)


async def measure(name: str, execute: Execute, now: Callable[[], float] = time.time) -> Offset:
    """Asks device `name` for its time. DeviceError where it does not tell it."""
    found = []
    for _ in range(ASKED):
        sent = now()
        result = await execute(COMMAND, TIMEOUT_S)
        heard = now()
        told = re.fullmatch(r"(\d+\.\d+)\s*", result.output)
        if result.status != 0 or told is None:
            raise DeviceError(name, COMMAND, result.output.strip() or f"exit status {result.status}")
        found.append(Asked(sent, float(told[1]), heard))
    return offset(found)
