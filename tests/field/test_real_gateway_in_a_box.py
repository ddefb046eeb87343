"""The suites on strongSwan, xl2tpd and pppd as a box that is known by SSH alone; and what is left of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench_in_a_box import sshd

sys.path.append(str(Path(__file__).parent))
from box_runs import LINUX, gives_all_back, passes_and_leaves_nothing, played

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(sshd.missing() is not None, reason="no OpenSSH server unpacked (natstorm setup)"),
]


def test_a_run_that_is_killed_gives_all_back_and_the_suites_pass(tmp_path):
    """Killed while its daemons and files are being changed; `make kills` has other moments."""
    seen = played(tmp_path, LINUX, "kill", "pair and demux", "configure the gateway", "again")
    gives_all_back(seen)
    passes_and_leaves_nothing(seen, 35)
