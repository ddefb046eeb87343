"""How a run is told to end: by Ctrl-C, by SIGTERM, or by the loss of its terminal. It gives back what it had in each case."""

from __future__ import annotations

import os
import signal
import termios


def as_ctrl_c() -> None:
    """From now on SIGTERM, and a first SIGHUP, end this process as Ctrl-C does. Who ignores SIGHUP from the start, as below nohup,
    goes on ignoring it."""
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _hung_up)


def _interrupt(*_: object) -> None:
    """Kernel and shell both send SIGHUP when a session ends, and systemd after SIGTERM: that one must not cut short what the
    first signal has begun."""
    if signal.getsignal(signal.SIGHUP) is _hung_up:
        signal.signal(signal.SIGHUP, _speak_to_nobody)
    signal.raise_signal(signal.SIGINT)


def _hung_up(*_: object) -> None:
    _speak_to_nobody()
    _interrupt()


def _speak_to_nobody(*_: object) -> None:
    """What is written to a terminal that is gone fails: giving back must not end over it."""
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for entry in os.listdir("/proc/self/fd"):
        handle = int(entry)
        try:
            terminal = os.readlink(f"/proc/self/fd/{handle}").startswith(("/dev/pts/", "/dev/tty", "/dev/console"))
        except OSError:  # that of the list itself
            continue
        if terminal and _gone(handle):
            os.dup2(nowhere, handle, inheritable=os.get_inheritable(handle))
    os.close(nowhere)


def _gone(terminal: int) -> bool:
    try:
        termios.tcgetattr(terminal)
    except termios.error:
        return True
    return False
