"""Reading what a busy NAT router prints: CPU of 10,000 rows of `show ip nat translations`, and whether memory grows with the
rows."""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import dataclass

from harness.devices.ios import parse
from harness.errors import NatstormError

ROWS = 10_000
BUDGET_S = 0.2
GROWTH = 2.2
"""Memory of twice the rows: twice as much, and a tenth for how lists grow."""

COMMAND = "show ip nat translations"


@dataclass(frozen=True)
class Parsing:
    """`cpu_s` of ROWS rows, the best of three; `octets` at the peak a row; `growth` of the peak from half of the rows to all."""

    cpu_s: float
    octets: float
    growth: float

    @property
    def over(self) -> bool:
        return self.cpu_s > BUDGET_S or self.growth > GROWTH


def text(rows: int) -> str:
    """Clients behind one outside address, on port 4500 of one gateway, and every fourth with an esp entry."""
    lines = ["Pro Inside global      Inside local       Outside local      Outside global"]
    for one in range(rows):
        inside = f"10.{one // 62500}.{one // 250 % 250}.{one % 250 + 1}"
        if one % 4:
            lines.append(f"udp 203.0.113.232:{1024 + one} {inside}:4500      203.0.113.231:4500 203.0.113.231:4500")
        else:
            lines.append(f"esp 203.0.113.232:0    {inside}:0         203.0.113.231:0    203.0.113.231:{0x20000000 + one:X}")
    return "\n".join([*lines, ""])


def measure() -> Parsing:
    """Raises NatstormError where a row was not read: a parser that skips is fast."""
    whole, half = text(ROWS), text(ROWS // 2)
    cpu_s = min(_cpu(whole) for _ in range(3))
    few, many = _peak(half), _peak(whole)
    return Parsing(cpu_s, many / ROWS, many / few)


def _cpu(whole: str) -> float:
    before = time.process_time()
    found = parse(COMMAND, whole)
    spent = time.process_time() - before
    if len(found.rows) != ROWS or found.unread:
        raise NatstormError(f"of {ROWS} translations {len(found.rows)} were read")
    return spent


def _peak(whole: str) -> int:
    tracemalloc.start()
    try:
        parse(COMMAND, whole)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
