"""Programs for this machine that `natstorm setup` has unpacked beside the guest's: clients alone, started with the libraries that
were unpacked with them."""

from __future__ import annotations

import atexit
import os
import shlex
import shutil
import tempfile
from pathlib import Path

from harness.lab import packages

PROGRAMS = {"telnet": "inetutils-telnet"}
"""What each is called where nothing but its package's files is there: the plain name is made by the package's installation."""


def offer(name: str, folder: Path | None = None) -> bool:
    """Whether this process, and what it starts, finds the program: the machine's own, or else the unpacked one, for which a starter
    is written into `folder` (None: one that goes with this process), and that put at the end of PATH. MissingTool where nothing is
    unpacked."""
    if shutil.which(name) is not None:
        return True
    root = packages.guest_directory()
    program = root / "usr" / "bin" / PROGRAMS[name]
    if not program.exists():
        return False
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="natstorm-starters-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    libraries = ":".join(str(one) for one in sorted((root / "usr" / "lib").glob("*-linux-gnu*")))
    starter = folder / name
    starter.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={shlex.quote(libraries)} exec {shlex.quote(str(program))} "$@"\n')
    starter.chmod(0o755)
    os.environ["PATH"] = os.pathsep.join((os.environ.get("PATH", os.defpath), str(folder)))
    return True
