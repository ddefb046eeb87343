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
TOLD = {
    "host key": ("gateway: 'connect': its host key has CHANGED: 10.99.0.3 shows ssh-ed25519", "ssh-keygen -R 10.99.0.3"),
    "password": ("nat: 'log in': 10.99.0.2:22 refuses user 'root' by key file", "the testbed's credentials of nat"),
    "outside": (
        "the testbed gives outside0 the address 203.0.113.233, but on the device it has 203.0.113.232",
        "correct the testbed's interfaces of nat",
    ),
    "management, as it says": ("nic0 is the management interface, and would be moved to the clients", "mend line 20"),
    "management, as it is": ("mgmt0 is the management interface: nat (10.99.0.2) is reached through it", "name the interface"),
    "right to capture": ("nat: 'tcpdump -i inside0': tcpdump: inside0: You don't have permission to capture", "setcap cap_net_raw"),
    "cut": ("the connection broke: nat: the connection was cut in the middle of it", ""),
}
"""By case: what was seen, and of what cures it."""


def test_each_is_told_with_its_cure_and_nothing_is_left_of_the_run(tmp_path):
    folder = bad_input.programs(tmp_path / "programs")
    inside = [str(ROOT / "tests/field/bad_input.py"), str(tmp_path), str(ROOT / VIRTUAL[1]), str(folder)]
    command = [sys.executable, "-m", "bench_in_a_box", "--path", str(folder), "--", sys.executable, *inside]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["cases"].keys() == TOLD.keys()
    for name, (words, cure) in TOLD.items():
        one = seen["cases"][name]
        assert words in one["told"], f"{name}: {one['told']}"
        assert cure in one["told"].partition("cure: ")[2], f"{name}: {one['told']}"
        assert one["left"] == [], name
        assert bad_input.WRONG not in one["told"]
    assert seen["as_found"]
