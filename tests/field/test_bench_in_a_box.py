"""The suites on devices that the harness did not start and knows by SSH and one network card alone; and what is left of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench_in_a_box import sshd

ROOT = Path(__file__).resolve().parents[2]
VIRTUAL = ("natstorm", "testbeds/bench-in-a-box.yaml")
LINUX = ("linux", "testbeds/bench-in-a-box-linux.yaml")

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(sshd.missing() is not None, reason="no OpenSSH server unpacked (natstorm setup)"),
]


def played(tmp_path, box, what, expression, *step):
    gateway, testbed = box
    inside = [str(ROOT / "tests/field/inside_the_box.py"), str(tmp_path), str(ROOT / testbed), what, expression, *step]
    command = [sys.executable, "-m", "bench_in_a_box", "--gateway", gateway, "--", sys.executable, *inside]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return json.loads(done.stdout.splitlines()[-1])


def passes_and_leaves_nothing(seen, least):
    """The suites passed, and everything is as it was; the planted secrets were nowhere."""
    summary = seen["summary"]
    assert seen["status"] == 0, seen["told"][-3000:]
    assert (summary["failed"], summary["inconclusive"]) == (0, 0)
    assert summary["passed"] >= least
    assert seen["after"] == seen["before"]
    shows_no_secret(seen)


def shows_no_secret(seen):
    assert seen["looks"] > 10
    assert (seen["in_process_list"], seen["in_files"], seen["in_words"]) == ([], [], False)


def test_the_suites_pass_on_the_projects_own_gateway_as_a_strangers_box(tmp_path):
    seen = played(tmp_path, VIRTUAL, "play", "pair")
    passes_and_leaves_nothing(seen, 50)
    assert "c2 killed c1. To blame: the gateway" in seen["told"]  # the plain variant is the known-bad control there, too


def test_the_suites_pass_on_a_real_gateway_known_by_ssh_alone(tmp_path):
    seen = played(tmp_path, LINUX, "play", "pair and demux")
    passes_and_leaves_nothing(seen, 35)


@pytest.mark.parametrize(
    ("box", "words"),
    [
        (VIRTUAL, ["have the NAT translate"]),
        (VIRTUAL, ["lend nic0 to the clients"]),
        (VIRTUAL, ["connect:c2", "again"]),
        (LINUX, ["configure the gateway"]),
        (LINUX, ["connect:c2"]),
    ],
)
def test_a_run_that_is_killed_gives_all_back(tmp_path, box, words):
    """The interface by its keeper, at once; the devices by natstorm restore; the lock by its owner's end."""
    seen = played(tmp_path, box, "kill", "pair and demux", *words)
    assert seen["reached"], seen["told"]
    assert seen["after_kill"]["nic"] == seen["before"]["nic"]
    assert seen["after_kill"]["journals"]  # there was something to restore
    status, said = seen["restore"]
    assert status == 0, said
    assert seen["restored"] == seen["before"], said
    assert seen["in_killed_files"] == []
    if words[1:]:
        passes_and_leaves_nothing(seen, 35)
    else:
        shows_no_secret(seen)
