"""summary.json: the outcome of a run in ten keys, and the exit status that follows from it.

Counts are of behaviour cases: a behaviour tested on two variants counts twice. `asserted` is what was put to judgement, so
`asserted == passed + failed + inconclusive`; `recorded` (kind ?) and `skipped` stand beside it. Cases that were selected and
never ran, because the run was interrupted, are listed among the skipped with the reason NOT_RUN.
The format is described by summary.schema.json beside this file; `version` counts its incompatible changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.report.result import Case, CaseOutcome, CaseResult

VERSION = 1
SCHEMA = Path(__file__).with_name("summary.schema.json")
NOT_RUN = "not run: the run was interrupted before its turn"


@dataclass(frozen=True, slots=True)
class Summary:
    """Field for field what summary.json holds. `skipped` are pairs (id, reason)."""

    run: str
    testbeds: tuple[str, ...]
    asserted: int
    passed: int
    failed: int
    inconclusive: int
    recorded: int
    skipped: tuple[tuple[str, str], ...]
    duration_s: float
    version: int = VERSION

    def to_dict(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "run": self.run,
            "testbeds": list(self.testbeds),
            "asserted": self.asserted,
            "passed": self.passed,
            "failed": self.failed,
            "inconclusive": self.inconclusive,
            "recorded": self.recorded,
            "skipped": [{"id": id_, "reason": reason} for id_, reason in self.skipped],
            "duration_s": round(self.duration_s, 3),
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    @property
    def not_run(self) -> int:
        return sum(1 for _, reason in self.skipped if reason == NOT_RUN)


def summarise(
    run: str, results: Iterable[CaseResult], *, testbeds: Iterable[str] = (), duration_s: float, not_run: Iterable[Case] = ()
) -> Summary:
    """`testbeds` are those of the command line; those that only the results name are added behind them."""
    results = tuple(results)
    named = list(dict.fromkeys([*testbeds, *(r.case.testbed for r in results if r.case.testbed)]))
    count = {outcome: sum(1 for r in results if r.outcome is outcome) for outcome in CaseOutcome}
    skipped = [(r.case.id, r.because) for r in results if r.outcome is CaseOutcome.SKIPPED]
    skipped += [(case.id, NOT_RUN) for case in not_run]
    judged = (CaseOutcome.PASSED, CaseOutcome.FAILED, CaseOutcome.INCONCLUSIVE)
    return Summary(
        run=run,
        testbeds=tuple(named),
        asserted=sum(count[outcome] for outcome in judged),
        passed=count[CaseOutcome.PASSED],
        failed=count[CaseOutcome.FAILED],
        inconclusive=count[CaseOutcome.INCONCLUSIVE],
        recorded=count[CaseOutcome.RECORDED],
        skipped=tuple(skipped),
        duration_s=duration_s,
    )


def exit_status(summary: Summary) -> int:
    """0 all passed, 1 a failure, 2 nothing was selected (a mistake of the command line), 3 inconclusive.

    Failure and inconclusive together are 1. A run that judged and recorded nothing, or that was cut short, has proved
    nothing: it is inconclusive.
    """
    if summary.failed:
        return 1
    if summary.inconclusive or summary.not_run:
        return 3
    if summary.passed or summary.recorded:
        return 0
    return 3 if summary.skipped else 2


def sentence(summary: Summary) -> str:
    """The counts in words, for the terminal and the head of the page."""
    parts = [f"{summary.asserted} asserted: {summary.passed} passed, {summary.failed} failed, {summary.inconclusive} inconclusive"]
    parts.append(f"{summary.recorded} recorded")
    parts.append(f"{len(summary.skipped)} skipped")
    return ", ".join(parts) + f" in {summary.duration_s:.1f} s"
