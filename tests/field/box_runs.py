"""Runs on a bench in a box, and what must be true of each."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
import planted

ROOT = Path(__file__).resolve().parents[2]
VIRTUAL = ("natstorm", "testbeds/bench-in-a-box.yaml")
LINUX = ("linux", "testbeds/bench-in-a-box-linux.yaml")
ROUTER = ("ios", "testbeds/bench-in-a-box-ios.yaml")


def played(tmp_path, box, what, expression, *step):
    gateway, testbed = box
    inside = [str(ROOT / "tests/field/inside_the_box.py"), str(tmp_path), str(ROOT / testbed), what, expression, *step]
    first = planted.programs(tmp_path / "programs")
    options = ["--gateway", gateway, "--path", str(first)]
    command = [sys.executable, "-m", "bench_in_a_box", *options, "--", sys.executable, *inside]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return json.loads(done.stdout.splitlines()[-1])


def played_on_routers(tmp_path, world, *words):
    """What was seen on the host of the box with the routers of that world; inside_the_routers.py has the words."""
    script, testbed = (str(ROOT / one) for one in ("tests/field/inside_the_routers.py", f"testbeds/bench-in-a-box-{world}.yaml"))
    command = [sys.executable, "-m", "bench_in_a_box", "--routers", world, "--", sys.executable, script, str(tmp_path), testbed]
    done = subprocess.run([*command, *words], cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return json.loads(done.stdout.splitlines()[-1])


def routers_give_all_back(seen):
    """After a kill: the interface by its keeper, at once; the routers by natstorm restore."""
    assert seen["after_kill"]["nic"] == seen["before"]["nic"]
    status, said = seen["restore"]
    assert status == 0, said
    assert seen["restored"] == seen["before"], said


def one_passes_and_leaves_nothing(seen, skipped):
    """On routers: one case passed, these were skipped, with how their reasons begin, and everything is as it was."""
    assert seen["status"] == 0, seen["said"]
    assert seen["after"] == seen["before"]
    summary = seen["summary"]
    assert (summary["passed"], summary["failed"], summary["inconclusive"]) == (1, 0, 0)
    assert {one["id"]: one["reason"].partition(" that")[0].partition(",")[0] for one in summary["skipped"]} == skipped


def passes_and_leaves_nothing(seen, least):
    """The suites passed, and everything is as it was; the planted secrets were nowhere."""
    summary = seen["summary"]
    assert seen["status"] == 0, seen["told"][-3000:]
    assert (summary["failed"], summary["inconclusive"]) == (0, 0)
    assert summary["passed"] >= least
    assert seen["prompted"] > 0  # a secret was typed there
    assert seen["after"] == seen["before"]
    shows_no_secret(seen)


def shows_no_secret(seen):
    assert seen["looks"] > 10
    assert (seen["in_process_list"], seen["in_files"], seen["in_words"]) == ([], [], False)


UNTOUCHED = ("look at the clients' interface", "lock the devices", "a fresh gateway, ", "stop the gateway")
"""Steps in which nothing is in the restore journal yet, or may be no more."""
LOCKED = ("ask nat for its time", "have the NAT translate", "clear the NAT", "configure the gateway", "connect:")


def must_be_journalled(doing):
    """Whether a run that told this last had begun on the devices: then there is a journal, whatever came of it."""
    step = doing.partition(" · ")[2].partition(": ")[2]
    return bool(step) and not step.startswith(UNTOUCHED)


def gives_all_back(seen):
    """After a kill: the interface by its keeper, at once; the devices by natstorm restore; the locks, which are there as long as
    nobody looks whether their owner lives, by its end."""
    assert seen["reached"], seen["told"]
    after = seen["after_kill"]
    assert after["nic"] == seen["before"]["nic"]
    status, said = seen["restore"]
    assert status == 0, said
    assert seen["restored"] == seen["before"], said
    if must_be_journalled(seen["doing"]):
        assert after["journals"], seen["doing"]
        assert len(after["locks"]["here"]) > 1, seen["doing"]
    if any(step in seen["doing"] for step in LOCKED):
        assert after["locks"]["there"] == seen["lockable"]
        assert "was taken over from" in said
        assert "is gone" in said
        assert seen["restored_locks"] == {"here": [], "there": []}
    assert seen["in_killed_files"] == [], seen["in_killed_files"]
    shows_no_secret(seen)
