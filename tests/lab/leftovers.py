"""What a machine holds, and what of it is new: for tests that kill a run and look whether anything stays.

Meant for the inside of an enclosure that plays the machine (`enclosed`): there nobody else makes or removes anything meanwhile.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

CHECKOUT = str(Path(__file__).resolve().parents[2])
TEMPORARY = ("/tmp", "/run", "/dev/shm", "/var/tmp")
NAMESPACE_KINDS = ("net", "mnt", "pid", "user")


@dataclass(frozen=True)
class Snapshot:
    processes: frozenset[str]  # "PID name (state)", this process and its threads left out
    namespaces: frozenset[str]  # those that a process is in, or that a mount keeps
    interfaces: frozenset[str]
    mounts: frozenset[str]
    files: frozenset[str]
    sockets: frozenset[str]  # abstract Unix sockets


def snapshot() -> Snapshot:
    processes, namespaces = set(), set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            head, tail = (entry / "stat").read_text().rsplit(")", 1)
            if int(entry.name) != os.getpid():
                processes.add(f"{head}) {tail.split()[0]}")
            namespaces.update(os.readlink(entry / "ns" / kind) for kind in NAMESPACE_KINDS)
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended meanwhile, or a zombie: its namespaces are gone already
        except PermissionError:
            continue  # another user's: not of a run of ours
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    namespaces.update(fields_[3] for fields_ in mounts if "nsfs" in fields_)
    return Snapshot(
        frozenset(processes),
        frozenset(namespaces),
        frozenset(os.listdir("/sys/class/net")),
        frozenset(f"{fields_[4]} {fields_[fields_.index('-') + 1]}" for fields_ in mounts),
        frozenset(path for root in TEMPORARY for path in _files(root)),
        frozenset(line.split()[7] for line in Path("/proc/net/unix").read_text().splitlines() if " @" in line),
    )


def _files(root: str) -> Iterator[str]:
    """What lies below `root` on its own file system: other mounts there, and a checkout, live a life of their own."""
    device = os.stat(root).st_dev
    for directory, names, files in os.walk(root):
        below = ((name, os.path.join(directory, name)) for name in names)
        names[:] = [name for name, path in below if path != CHECKOUT and _device(path) == device]
        yield from (os.path.join(directory, name) for name in (*names, *files))


def _device(path: str) -> int | None:
    try:
        return os.lstat(path).st_dev
    except FileNotFoundError:
        return None  # removed meanwhile


def new(before: Snapshot, after: Snapshot) -> list[str]:
    """What is in `after` and was not in `before`, a line each."""
    return [
        f"{field.name}: {item}"
        for field in fields(Snapshot)
        for item in sorted(getattr(after, field.name) - getattr(before, field.name))
    ]


def left_behind(before: Snapshot, within: float = 10.0, ignore: str | None = None) -> list[str]:
    """What is still there `within` seconds from now that was not `before`: the kernel clears network namespaces in its own time.

    Lines that begin with `ignore` do not count.
    """
    deadline = time.monotonic() + within
    while True:
        left = [line for line in new(before, snapshot()) if ignore is None or not line.startswith(ignore)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)


def assert_nothing_left(before: Snapshot, within: float = 10.0, ignore: str | None = None) -> None:
    """`left_behind` as an assertion that says what it found."""
    left = left_behind(before, within, ignore)
    assert not left, "left behind:\n  " + "\n  ".join(left)
