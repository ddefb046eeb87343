"""What tests of several rooms share."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def machine_for_runs() -> None:
    """Skips, with the reason, what a machine cannot run where `natstorm doctor` finds something missing."""
    from harness.lab import doctor

    missing = [finding.name for finding in doctor.examine() if finding.needed and not finding.ok]
    if missing:
        pytest.skip(f"missing: {', '.join(missing)} (natstorm doctor names the cure)")


@pytest.fixture(scope="session")
def ready_machine(machine_for_runs: None) -> None:
    """As above, and there is root."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it strikes every process of a run")
