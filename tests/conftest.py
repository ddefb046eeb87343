"""What tests of several rooms share."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def ready_machine() -> None:
    """Skips, with the reason, what this machine cannot run: no root, or something that `natstorm doctor` finds missing."""
    from harness.lab import doctor

    missing = [finding.name for finding in doctor.examine() if finding.needed and not finding.ok]
    if missing:
        pytest.skip(f"missing: {', '.join(missing)} (natstorm doctor names the cure)")
    if os.geteuid() != 0:
        pytest.skip("needs root: it strikes every process of a run")
