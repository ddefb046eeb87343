"""What may be wrong with devices that are there already: each is told by its device's name, with its cure, and all is as it was."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench_in_a_box import sshd

sys.path.append(str(Path(__file__).parent))
import bad_input
from box_runs import ROOT, VIRTUAL

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(sshd.missing() is not None, reason="no OpenSSH server unpacked (natstorm setup)"),
]
INCONCLUSIVE, MISTAKE = 3, 2
TOLD = {
    "host key": (INCONCLUSIVE, "gateway: 'connect': its host key has CHANGED: 10.99.0.3 shows ssh-", "ssh-keygen -R 10.99.0.3"),
    "password": (INCONCLUSIVE, "nat: 'log in': 10.99.0.2:22 refuses user 'root' by key file", "the testbed's credentials of nat"),
    "outside": (
        INCONCLUSIVE, "the testbed gives outside0 the address 203.0.113.233, but on the device it has 203.0.113.232",
        "correct the testbed's interfaces of nat",
    ),
    "management": (MISTAKE, "mgmt0 is the management interface: nat (10.99.0.2) is reached", "name the interface"),
    "right to capture": (INCONCLUSIVE, "nat: 'tcpdump -i inside0': tcpdump: inside0: You don't have permission", "setcap cap_net"),
}  # fmt: skip


def test_each_is_told_with_its_cure_and_nothing_is_left_of_the_run(tmp_path):
    folder = bad_input.programs(tmp_path / "programs")
    inside = [str(ROOT / "tests/field/bad_input.py"), str(tmp_path), str(ROOT / VIRTUAL[1]), str(folder)]
    command = [sys.executable, "-m", "bench_in_a_box", "--path", str(folder), "--", sys.executable, *inside]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen.keys() == TOLD.keys()
    for name, (status, words, cure) in TOLD.items():
        one = seen[name]
        assert one["status"] == status, f"{name}: {one['told']}"
        assert words in one["told"], f"{name}: {one['told']}"
        assert cure in one["told"].partition("cure: ")[2], f"{name}: {one['told']}"
        assert (one["left"], one["as_found"]) == ([], True), name
        assert bad_input.WRONG not in one["told"]
    assert not [path for path in tmp_path.rglob("*.jsonl") if "restore" in path.parts]
