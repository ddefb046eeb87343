"""How a check collects what it finds, and turns it into one Verdict."""

from __future__ import annotations

from typing import Any

from harness.errors import Inconclusive
from harness.model import Observation, Outcome, Verdict

MAX_FRAMES = 50
"""As many deciding frames as one verdict names."""


class Findings:
    """Faults, deciding frames and facts of one check.

    Every comparison goes through `expect`, which also counts it: a check that compared nothing ends as Inconclusive, so that a
    run which exercised nothing cannot pass.
    """

    def __init__(self, **facts: Any) -> None:
        self.facts: dict[str, Any] = facts
        self.faults: list[str] = []
        self.judged = 0
        self._frames: list[tuple[str, int]] = []

    def expect(self, holds: bool, fault: str, *frames: Observation | None) -> bool:
        """Count one comparison; where it does not hold, keep the sentence `fault` and the frames that show it."""
        self.judged += 1
        if not holds:
            if fault not in self.faults:
                self.faults.append(fault)
            self.point(*frames)
        return holds

    def point(self, *frames: Observation | None) -> None:
        """Name deciding frames."""
        for o in frames:
            if o is not None and (o.side.value, o.frame) not in self._frames and len(self._frames) < MAX_FRAMES:
                self._frames.append((o.side.value, o.frame))

    def point_at(self, *frames: tuple[str, int]) -> None:
        for frame in frames:
            if frame not in self._frames and len(self._frames) < MAX_FRAMES:
                self._frames.append(frame)

    def verdict(self, passed: str) -> Verdict:
        """PASS with the sentence `passed`, or FAIL with the faults. Raises Inconclusive where nothing was compared."""
        if not self.judged:
            raise Inconclusive("the run held nothing that this check could judge")
        if self.faults:
            return Verdict(Outcome.FAIL, "; ".join(self.faults[:8]), {**self.facts, "faults": self.faults}, tuple(self._frames))
        return Verdict(Outcome.PASS, passed, self.facts, tuple(self._frames))


def require(holds: bool, why_not: str) -> None:
    """Raises Inconclusive with `why_not`: for what has to be there before anything can be judged."""
    if not holds:
        raise Inconclusive(why_not)
