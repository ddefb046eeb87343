"""The reaper: PID 1 of the enclosure. It starts the run, reaps what is orphaned, settles signals, and exits as the run did;
with its exit the kernel kills every other process inside.

Signals. The run shares the terminal's foreground process group with launcher and reaper, so that a Ctrl-C reaches all three, while
`kill PID` reaches one. What both launcher (by the control pipe) and reaper got at nearly the same time was meant for the group: the
run has it already. What only one of them got is passed on. Either way the run sees it once. A second request to end
is carried out at once, by the reaper's own exit.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

PASSED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that ask a run to end."""

TOGETHER_S = 0.2
"""Two copies of a signal that arrive within this time are one signal to the whole group: on a busy machine they come far apart."""

ECHO_S = 0.5
"""A further copy within this time of a settled one is its echo, no second request: timeout(1) signals its child, then the group."""

Handlers = Mapping[signal.Signals, Any]


def exit_status(status: int) -> int:
    """A wait status as a shell would report it: the exit code, or 128 + the number of the signal."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def ended(control: int) -> bool:
    """Whether the launcher, which alone holds the other end, is gone."""
    readable, _, _ = select.select([control], [], [], 0)
    return bool(readable) and os.read(control, 1) == b""


def wakeup(passed: Sequence[signal.Signals]) -> int:
    """A file descriptor that gives the number of every signal that comes from now on, one byte each."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (*passed, signal.SIGCHLD):
        signal.signal(number, lambda _number, _frame: None)
    return reader


def run(argv: Sequence[str], passed: tuple[signal.Signals, ...], handlers: Handlers, control: int) -> int:
    """Runs `argv` to its end and returns the exit status for it. Called with the signals blocked, as PID 1."""
    main = os.fork()
    if main == 0:
        _become(argv, passed, handlers)
    wake = wakeup(passed)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (*passed, signal.SIGCHLD))
    requests = Requests()
    while True:
        due = requests.next_due()
        timeout = None if due is None else max(0.0, due - time.monotonic())
        readable, _, _ = select.select([wake, control], [], [], timeout)
        now = time.monotonic()
        if control in readable:
            heard = os.read(control, 64)
            if not heard:
                return 128 + signal.SIGKILL  # the launcher was killed
            for number in heard:
                requests.heard(number, "launcher", now)
        if wake in readable:
            for number in os.read(wake, 64):
                if number != signal.SIGCHLD:
                    requests.heard(number, "reaper", now)
            status = _reap(main)
            if status is not None:
                return exit_status(status)
        for number in requests.settle(now):
            os.kill(main, number)
        if requests.second is not None:
            return 128 + requests.second


def _become(argv: Sequence[str], passed: Sequence[signal.Signals], handlers: Handlers) -> NoReturn:
    """In the child: the signals as the caller had them, then `argv` in its place."""
    try:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*passed, signal.SIGCHLD))
        os.execvp(argv[0], list(argv))
    except OSError as error:
        os.write(2, f"natstorm: cannot run {argv[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _reap(main: int) -> int | None:
    """Collects every child that has ended; the wait status of `main` if it was among them."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if pid == main:
            return status
        if pid == 0:
            return None


class Requests:
    """Which requests to end have come, and what is to be done about them. Clock values are passed in."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[str, float]] = {}  # signal: who heard it, until when the other may
        self._settled_at: float | None = None
        self.second: int | None = None

    def heard(self, number: int, by: str, now: float) -> None:
        known = self._open.get(number)
        if known is None:
            self._open[number] = (by, now + TOGETHER_S)
        elif known[0] != by:
            del self._open[number]
            self._settle(number, now)

    def next_due(self) -> float | None:
        return min((due for _, due in self._open.values()), default=None)

    def settle(self, now: float) -> list[int]:
        """The signals that the run has to be sent now."""
        due = [number for number, (_, until) in self._open.items() if until <= now]
        for number in due:
            del self._open[number]
        return [number for number in due if self._settle(number, now)]

    def _settle(self, number: int, now: float) -> bool:
        """Counts a request; False where it only echoes the one before."""
        if self._settled_at is None:
            self._settled_at = now
            return True
        if now - self._settled_at < ECHO_S:
            return False
        self.second = number
        return False
