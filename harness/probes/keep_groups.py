"""Runs a program for which setgroups() succeeds without doing anything: `python -m harness.probes.keep_groups PROGRAM ARGUMENTS…`.

tcpdump as root always sets its groups, even with `-Z root`, and ends where it may not. In a user namespace of an ordinary user
nobody may (/proc/self/setgroups says "deny", user_namespaces(7)), and there is nothing to give up. A seccomp filter answers for the
kernel.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from pathlib import Path

from harness.errors import CaptureError

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000  # with errno 0 the system call returns 0
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
# machine → (AUDIT_ARCH_…, the number of setgroups)
_MACHINES = {"x86_64": (0xC000003E, 116), "aarch64": (0xC00000B7, 159)}


def needed() -> bool:
    """Whether this process may not set its groups."""
    try:
        return Path("/proc/self/setgroups").read_text().strip() == "deny"
    except FileNotFoundError:
        return False


def answer_setgroups() -> None:
    """From now on, setgroups() of this process and its children returns 0 and changes nothing."""
    machine = platform.machine()
    if machine not in _MACHINES:
        raise CaptureError(f"tcpdump cannot run in a user namespace on {machine}: no filter is known for it")
    architecture, setgroups = _MACHINES[machine]
    program = [
        (_LOAD, 0, 0, 4),  # seccomp_data.arch
        (_JUMP_IF_EQUAL, 0, 3, architecture),
        (_LOAD, 0, 0, 0),  # seccomp_data.nr
        (_JUMP_IF_EQUAL, 0, 1, setgroups),
        (_RETURN, 0, 0, _ERRNO),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    header = struct.pack("@HP", len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value, argument in ((_PR_SET_NO_NEW_PRIVS, 1, None), (_PR_SET_SECCOMP, _MODE_FILTER, header)):
        if libc.prctl(option, ctypes.c_ulong(value), argument, ctypes.c_ulong(0), ctypes.c_ulong(0)):
            raise CaptureError(f"prctl({option}): {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    answer_setgroups()
    os.execvp(sys.argv[1], sys.argv[1:])
