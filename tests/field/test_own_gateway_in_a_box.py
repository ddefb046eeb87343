"""The suites on the project's own gateway as a box that is known by SSH and one network card alone; and what is left of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench_in_a_box import sshd

sys.path.append(str(Path(__file__).parent))
from box_runs import VIRTUAL, gives_all_back, passes_and_leaves_nothing, played

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(sshd.missing() is not None, reason="no OpenSSH server unpacked (natstorm setup)"),
]


def test_a_run_that_is_killed_gives_all_back_and_the_suites_pass(tmp_path):
    """Killed at one moment; `make kills` has any number of them."""
    seen = played(tmp_path, VIRTUAL, "kill", "pair", "connect:c2", "again")
    gives_all_back(seen)
    passes_and_leaves_nothing(seen, 50)
    # The gateway did tell its key and its users' passwords, and what it told is there without them.
    assert "running-config.log" in seen["devices_told"]
    assert any(name.startswith("view-") for name in seen["devices_told"])
    assert "c2 killed c1. To blame: the gateway" in seen["told"]  # the plain variant is the known-bad control there, too
