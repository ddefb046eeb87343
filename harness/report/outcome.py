"""From a verdict to what pytest understands: FAIL is an assertion that failed, INCONCLUSIVE is an error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from harness.errors import Inconclusive
from harness.model import Outcome, Verdict

FACT_LIMIT = 300
"""Characters of a fact in a message of pytest's."""


class VerdictFailed(AssertionError):
    """A verdict FAIL on its way through pytest. str() is the sentence, the facts and the deciding frames."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(explain(verdict))
        self.verdict = verdict


class VerdictInconclusive(Inconclusive):
    """A verdict INCONCLUSIVE on its way through pytest."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(explain(verdict))
        self.verdict = verdict


def enforce(verdict: Verdict) -> None:
    """Return on PASS; raise VerdictFailed or VerdictInconclusive otherwise."""
    __tracebackhide__ = True
    if verdict.outcome is Outcome.FAIL:
        raise VerdictFailed(verdict)
    if verdict.outcome is Outcome.INCONCLUSIVE:
        raise VerdictInconclusive(verdict)


def explain(verdict: Verdict) -> str:
    """The sentence, then one line a fact, then where to look in the captures."""
    lines = [verdict.because]
    lines += [f"  {name}: {_cut(compact(value))}" for name, value in verdict.facts.items()]
    if verdict.frames:
        lines.append("  deciding frames: " + ", ".join(f"{side} {number}" for side, number in verdict.frames))
    return "\n".join(lines)


def _cut(text: str) -> str:
    """As much of a fact as a message can bear; results.jsonl keeps the whole."""
    return text if len(text) <= FACT_LIMIT else f"{text[:FACT_LIMIT]} … ({len(text)} characters)"


def compact(value: Any) -> str:
    """A fact on one line: strings as they are, everything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        value = dict(value)
    return json.dumps(value, ensure_ascii=False, default=str)
