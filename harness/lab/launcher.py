"""The launcher: the process outside. It makes the namespaces, starts the reaper as their PID 1, passes signals on, and ends with
the run's exit status. A process of its own, freshly executed: a user namespace takes a process of one thread."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from harness.errors import LabError, NatstormError
from harness.lab import libc, mounts, reaper

MARK = "NATSTORM_ENCLOSURE"
"""Environment variable that names the enclosure's PID namespace, as /proc/self/ns/pid does."""

LAUNCHER = "NATSTORM_LAUNCHER"
"""Environment variable that holds the launcher's process ID, as the outside sees it."""

_CAP_NET_ADMIN = 12
_CAP_SYS_ADMIN = 21
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1


def pid_namespace() -> str:
    return os.readlink("/proc/self/ns/pid")


def needed_paths() -> list[Path]:
    """What Python and the project themselves need to find again inside."""
    project = Path(__file__).resolve().parents[2]
    return [Path.cwd(), project, Path(sys.prefix), Path(sys.base_prefix), *(Path(entry) for entry in sys.path if entry)]


def main(argv: Sequence[str]) -> NoReturn:
    """Runs `argv` in a new enclosure and exits with its status, or 2 where none can be made."""
    try:
        status = launch(argv)
    except NatstormError as error:
        print(f"natstorm: {error}", file=sys.stderr, flush=True)
        status = 2
    sys.exit(status)


def launch(argv: Sequence[str]) -> int:
    libc.process_name("natstorm-launch")
    os.environ[LAUNCHER] = str(os.getpid())
    cwd = Path.cwd()
    kept = mounts.kept_paths(needed_paths(), argv, cwd)
    # A signal that the caller had ignored (nohup, a shell's background job) stays so for everyone.
    passed = tuple(s for s in reaper.PASSED if signal.getsignal(s) is not signal.SIG_IGN)
    handlers = {s: signal.getsignal(s) for s in (*passed, signal.SIGCHLD)}
    control_read, control_write = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, (*passed, signal.SIGCHLD))
    separate()
    child = os.fork()
    if child == 0:
        os.close(control_write)
        status = 2
        try:
            status = _reaper(argv, kept, cwd, passed, handlers, control_read)
        except NatstormError as error:
            print(f"natstorm: {error}", file=sys.stderr, flush=True)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(control_read)
    wake = reaper.wakeup(passed)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (*passed, signal.SIGCHLD))
    while True:
        select.select([wake], [], [])
        for number in os.read(wake, 64):
            if number == signal.SIGCHLD:
                pid, status = os.waitpid(child, os.WNOHANG)
                if pid:
                    return reaper.exit_status(status)
                continue
            try:
                os.write(control_write, bytes([number]))
            except BrokenPipeError:
                continue  # the reaper is gone already; the SIGCHLD that says so is on its way


def _reaper(
    argv: Sequence[str],
    kept: Sequence[Path],
    cwd: Path,
    passed: tuple[signal.Signals, ...],
    handlers: reaper.Handlers,
    control: int,
) -> int:
    libc.parent_death_signal(signal.SIGKILL)
    libc.process_name("natstorm-reaper")
    if reaper.ended(control):  # the launcher died before the line above took effect
        return 128 + signal.SIGKILL
    move_in(kept)
    os.chdir(cwd)
    os.environ[MARK] = pid_namespace()
    os.environ["TMPDIR"] = "/tmp"
    return reaper.run(argv, passed, handlers, control)


def privileged() -> bool:
    """Root with the rights that the namespaces need; root in a plain container has them not."""
    if os.geteuid() != 0:
        return False
    with open("/proc/self/status", encoding="ascii") as status:
        effective = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff:"))
    return all(effective >> capability & 1 for capability in (_CAP_NET_ADMIN, _CAP_SYS_ADMIN))


def separate() -> None:
    """Has the next child be PID 1 of a new PID namespace, in a user namespace where this process is not root."""
    uid, gid = os.geteuid(), os.getegid()
    if privileged():
        flags = libc.CLONE_NEWPID
    else:
        flags = libc.CLONE_NEWUSER | libc.CLONE_NEWPID
    try:
        libc.unshare(flags)
        if flags & libc.CLONE_NEWUSER:
            # Without root one may map only oneself, and only after giving up setgroups (user_namespaces(7)).
            for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
                with open(f"/proc/self/{name}", "w", encoding="ascii") as stream:
                    stream.write(text)
    except OSError as error:
        raise forbidden("make the run's own PID namespace" if privileged() else "make a user namespace", error) from error


def move_in(kept: Sequence[Path]) -> None:
    """The rest, as PID 1: network and mount namespace, the mounts, the loopback interface up."""
    try:
        libc.unshare(libc.CLONE_NEWNET | libc.CLONE_NEWNS)
    except OSError as error:
        raise forbidden("make the run's own network and mount namespace", error) from error
    mounts.furnish(kept)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16xH14x", fcntl.ioctl(probe, _SIOCGIFFLAGS, request))[0]
        fcntl.ioctl(probe, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


def forbidden(step: str, error: OSError) -> LabError:
    """The error for a namespace that the kernel refuses, with the switch that forbids it where one is found."""
    seen = error.strerror or str(error)
    for name, forbids, cure in _SWITCHES:
        try:
            value = Path("/proc/sys", name).read_text(encoding="ascii").strip()
        except OSError:  # this kernel has no such switch
            continue
        if value == forbids:
            return LabError(step, f"{seen} ({name.replace('/', '.')} = {value})", cure)
    return LabError(
        step,
        seen,
        "run as root, or where the kernel lets a user make namespaces; in a container: docker run --privileged",
    )


_SWITCHES = (
    (
        "user/max_user_namespaces",
        "0",
        "sudo sysctl -w user.max_user_namespaces=15000, or run as root",
    ),
    (
        "kernel/unprivileged_userns_clone",
        "0",
        "sudo sysctl -w kernel.unprivileged_userns_clone=1 (Debian's switch), or run as root",
    ),
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu's AppArmor restriction), or run as root",
    ),
)
