"""Runs on the host of a bench in a box: what may be wrong with devices that are there already, and a lab brought up for each.

    python -m bench_in_a_box --path PROGRAMS -- python tests/field/bad_input.py WORK TESTBED PROGRAMS

PROGRAMS has a tcpdump that one case denies its right. The last line on standard output is a JSON object: by case what was told and
what is left of it here, and whether all is as it was before.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from inside_the_box import state

from bench_in_a_box.sshd import new_key
from harness.errors import NatstormError
from harness.lab.field import FieldLab
from harness.model import Side
from harness.model.testbed import Testbed
from harness.scenario.field_captures import OverSsh, mirrored, ready
from harness.testbed import check

DEVICES = ["10.99.0.2", "10.99.0.3", "10.99.0.4"]
WRONG = "Planted-Wrong-88d1"


def programs(folder: Path) -> Path:
    """A tcpdump of which another right is asked, as long as there is a file `denied`."""
    folder.mkdir()
    words = f"{folder}/denied"
    program = folder / "tcpdump"
    program.write_text(
        f'#!/bin/sh\nif [ -e {words} ]; then echo "tcpdump: $2: You don\'t have permission to capture" >&2; exit 1; fi\n'
        'PATH=${PATH#*:}; exec tcpdump "$@"\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    return folder


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def cut_off() -> None:
    """All who are logged in at the NAT; its server stays."""
    for pid in subprocess.run(["ip", "netns", "pids", "box-nat"], capture_output=True, text=True, check=True).stdout.split():
        if b"@notty" in Path("/proc", pid, "cmdline").read_bytes():
            os.kill(int(pid), signal.SIGKILL)


def cases(work: Path, text: str, denied: Path) -> dict[str, tuple[str, Callable[[], object]]]:
    """By name: the testbed, and what is done before its run."""
    box = Path(os.environ["NATSTORM_BOX"])
    keys = dict(line.split(" ", 1) for line in (box / "known_hosts").read_text().splitlines())
    keys["10.99.0.3"] = keys["10.99.0.2"]
    (work / "changed").write_text("".join(f"{host} {key}\n" for host, key in keys.items()))
    new_key(work / "another")
    login = ("username: root\n", f"username: root\n      password: {WRONG}\n")
    return {
        "host key": (replaced(text, ('"%ENV{NATSTORM_BOX}/known_hosts"', str(work / "changed"))), lambda: None),
        "password": (replaced(text, ('"%ENV{NATSTORM_BOX}/id"', str(work / "another")), login), lambda: None),
        "outside": (replaced(text, ("203.0.113.232/24", "203.0.113.233/24")), lambda: None),
        "management, as it says": (replaced(text, ("    allow:  ", "    management: [nic0]\n    allow:  ")), lambda: None),
        "management, as it is": (replaced(text, ("      nic0: {", "      mgmt0: {")), lambda: None),
        "right to capture": (text, denied.touch),
        "cut": (text, denied.unlink),
    }


async def play(testbed: Testbed, work: Path, told: list[str], cut: bool) -> None:
    """As a run begins; with `cut` its connections to the NAT are cut while it captures there."""
    lab = FieldLab(testbed, told.append)
    await lab.up(lambda: ready(lab, testbed))
    try:
        source = testbed.nat.inside_capture
        if cut and source is not None:
            shown = mirrored(testbed, source)
            capture = OverSsh(lab, Side.INSIDE, source, work / "inside.pcap", promiscuous=shown)
            await capture.start()
            cut_off()
            told.append((await capture.stop()).why)
    finally:
        await lab.down()


def main(work: Path, original: Path, folder: Path) -> None:
    os.environ["XDG_STATE_HOME"] = str(work / "state")
    before = state(DEVICES, None)
    found = {}
    for number, (name, (text, prepare)) in enumerate(cases(work, original.read_text(encoding="utf-8"), folder / "denied").items()):
        file = work / f"{number}.yaml"
        file.write_text(text, encoding="utf-8")
        prepare()
        told: list[str] = []
        try:
            asyncio.run(play(check(file), work, told, name == "cut"))
        except NatstormError as error:
            told.append(str(error))
        left = [path.name for pattern in ("locks/*.json", "*.jsonl") for path in (work / "state").rglob(pattern)]
        found[name] = {"told": told[-1], "left": left}
    print(json.dumps({"cases": found, "as_found": state(DEVICES, None) == before}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
