"""How one test came out, gathered from its three phases.

The rule: a failure says that the device failed (a verdict FAIL, an AssertionError). Everything else that ends a test is an error,
whatever phase it happens in, since nothing is then known of the device: the case is inconclusive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from harness.errors import Inconclusive, LabError, NatstormError, UsageError
from harness.model import Verdict
from harness.report.outcome import compact
from harness.report.redact import Redactor
from harness.report.result import Case, CaseOutcome, CaseResult

NOT_OF_THE_DEVICE = "not_of_the_device"
"""An extra attribute of a report that is an error and no failure. (pytest keeps extra attributes when it serialises a report.)"""


SAID_IN_FULL = (Inconclusive, LabError, UsageError)
"""Errors whose sentence says all there is to know (step, what was seen, cure): no reader wants a traceback of them."""


@dataclass(slots=True)
class Said:
    """What the phases of one test have said so far. `began` is seconds since the epoch."""

    began: float = 0.0
    duration_s: float = 0.0
    verdict: Verdict | None = None
    recorded: tuple[Any, str] | None = None  # value, sentence
    outcome: CaseOutcome | None = None
    because: str = ""
    error: str = ""

    def hear(self, report: pytest.TestReport, error: BaseException | None, redactor: Redactor) -> None:
        """One more phase is over. What was failed or inconclusive stays so; an error in the tear-down spoils a pass."""
        self.duration_s += report.duration
        if report.skipped and self.outcome is None:
            self.outcome, self.because = CaseOutcome.SKIPPED, _skip_reason(report)
        elif report.passed and report.when == "call":
            self.outcome = CaseOutcome.PASSED if self.recorded is None else CaseOutcome.RECORDED
            self.because = self.recorded[1] if self.recorded else self.verdict.because if self.verdict else ""
        elif report.failed:
            self._hear_failure(report, error, redactor)

    def _hear_failure(self, report: pytest.TestReport, error: BaseException | None, redactor: Redactor) -> None:
        of_the_device = report.when == "call" and isinstance(error, AssertionError | pytest.fail.Exception)
        if not of_the_device:
            vars(report)[NOT_OF_THE_DEVICE] = True
        if self.outcome in (CaseOutcome.FAILED, CaseOutcome.INCONCLUSIVE):
            return
        self.outcome = CaseOutcome.FAILED if of_the_device else CaseOutcome.INCONCLUSIVE
        verdict = getattr(error, "verdict", None)
        self.because = verdict.because if isinstance(verdict, Verdict) else sentence(error, report.when or "", redactor)
        if verdict is None and not isinstance(error, SAID_IN_FULL):
            self.error = report.longreprtext

    def properties(self) -> list[tuple[str, str]]:
        """For JUnit, beside those of the case."""
        known = [("outcome", self.outcome.value if self.outcome else ""), ("verdict", self.because)]
        if self.recorded is not None:
            known.append(("recorded", compact(self.recorded[0])))
        return [(name, value) for name, value in known if value]

    def result(self, case: Case) -> CaseResult:
        return CaseResult(
            case=case,
            outcome=self.outcome or CaseOutcome.INCONCLUSIVE,
            because=self.because,
            facts={} if self.verdict is None else self.verdict.facts,
            frames=() if self.verdict is None else self.verdict.frames,
            recorded=None if self.recorded is None else self.recorded[0],
            started=self.began,
            duration_s=self.duration_s,
            error=self.error,
        )


def sentence(error: BaseException | None, phase: str, redactor: Redactor) -> str:
    """Why a test ended, for one who reads only this line."""
    where = {"setup": "before the test: ", "teardown": "after the test: "}.get(phase, "")
    if error is None:
        return f"{where}the test ended with an error"
    text = redactor.text(str(error).strip())
    if isinstance(error, NatstormError | AssertionError | pytest.fail.Exception):
        return where + (text or type(error).__name__)
    return f"{where}the harness broke: {type(error).__name__}: {text}"


def _skip_reason(report: pytest.TestReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    return reason.removeprefix("Skipped: ") or "no reason given"


def clean(report: pytest.TestReport, redactor: Redactor) -> None:
    """Take the secrets out of all that a report carries."""
    if isinstance(report.longrepr, tuple):
        path, line, reason = report.longrepr
        report.longrepr = (path, line, redactor.text(reason))
    elif report.longrepr is not None and redactor.text(report.longreprtext) != report.longreprtext:
        report.longrepr = redactor.text(report.longreprtext)
    report.sections = [(title, redactor.text(content)) for title, content in report.sections]
