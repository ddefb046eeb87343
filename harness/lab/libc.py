"""The few system calls that Python 3.11 does not offer (os.unshare and os.setns came with 3.12), by way of ctypes on libc.

Each raises OSError with the kernel's errno; turning that into a sentence is the caller's part. Numbers are those of
linux/sched.h, linux/mount.h and linux/prctl.h.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000

MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x4_0000

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Puts the calling process into new namespaces; with CLONE_NEWPID its next child is the new namespace's PID 1."""
    _check(_libc().unshare(ctypes.c_int(flags)), "unshare")


def setns(fd: int, kind: int) -> None:
    """Moves the calling thread into the namespace behind `fd`. `kind` is one CLONE_NEW… flag, or 0 for whatever it is."""
    _check(_libc().setns(ctypes.c_int(fd), ctypes.c_int(kind)), "setns")


def mount(source: str, target: str, kind: str | None, flags: int = 0, data: str | None = None) -> None:
    _check(
        _libc().mount(
            source.encode(),
            target.encode(),
            None if kind is None else kind.encode(),
            ctypes.c_ulong(flags),
            None if data is None else data.encode(),
        ),
        f"mount {target}",
    )


def parent_death_signal(number: int) -> None:
    """Has the kernel send `number` to this process when the thread that forked it dies. Cleared by fork, kept across exec."""
    _check(_libc().prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(number)), "prctl PR_SET_PDEATHSIG")


def process_name(name: str) -> None:
    """The name `ps` and `top` show; the kernel keeps 15 bytes of it."""
    _check(_libc().prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode())), "prctl PR_SET_NAME")
