"""Collecting the suites is quick because it loads nothing heavy."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEAVY = ("pyats", "genie", "unicon", "scapy", "paramiko", "cryptography", "gmpy2", "Crypto")


COLLECT = """
import sys, pytest
status = pytest.main(["suites", "--collect-only", "-q", "-p", "no:cacheprovider"])
print("loaded:", *sorted(sys.modules))
sys.exit(status)
"""


def test_collecting_the_suites_loads_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", COLLECT], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ tests collected", done.stdout)
    loaded = set(done.stdout.rpartition("loaded:")[2].split())
    assert {"harness.plugin", "harness.catalogue"} <= loaded
    assert not {name for name in loaded if name.split(".")[0] in HEAVY}
