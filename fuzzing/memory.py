"""Whether memory stays flat: a process's resident size and its live objects against the datagrams it has seen."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.wire import ip

BYTES_PER_DATAGRAM = 1.0
"""The slope of resident memory that is still flat: ten million datagrams of a process's would be 10 MB."""
NOISE_BYTES = 12 << 20
"""What the slope may add up to over a short run, in which allocators still find their level."""
OBJECTS_PER_DATAGRAM = 0.002
NOISE_OBJECTS = 20_000
WARM_UP = 0.25
"""Share of the samples that do not count, while caches fill."""


@dataclass(frozen=True, slots=True)
class Sample:
    """`thrown` datagrams up to now, `resident` bytes, `objects` that Python has allocated (None of another process)."""

    thrown: int
    resident: int
    objects: int | None


def sample(thrown: int) -> Sample:
    """Of this process. The caches of addresses, 65536 entries at most, are emptied: bounded, they
    would look like growth all the same."""
    ip.packed.cache_clear()
    ip.dotted.cache_clear()
    gc.collect()
    return Sample(thrown, resident(os.getpid()), sys.getallocatedblocks())


def resident(process: int) -> int:
    """Bytes of memory that a process has resident."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the regression line; 0 where there are too few points for one."""
    if len(points) < 3:
        return 0.0
    x, y = (sum(values) / len(points) for values in zip(*points, strict=True))
    across = sum((one - x) ** 2 for one, _ in points)
    return sum((one - x) * (other - y) for one, other in points) / across if across else 0.0


@dataclass(frozen=True, slots=True)
class Growth:
    """Per datagram, and whether that is flat."""

    resident: float
    objects: float
    flat: bool


def growth(samples: Sequence[Sample]) -> Growth:
    counted = samples[int(len(samples) * WARM_UP) :]
    size = slope([(one.thrown, one.resident) for one in counted])
    objects = slope([(one.thrown, one.objects) for one in counted if one.objects is not None])
    span = counted[-1].thrown - counted[0].thrown if counted else 0
    flat_size = size <= BYTES_PER_DATAGRAM or size * span <= NOISE_BYTES
    flat_objects = objects <= OBJECTS_PER_DATAGRAM or objects * span <= NOISE_OBJECTS
    return Growth(size, objects, flat_size and flat_objects)
