"""Whoever of a run is killed, and whenever: nothing is left of it on the machine, and what it had found is still readable.

Each case is a whole run with the real gateway, in an enclosure that plays the machine. A moment is a step that the run tells of.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "lab"))
from enclosed import enclosed
from leftovers import assert_nothing_left, snapshot

from harness.lab import launcher

ROOT = Path(__file__).resolve().parent.parent
REPORTS = Path("/tmp/reports")
CASE = "NATSTORM_TEST_MOMENT"
NATSTORM = [sys.executable, "-m", "harness.cli"]
QUALIFY = [*NATSTORM, "qualify", "--testbed", str(ROOT / "testbeds/linux.yaml"), "--variant", "plain-user", "--behaviour", "DMX-04"]
QUALIFY += ["--reports", str(REPORTS)]

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("ready_machine")]

MOMENTS: tuple[tuple[str, str, int], ...] = (
    # the step at which it happens, whom of the run it hits (the name or a part of the command line), the signal
    ("load the testbed", "natstorm-launch", signal.SIGKILL),
    ("build the nodes", "-m harness.cli qualify", signal.SIGKILL),
    ("start the gateway", "natstorm-reaper", signal.SIGKILL),
    ("connect:c2", "linux.uml", signal.SIGKILL),
    ("c2 is up", "tcpdump -i inside0", signal.SIGKILL),
    ("hold", "-m harness.cli qualify", signal.SIGINT),
    ("connect:c1", "natstorm-launch", signal.SIGKILL),
    ("connect:c3", "harness.probes.dissector", signal.SIGKILL),
    ("c3 is up", "natstorm-launch", signal.SIGTERM),
    ("dissect the captures", "-m harness.cli qualify", signal.SIGKILL),
)
"""Spread over the whole of a run, and over all its processes."""

GOES_ON = {"linux.uml": 3, "tcpdump -i inside0": 3, "harness.probes.dissector": 0}
"""Without these the run comes to its end by itself, with this status. A gateway or a capture that died leaves nothing to judge by;
a dissector that died is started anew and loses nothing."""


def find(who: str) -> int:
    """The process that is meant, the innermost of several: launcher and reaper carry the run's command line too."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            name = (entry / "comm").read_text().strip()
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if who == name or (not who.startswith("natstorm-") and not name.startswith("natstorm-") and who in line):
            found.append(int(entry.name))
    assert found, f"the run has no process {who!r}"
    # A guest's kernel is the first of its processes; the later ones are programs in the guest, whose end it survives.
    return min(found) if who == "linux.uml" else max(found)


def strike(moment: str, who: str, number: int) -> None:
    """Runs a qualification up to the moment, strikes, and looks at what is left when it is over."""
    REPORTS.mkdir()
    before = snapshot()
    environment = {name: value for name, value in os.environ.items() if name != launcher.MARK}  # it makes an enclosure of its own
    run = subprocess.Popen(
        QUALIFY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, start_new_session=True, env=environment
    )
    assert run.stdout is not None
    seen = []
    for line in run.stdout:
        seen.append(line)
        if moment in line:
            os.kill(find(who), number)
            break
    else:
        raise AssertionError(f"the run never came to {moment!r}:\n{''.join(seen)}")
    rest = run.stdout.read()  # ends when the last process of the run has let go of it
    status = run.wait()
    assert_nothing_left(before, ignore=f"files: {REPORTS}")
    if who in GOES_ON:
        assert status == GOES_ON[who], f"status {status}:\n{rest}"
        return
    assert status != 0, f"killed at {moment!r}, and yet a success:\n{rest}"
    tell = [*NATSTORM, "report", "--reports", str(REPORTS), "--json"]
    told = subprocess.run(tell, capture_output=True, text=True, cwd=ROOT, check=False)
    assert told.returncode == 3, f"what the run had found cannot be told: {told.stdout}{told.stderr}"


@enclosed(timeout=180.0)
def strike_in_an_enclosure() -> None:
    strike(*MOMENTS[int(os.environ[CASE])])


@pytest.mark.parametrize("number", range(len(MOMENTS)), ids=[f"{who} at {moment}" for moment, who, _ in MOMENTS])
def test_nothing_is_left(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CASE, str(number))
    strike_in_an_enclosure()
