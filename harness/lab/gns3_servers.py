"""The GNS3 servers that the project's own tests talk to, one virtual environment each below `.cache/`: they want different versions
of the same packages, and none of them is the harness's business.

Nothing of the harness needs them: a lab's GNS3 server stands elsewhere.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.errors import LabError
from harness.lab.packages import PROJECT, tell

SERVERS: Mapping[str, str] = {"2.2": "requirements-gns3-2.2.lock", "3.0": "requirements-gns3-3.0.lock"}
"""By version, what its environment is made from: exact versions with hashes, written by `make lock`."""
_SHOWN = 4


def directory(version: str, cache: Path | None = None) -> Path:
    return (cache or PROJECT / ".cache") / f"gns3-{version}"


def program(version: str, cache: Path | None = None) -> Path | None:
    """The server's program; None where its environment is missing, half made, or made from another list or in another place."""
    where = directory(version, cache)
    try:
        complete = (where / ".complete").read_text() == _mark(version, where)
    except OSError:
        complete = False
    return where / "bin" / "gns3server" if complete else None


def setup(say: Callable[[str], None] = tell, cache: Path | None = None) -> None:
    """Makes what is missing. Quick when nothing is; safe to run twice at once. LabError where the packages cannot be had."""
    for version in SERVERS:
        if program(version, cache) is None:
            where = directory(version, cache)
            where.parent.mkdir(parents=True, exist_ok=True)
            with where.with_name(f"{where.name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if program(version, cache) is None:
                    say(f"installing the GNS3 server {version} for the tests into {where}: takes a minute …")
                    _make(version, where)


def _make(version: str, where: Path) -> None:
    """Always from nothing. Its packages are installed by this environment's pip: the new one needs none of its own."""
    step = f"install the GNS3 server {version}"
    _run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(where)], step)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(where / "bin" / "python"), "install"]
    _run([*pip, "-q", "--retries", "1", "--require-hashes", "-r", str(PROJECT / SERVERS[version])], step)
    (where / ".complete").write_text(_mark(version, where))


def _run(command: list[str], step: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        seen = "\n".join((done.stderr or done.stdout).strip().splitlines()[-_SHOWN:]) or f"exit status {done.returncode}"
        raise LabError(step, seen, "is the package index in reach? (pip config); without it the tests of GNS3 are skipped")


def _mark(version: str, where: Path) -> str:
    """A virtual environment holds its own path: in a checkout that was moved it is made anew, as for another list of packages, or
    when its Python is gone."""
    listed = hashlib.sha256((PROJECT / SERVERS[version]).read_bytes()).hexdigest()
    python = (where / "bin" / "python").resolve(strict=True)
    return f"{where.resolve()} {python} {listed}\n"
