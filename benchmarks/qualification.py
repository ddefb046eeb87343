"""How long what a user calls takes: the qualification of the virtual testbed, and a day of clients that come and go."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

from harness.errors import NatstormError
from harness.lab import enclosure

CLIENTS = (2, 6, 25)
QUALIFY_S = 90.0
"""For `natstorm qualify` on testbeds/virtual.yaml, whatever the number of clients."""

DAY_S = 600.0
"""For a day of churn with a hundred clients, in virtual time."""

ALTOGETHER_S = 360.0
"""For `make qualify`: our own gateway with a real client in a guest, then the real gateway."""


@dataclass(frozen=True)
class Timed:
    """Seconds of the wall's clock, the command's start-up and its report among them."""

    what: str
    took_s: float
    budget_s: float

    @property
    def over(self) -> bool:
        return self.took_s > self.budget_s

    def __str__(self) -> str:
        return f"{self.what}: {self.took_s:.0f} s, {self.took_s / self.budget_s:.2f} of the {self.budget_s:.0f} s that it may take"


def qualify(clients: int) -> Timed:
    return _timed(f"natstorm qualify with {clients} clients", QUALIFY_S, "--clients", str(clients))


def altogether() -> Timed:
    what = "make qualify"
    runs = (("--guests",), ("--testbed", "testbeds/linux.yaml"))
    return Timed(what, sum(_timed(what, ALTOGETHER_S, *words).took_s for words in runs), ALTOGETHER_S)


def churn_day() -> Timed:
    return _timed("a day of churn in virtual time", DAY_S, "--time", "virtual", "--variant", "demux", "-k", "churn-day")


def _timed(what: str, budget_s: float, *words: str) -> Timed:
    """NatstormError where not all of it passed: then its time says nothing."""
    with tempfile.TemporaryDirectory(prefix="natstorm-bench-") as reports:
        command = [sys.executable, "-m", "harness.cli", "qualify", "--json", "--reports", reports, *words]
        began = time.monotonic()
        done = subprocess.run(command, cwd=enclosure.ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        took = time.monotonic() - began
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-15:])
        raise NatstormError(f"{what}: status {done.returncode}\n{said}")
    return Timed(what, took, budget_s)
