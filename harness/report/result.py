"""One behaviour case and how it came out: one line of results.jsonl."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any


class CaseOutcome(StrEnum):
    """What a case counts as. RECORDED: a kind-? behaviour, observed and never judged."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    RECORDED = "recorded"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of a case before it runs. `id` is the behaviour's, or the test's own name where it has none.

    `kind` is the catalogue's S, D or ?; `time_base` "wall" or "virtual". Empty strings stand for what a case does not have.
    """

    id: str
    nodeid: str
    title: str = ""
    source: str = ""
    kind: str = ""
    testbed: str = ""
    variant: str = ""
    scenario: str = ""
    time_base: str = ""
    links: tuple[tuple[str, str], ...] = ()  # (title, URL)

    def properties(self) -> tuple[tuple[str, str], ...]:
        """What JUnit properties and Allure labels carry, in a fixed order, without the empty ones."""
        named = (
            ("behaviour", self.id),
            ("source", self.source),
            ("kind", self.kind),
            ("testbed", self.testbed),
            ("variant", self.variant),
            ("scenario", self.scenario),
            ("time_base", self.time_base),
        )
        return tuple((name, value) for name, value in named if value)


@dataclass(frozen=True, slots=True)
class CaseResult:
    """A case and its outcome. `because` is the verdict's sentence, or the reason of a skip or of an error.

    `started` is seconds since the epoch; `frames` are the deciding frames (side, number); `recorded` the observed value.
    `error` is the traceback, where an exception other than a failed verdict ended the case.
    """

    case: Case
    outcome: CaseOutcome
    because: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    frames: tuple[tuple[str, int], ...] = ()
    recorded: Any = None
    started: float = 0.0
    duration_s: float = 0.0
    error: str = ""

    def to_json(self) -> str:
        """One line. Values that JSON has no form for (a fact that is a set, say) are written as their str()."""
        return json.dumps(
            {
                **{f.name: getattr(self.case, f.name) for f in fields(Case)},
                "outcome": self.outcome.value,
                "because": self.because,
                "facts": dict(self.facts),
                "frames": self.frames,
                "recorded": self.recorded,
                "started": round(self.started, 6),
                "duration_s": round(self.duration_s, 6),
                "error": self.error,
            },
            default=str,
        )

    @classmethod
    def from_json(cls, line: str) -> CaseResult:
        data = json.loads(line)
        data["links"] = tuple((title, url) for title, url in data["links"])
        case = Case(**{f.name: data.pop(f.name) for f in fields(Case)})
        data["frames"] = tuple((side, number) for side, number in data["frames"])
        return cls(case, CaseOutcome(data.pop("outcome")), **data)


def read_results(path: Path) -> tuple[tuple[CaseResult, ...], bool]:
    """All results of the file, and whether its last line is torn (the run was killed while writing it)."""
    if not path.exists():
        return (), False
    lines = path.read_bytes().split(b"\n")
    torn = bool(lines.pop())  # a whole file ends in a line feed, which leaves an empty piece
    return tuple(CaseResult.from_json(line.decode("utf-8")) for line in lines), torn
