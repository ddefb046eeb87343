"""What one piece of evidence is known by, and what a stage has to be able to do with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from harness.programme import VIRTUAL

if TYPE_CHECKING:
    from harness.model import Evidence
    from harness.model.steps import StepBus
    from harness.report.pytest_sink import Playing


@dataclass(frozen=True, slots=True)
class Cast:
    """Which scenario on which variant with how many clients in whose time."""

    scenario: str
    variant: str
    clients: int
    time: str
    usual: bool = True  # as many clients as the script has of its own
    routers: bool = False  # a script for routers (harness/routers): the variant is their release, and there are no clients

    @property
    def name(self) -> str:
        return f"{self.variant}-{self.scenario}" + (self._when if self.routers else f"-{self.clients}{self._when}")

    @property
    def label(self) -> str:
        """The scenario's name in the report, with what is not usual about it."""
        return self.scenario + ("" if self.usual else f"-{self.clients}") + self._when

    @property
    def _when(self) -> str:
        return f"-{self.time}" if self.time == VIRTUAL else ""


class Stage(Protocol):
    """Where casts of one kind are played. Nothing heavy is built, nor anything reached, before the first is."""

    def wanting(self, cast: Cast, behaviour: str) -> str:
        """Why it cannot be played there, or cannot give what the behaviour's check rests on; "" where it can."""

    def foresee(self, casts: Sequence[Cast], *, tell: bool) -> tuple[str, ...]:
        """Judges, before anything is reached or sent, what these would send to devices that are there already; with `tell`, says
        what would happen to which device. UsageError for what the testbed does not allow."""

    def play(self, cast: Cast, playing: Playing, bus: StepBus, *, clear_expected: bool) -> Evidence:
        """Plays it, and tells the report. `clear_expected`: a behaviour declares that L2TP goes unprotected there."""

    def close(self) -> None:
        """Takes down what was played on, and what it kept for itself."""
