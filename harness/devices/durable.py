"""JSON lines that are on the disk before what they announce is done: of the restore journal (`journal`), and of the ledgers of
labs on servers (harness/lab/providers). A writer may be killed at any moment: it leaves whole lines, and at most one torn one."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

APPENDING = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
MODE = 0o600


def append(handle: int, value: object) -> None:
    """One line, whole and on the disk, to a file that was opened with APPENDING. What a killed writer left torn is ended first, so
    that it stays a line by itself. OSError."""
    size = os.fstat(handle).st_size
    torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
    line = b"\n" * torn + json.dumps(value).encode() + b"\n"
    if os.write(handle, line) != len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(handle)


def append_to(path: Path, value: object) -> None:
    """The same by name; the file, and its directory, are made where they are not there. OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = not path.exists()
    handle = os.open(path, APPENDING, MODE)
    try:
        append(handle, value)
    finally:
        os.close(handle)
    if fresh:
        keep_name(path.parent)


def keep_name(folder: Path) -> None:
    """A new file's name is on the disk when its directory is. OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def lines(path: Path) -> Iterator[tuple[int, Any]]:
    """(number, value) of each line. One that is torn is passed over: what it announces was never done. Nothing without a file;
    OSError where it cannot be read."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return
    for number, line in enumerate(text.split(b"\n"), 1):
        try:
            value = json.loads(line) if line.strip() else None
        except ValueError:
            continue
        if value is not None:
            yield number, value
