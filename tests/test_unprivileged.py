"""A whole run by an ordinary user: a user namespace instead of root, the guest on a raw socket instead of a tap."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "lab"))
from enclosed import enclosed

ROOT = Path(__file__).resolve().parent.parent
REPORTS = Path("/tmp/reports")

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("machine_for_runs")]


@enclosed(rootless=True, timeout=180.0)
def test_an_ordinary_user_gets_the_same_verdict() -> None:
    mapped = Path("/proc/self/uid_map").read_text().split()
    assert mapped[0] == "0"
    assert mapped[1] != "0"  # root in here is an ordinary user outside
    testbed = Path("/tmp/raw.yaml")
    written = (ROOT / "testbeds" / "linux.yaml").read_text()
    assert "transport: auto" in written
    testbed.write_text(written.replace("transport: auto", "transport: raw"))
    words = ["qualify", "--testbed", str(testbed), "--reports", str(REPORTS), "--variant", "demux-kernel", "--behaviour", "DMX-10"]
    words += ["-k", "pair"]
    run = subprocess.run(
        [sys.executable, "-m", "harness.cli", *words], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.splitlines()[-1].startswith(str(REPORTS)), run.stdout
    summary = json.loads((REPORTS / "latest" / "summary.json").read_text())
    assert (summary["asserted"], summary["passed"]) == (1, 1)


@enclosed(rootless=True, timeout=180.0)
def test_an_ordinary_user_plays_on_the_virtual_testbed() -> None:
    """The gateway and the NAT of our own, and an end host behind them, in the time of the wall."""
    assert Path("/proc/self/uid_map").read_text().split()[1] != "0"
    words = ["qualify", "--testbed", str(ROOT / "testbeds" / "virtual.yaml"), "--reports", str(REPORTS), "--time", "wall"]
    words += ["--variant", "demux", "--behaviour", "DMX-10", "-k", "pair"]
    run = subprocess.run(
        [sys.executable, "-m", "harness.cli", *words], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    summary = json.loads((REPORTS / "latest" / "summary.json").read_text())
    assert (summary["asserted"], summary["passed"]) == (1, 1)
