"""What the inside of an enclosure finds mounted: its own /tmp, /run and /dev/shm, a /proc and a /sys that tell of it alone.

Paths that the run needs and that lie below one of the hidden directories (a checkout in /tmp, a virtual environment there,
a file named on the command line) are bound back to where they were.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.errors import LabError, UsageError
from harness.lab import libc

HIDDEN = (("/tmp", "1777"), ("/run", "0755"), ("/dev/shm", "1777"))
"""Directories that get a tmpfs of their own, with their modes. User Mode Linux keeps a guest's memory in /dev/shm."""


def hidden_root(path: Path) -> str | None:
    """The hidden directory that `path` is or lies below, None where it stays visible."""
    return next((root for root, _ in HIDDEN if path == Path(root) or Path(root) in path.parents), None)


def kept_paths(needed: Iterable[Path], argv: Sequence[str], cwd: Path) -> tuple[Path, ...]:
    """The paths to bind back: those of `needed`, and those that `argv` names (`FILE`, `--option=FILE`), as seen from `cwd`.

    A file that does not exist yet needs its directory. Raises UsageError where that directory is itself hidden, since what the
    run writes there would be lost with it.
    """
    kept = {path for path in (p.absolute() for p in needed) if hidden_root(path) not in (None, str(path)) and path.exists()}
    for argument in argv:
        name = argument.split("=", 1)[1] if argument.startswith("-") and "=" in argument else argument
        # os.path, not Path: what is no path at all (a program's text, a NUL) does not exist, and is no error.
        if "\0" in name or ("/" not in name and not os.path.exists(cwd / name)):
            continue
        path = Path(os.path.normpath(cwd / name.split("::", 1)[0]))
        root = hidden_root(path)
        if root is None or str(path) == root:
            continue
        if os.path.exists(path):
            kept.add(path)
        elif os.path.isdir(path.parent) and str(path.parent) != root:
            kept.add(path.parent)
        elif os.path.isdir(path.parent):
            raise UsageError(
                f"{path} would be lost: the run has its own {root}, which goes when the run ends",
                cure=f"name a place outside {root}, or a directory below it that exists",
            )
    # What lies below a path that is kept comes with it.
    return tuple(sorted(path for path in kept if not any(parent in kept for parent in path.parents)))


def furnish(kept: Sequence[Path]) -> None:
    """Mounts all of it. To be called as PID 1 of the new namespaces, once; raises LabError naming the mount that failed."""
    _mount("none", "/", None, libc.MS_REC | libc.MS_PRIVATE)
    handles = [(path, path.is_dir(), os.open(path, os.O_PATH | os.O_CLOEXEC)) for path in kept]
    secure = libc.MS_NOSUID | libc.MS_NODEV
    _mount("proc", "/proc", "proc", secure | libc.MS_NOEXEC)
    _mount("sysfs", "/sys", "sysfs", secure | libc.MS_NOEXEC)
    for root, mode in HIDDEN:
        if os.path.isdir(root):
            _mount("natstorm", root, "tmpfs", secure, f"mode={mode}")
    os.makedirs("/run/netns", mode=0o755, exist_ok=True)
    os.makedirs("/run/lock", mode=0o1777, exist_ok=True)
    for path, directory, handle in handles:
        if directory:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        _mount(f"/proc/self/fd/{handle}", str(path), None, libc.MS_BIND | libc.MS_REC)
        os.close(handle)


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    try:
        libc.mount(source, target, kind, flags, data)
    except OSError as error:
        step = f"mount {kind or 'bind'} on {target} in the run's own mount namespace"
        raise LabError(step, error.strerror or str(error), _CURE) from error


_CURE = (
    "run on a host, or in a container whose /proc and /sys are not masked and that may mount "
    "(docker run --privileged; or --cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt systempaths=unconfined "
    "--security-opt apparmor=unconfined)"
)
