"""What the project's own tests talk to and compare with, and nothing of the harness needs: each below `.cache/`, made from a list
of exact versions with hashes (written by `make lock`).

    gns3-2.2, gns3-3.0   GNS3 servers, an environment each: they want different versions of the same packages
    genie                Cisco's parsers for pyATS, a folder for the path: without what they do not import, and not compiled
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import LabError
from harness.lab.packages import PROJECT, tell


@dataclass(frozen=True, slots=True)
class Wanted:
    """`listed` is the file of its packages; with `environment` they get a Python of their own."""

    told: str
    listed: str
    environment: bool = True


GENIE = "genie"
GNS3: Mapping[str, str] = {"2.2": "gns3-2.2", "3.0": "gns3-3.0"}
"""The names of GNS3 servers, by version."""
WANTED: Mapping[str, Wanted] = {
    **{name: Wanted(f"the GNS3 server {version}", f"requirements-{name}.lock") for version, name in GNS3.items()},
    GENIE: Wanted("genie's parsers", "requirements-genie.lock", environment=False),
}
CURE = "natstorm setup --for-tests"
_SHOWN = 4


def directory(name: str, cache: Path | None = None) -> Path | None:
    """Where it is; None where it is missing, half made, or made from another list or in another place."""
    where = _where(name, cache)
    try:
        complete = (where / ".complete").read_text() == _mark(name, where)
    except OSError:
        complete = False
    return where if complete else None


def setup(say: Callable[[str], None] = tell, cache: Path | None = None) -> None:
    """Makes what is missing. Quick when nothing is; safe to run twice at once. LabError where packages cannot be had."""
    for name in WANTED:
        if directory(name, cache) is None:
            where = _where(name, cache)
            where.parent.mkdir(parents=True, exist_ok=True)
            with where.with_name(f"{where.name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if directory(name, cache) is None:
                    say(f"installing {WANTED[name].told} for the tests into {where}: takes a minute …")
                    _make(name, where)


def _make(name: str, where: Path) -> None:
    """Always from nothing. The packages are installed by this environment's pip: a new one needs none of its own."""
    wanted = WANTED[name]
    step = f"install {wanted.told}"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    install = ["install", "-q", "--retries", "1", "--require-hashes", "-r", str(PROJECT / wanted.listed)]
    if wanted.environment:
        _run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(where)], step)
        _run([*pip, "--python", str(where / "bin" / "python"), *install], step)
    else:
        shutil.rmtree(where, ignore_errors=True)
        where.mkdir()
        _run([*pip, *install, "--no-deps", "--no-compile", "--target", str(where)], step)
    (where / ".complete").write_text(_mark(name, where))


def _run(command: list[str], step: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        seen = "\n".join((done.stderr or done.stdout).strip().splitlines()[-_SHOWN:]) or f"exit status {done.returncode}"
        raise LabError(step, seen, "is the package index in reach? (pip config); without it the tests that want it are skipped")


def _where(name: str, cache: Path | None) -> Path:
    return (cache or PROJECT / ".cache") / name


def _mark(name: str, where: Path) -> str:
    """A virtual environment holds its own path: in a checkout that was moved it is made anew, as for another list of packages, or
    when its Python is gone."""
    listed = hashlib.sha256((PROJECT / WANTED[name].listed).read_bytes()).hexdigest()
    python = (where / "bin" / "python").resolve(strict=True) if WANTED[name].environment else sys.version_info[:2]
    return f"{where.resolve()} {python} {listed}\n"
