"""The suites on a LAC and an LNS that are known by SSH and their command lines alone, with callers by PPPoE; what is left of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench_in_a_box import sshd

ROOT = Path(__file__).resolve().parents[2]

pytest.importorskip("asyncssh", reason="no module asyncssh (pip install 'natstorm[virtual-ios]')")
pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(sshd.missing() is not None, reason="no OpenSSH server unpacked (natstorm setup)"),
]


def test_a_run_that_is_killed_gives_all_back_and_the_suites_pass(tmp_path):
    inside = [str(ROOT / "tests/field/inside_the_routers.py"), str(tmp_path), str(ROOT / "testbeds/bench-in-a-box-lac-lns.yaml")]
    wanted = ["l2tp-pool or altered or clone_on_demand", "ping:caller 1"]
    command = [sys.executable, "-m", "bench_in_a_box", "--routers", "lac-lns", "--", sys.executable, *inside, *wanted]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    seen = json.loads(done.stdout.splitlines()[-1])

    before = seen["before"]
    assert "hostname LAC" in before["lac"]
    assert "vpdn" not in before["lac"].partition("show vpdn")[0]
    assert "ping:caller 1" in seen["told"][-1], seen["told"]
    left = seen["after_kill"]
    assert left["nic"] == before["nic"]  # the keeper has brought it back, at once
    assert left["journals"]
    assert "bba-group pppoe NATSTORM" in left["lac"]
    assert "crypto map l2tpsec" in left["lns"]
    status, said = seen["restore"]
    assert status == 0, said
    assert seen["restored"] == before, said

    assert seen["status"] == 0, seen["said"]
    assert seen["after"] == before
    summary = seen["summary"]
    assert (summary["passed"], summary["failed"], summary["inconclusive"]) == (1, 0, 0)
    assert {one["id"]: one["reason"].partition(" that")[0].partition(",")[0] for one in summary["skipped"]} == {
        "SEC-131": "nothing on a wire",
        "SEC-51": "no router gives the keys of its SAs away",
    }
