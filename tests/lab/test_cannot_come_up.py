"""A lab that cannot come up: which step failed, what was seen and the cure are said, and nothing of it is left.

Each case is played in an enclosure that stands for a machine with something wrong about it.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from enclosed import enclosed
from leftovers import assert_nothing_left, snapshot

from harness.errors import LabError, MissingTool
from harness.lab import enclosure, launcher, libc, packages
from harness.lab.gateways import linux_gateway
from harness.lab.software import Lab
from harness.lab.topology import TUN_DEVICE
from harness.testbed import check

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("ready_machine")]
TESTBED = enclosure.ROOT / "testbeds" / "linux.yaml"
INIT = enclosure.ROOT / "harness" / "lab" / "guest" / "init.py"
REPORTS = Path("/tmp/reports")


def put_in_place_of(path: Path | str | None, text: str) -> None:
    """Another program where the machine has one of its own."""
    assert path is not None
    fake = Path("/tmp/in place of", Path(path).name)
    fake.parent.mkdir(exist_ok=True)
    fake.write_text(text)
    fake.chmod(0o755)
    libc.mount(str(fake), str(path), None, libc.MS_BIND)


def take_away(program: str) -> None:
    found = packages.find_program(program)
    assert found is not None
    libc.mount("/dev/null", found, None, libc.MS_BIND)
    assert packages.find_program(program) is None


def failure(**changes: str) -> LabError:
    """What the lab says when it is brought up; it must have taken down everything by then."""
    scratch = Path("/tmp/scratch")
    scratch.mkdir()
    testbed = check(TESTBED)
    lab = Lab(replace(testbed, gateway=replace(testbed.gateway, **changes)), scratch, linux_gateway)
    for action in ("add", "del"):  # `ip` mounts a directory for its namespaces when it makes the first one, and leaves it
        subprocess.run(["ip", "netns", action, "first"], check=True)
    before = snapshot()
    with pytest.raises(LabError) as caught:
        asyncio.run(lab.up("plain-kernel"))
    assert_nothing_left(before, ignore=f"files: {scratch}")
    return caught.value


@enclosed
def test_without_user_mode_linux():
    take_away("linux.uml")
    error = failure()
    assert isinstance(error, MissingTool)
    assert error.step == "find linux.uml"
    assert "user-mode-linux" in error.seen
    assert "apt-get install" in error.cure
    assert "user-mode-linux" in error.cure


@enclosed
def test_without_the_guest_s_packages():
    packages.PROJECT = Path("/tmp/another checkout")
    error = failure()
    assert isinstance(error, MissingTool)
    assert error.step == "guest packages"
    assert "/tmp/another checkout/.cache/guest" in error.seen
    assert error.cure.endswith("natstorm setup")


@enclosed
def test_a_tap_where_none_can_be_had():
    libc.mount("none", str(Path(TUN_DEVICE).parent), "tmpfs", 0)
    error = failure(transport="tap")
    assert error.step == f"open {TUN_DEVICE} for the gateway's tap"
    assert error.seen == "No such file or directory"
    assert "`transport: auto`" in error.cure


@enclosed
def test_a_kernel_that_dies_at_once():
    put_in_place_of(packages.find_program("linux.uml"), "#!/bin/sh\necho 'Checking that ptrace works: failed'\nexit 7\n")
    error = failure()
    assert error.step == "boot of guest gateway"
    assert "ended with status 7" in error.seen
    assert "ptrace works: failed" in error.seen
    assert "doctor" in error.cure


@enclosed
def test_a_guest_without_an_init_that_works():
    put_in_place_of(INIT, "raise SystemExit('this init is broken')\n")
    error = failure()
    assert error.step == "boot of guest gateway"
    assert "this init is broken" in error.seen
    assert "Kernel panic" in error.seen
    assert "doctor" in error.cure


@enclosed
def test_a_nat_whose_rules_are_refused():
    refusal = "Error: Could not process rule: Operation not supported"
    put_in_place_of(packages.find_program("nft"), f"#!/bin/sh\necho '{refusal}' >&2\nexit 1\n")
    error = failure()
    assert error.step == "give the NAT its rules"
    assert error.seen.endswith(f"ended with status 1: {refusal}")
    assert "doctor" in error.cure


@enclosed
def test_daemons_that_do_not_start():
    """The guest boots, and what it is told to start is not there."""
    empty = Path("/tmp/packages")
    empty.mkdir()
    packages.guest_directory = lambda: empty
    error = failure()
    assert error.step == "start the gateway, plain-kernel"
    assert "command not found" in error.seen
    assert "doctor" in error.cure


def qualify(*options: str) -> tuple[int, str]:
    """Status and words of a qualification in an enclosure of its own."""
    command = [sys.executable, "-m", "harness.cli", "qualify", "--testbed", str(TESTBED), "--variant", "demux-kernel"]
    command += ["-k", "not real", "--reports", str(REPORTS), *options]
    environment = {name: value for name, value in os.environ.items() if name != launcher.MARK}
    REPORTS.mkdir()
    before = snapshot()
    done = subprocess.run(command, capture_output=True, text=True, cwd=enclosure.ROOT, env=environment, check=False)
    assert_nothing_left(before, ignore=f"files: {REPORTS}")
    return done.returncode, done.stdout + done.stderr


@enclosed(timeout=180.0)
def test_a_qualification_says_it_once_and_is_inconclusive():
    put_in_place_of(packages.find_program("linux.uml"), "#!/bin/sh\necho 'Checking for /dev/shm: no room'\nexit 7\n")
    status, said = qualify()
    assert status == 3, said
    assert "Traceback" not in said
    progress, _, last = said.partition("\n\n")
    assert "boot of guest gateway" in progress
    assert progress.count("ended with status 7") == last.count("Checking for /dev/shm: no room") / 2 == 1, said
    assert "cure: " in last
    (folder,) = (path for path in REPORTS.iterdir() if path.name != "latest")
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["inconclusive"] == summary["asserted"] > 30
    page = (folder / "summary.html").read_text()
    assert page.count("Inconclusive: the evidence is not to be trusted") == 1
    assert "Traceback" not in page


@enclosed
def test_a_missing_tool_is_told_before_anything_is_begun():
    take_away("linux.uml")
    status, said = qualify()
    assert status == 3, said
    assert "linux.uml" in said
    assert "cure: " in said
    assert "Traceback" not in said
    assert list(REPORTS.iterdir()) == []


@enclosed
def test_ports_that_make_no_sense_are_a_mistake_of_the_testbed_s():
    for number, (wrong, why) in enumerate({"65535-1024": "65535-1024", "0-99999": "0-99999", "some": "some"}.items()):
        file = Path(f"/tmp/testbed-{number}.yaml")
        lines = TESTBED.read_text().replace("outside_ports: 1024-65535", f"outside_ports: {wrong}").splitlines()
        file.write_text("\n".join(lines))
        line = next(n for n, text in enumerate(lines, start=1) if "outside_ports" in text)
        if REPORTS.exists():
            REPORTS.rmdir()  # nothing was written
        status, said = qualify("--testbed", str(file))
        assert status == 2, said
        assert f"{file}:{line}: " in said
        assert why in said
        assert "Traceback" not in said
