"""No check without a run that it passes, one that it fails, and one that it calls inconclusive, in whichever of the case tables."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from harness.verdict.checks import CHECKS

TABLES = [importlib.import_module(path.stem) for path in sorted(Path(__file__).parent.glob("test_checks*.py"))]


@pytest.mark.parametrize("kind", ["PASS", "FAIL", "INCONCLUSIVE"])
def test_every_check_has_all_three(kind: str) -> None:
    assert {case[0] for table in TABLES for case in getattr(table, kind)} == set(CHECKS)
