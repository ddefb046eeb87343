"""Runs on the host of a bench in a box: what may be wrong with devices that are there already, and a run for each.

    python -m bench_in_a_box --path PROGRAMS -- python tests/field/bad_input.py WORK TESTBED PROGRAMS

PROGRAMS has a tcpdump that one case denies its right. The last line on standard output is a JSON object: by case the exit status,
what was told, and whether all is as it was before.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from inside_the_box import ROOT, state

from bench_in_a_box.sshd import new_key

DEVICES = ["10.99.0.2", "10.99.0.3", "10.99.0.4"]
SCENARIO = ["-k", "clear and pair", "--variant", "demux"]
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
        "management": (replaced(text, ("      nic0: {", "      mgmt0: {")), lambda: None),
        "right to capture": (text, denied.touch),
    }


def main(work: Path, original: Path, folder: Path) -> None:
    os.environ["XDG_STATE_HOME"] = str(work / "state")
    before = state(DEVICES, None)
    found = {}
    for number, (name, (text, prepare)) in enumerate(cases(work, original.read_text(encoding="utf-8"), folder / "denied").items()):
        file = work / f"{number}.yaml"
        file.write_text(text, encoding="utf-8")
        prepare()
        words = ["qualify", "--testbed", str(file), "--reports", str(work / "reports"), *SCENARIO]
        done = subprocess.run(
            [sys.executable, "-m", "harness.cli", *words], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
        )  # fmt: skip
        locks = [path.name for path in (work / "state").rglob("locks/*.json")]
        found[name] = {"status": done.returncode, "told": done.stdout, "left": locks, "as_found": state(DEVICES, None) == before}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
