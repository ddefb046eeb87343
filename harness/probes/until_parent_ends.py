"""Runs a program that the kernel kills when the process that started it ends, however that is:
`python -m harness.probes.until_parent_ends PARENT PROGRAM ARGUMENTS…`, where PARENT is that process's ID.

A capture on the machine's own network has no enclosure that would take it down with the run. The kernel forgets the signal where a
program changes its user or gains capabilities by its file (prctl(2), PR_SET_PDEATHSIG): tcpdump with `-Z root` does neither.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def killed_with(parent: int) -> None:
    """From now on the kernel kills this process when the thread that forked it ends. OSError where that cannot be had; no return
    where the parent has ended already."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL)):
        number = ctypes.get_errno()
        raise OSError(number, f"prctl PR_SET_PDEATHSIG: {os.strerror(number)}")
    if os.getppid() != parent:  # it ended before the kernel knew
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    killed_with(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
