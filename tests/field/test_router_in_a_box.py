"""The suites on a Cisco router as a box that is known by SSH and its command line alone; and what is left of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench_in_a_box import sshd

sys.path.append(str(Path(__file__).parent))
from box_runs import ROUTER, gives_all_back, passes_and_leaves_nothing, played

pytest.importorskip("asyncssh", reason="no module asyncssh (pip install 'natstorm[virtual-ios]')")
pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(sshd.missing() is not None, reason="no OpenSSH server unpacked (natstorm setup)"),
]


def test_a_run_that_is_killed_gives_all_back_and_the_suites_pass(tmp_path):
    """Its running configuration is all that a run changes of the router, and its lock stands there as well: it is as it was."""
    seen = played(tmp_path, ROUTER, "kill", "demux-pair-2", "connect:c2", "again")
    configured = seen["before"]["10.99.0.3"]
    assert "hostname IOS" in configured
    assert "NATSTORM" not in configured
    assert "No active L2TP tunnels" in configured
    gives_all_back(seen)
    assert "bring the running configuration back" in seen["restore"][1]
    passes_and_leaves_nothing(seen, 25)
    assert "no router shows what passes between its IPsec and its L2TP" in seen["told"]
