"""The whole qualification of the virtual IOS routers, as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_row_passes_on_sound_routers(tmp_path):
    command = [
        sys.executable,
        "-m",
        "harness.cli",
        "qualify",
        "--testbed",
        "testbeds/virtual-ios.yaml",
        "--json",
        "--reports",
        tmp_path,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert told["passed"] == told["asserted"] > 0
    assert told["skipped"] == []
