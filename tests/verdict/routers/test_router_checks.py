"""Every check on routers passes what was played, fails what a fault would leave behind, and is inconclusive about bad evidence."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from edits import Case

from harness.model import Outcome
from harness.verdict.routers.table import CHECKS, NOTED

CASES: list[Case] = [
    case for file in sorted(Path(__file__).parent.glob("cases_*.py")) for case in importlib.import_module(file.stem).CASES
]


@pytest.mark.parametrize("case", CASES, ids=[f"{case.behaviour} {case.name}" for case in CASES])
def test_case(played, case):
    evidence = played(case.script)
    assert evidence.trouble == ()
    verdict = {**CHECKS, **NOTED}[case.behaviour](case.edit(evidence))
    assert verdict.outcome is case.outcome, verdict.because
    assert case.says in verdict.because


@pytest.mark.parametrize("behaviour", sorted({**CHECKS, **NOTED}))
def test_a_check_has_a_case_of_each_kind(behaviour):
    """Rows on which the source is silent are never failed by a device: of theirs, no failing case is asked."""
    found = {case.outcome for case in CASES if case.behaviour == behaviour}
    wanted = {Outcome.PASS, Outcome.INCONCLUSIVE} if behaviour in NOTED else set(Outcome)
    assert wanted <= found
