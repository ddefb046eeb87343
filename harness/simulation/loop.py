"""An asyncio event loop whose time is simulated: when nothing is ready, it is the next timer's moment.

    with SimulatedLoop.runner() as runner:
        runner.run(a_day_of_churn())

Everything of asyncio that waits for timers or for other tasks works unchanged (timeout, gather, Barrier, TaskGroup, sleep). What
waits for the world outside is refused: a socket or a process lives in another time. Nothing sleeps; a run takes as long as its
work. `time()` counts from 0; the run's epoch is EPOCH, always, so that the same seed gives the same records and captures.
"""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

from harness.errors import LabError

EPOCH = 1_767_225_600
"""2026-01-01 00:00:00 UTC, in seconds since 1970: when every simulated run begins."""

RESOLUTION_S = 1e-9  # timers this close together are due together; a float holds a day of seconds more finely than that
STANDSTILL = 1_000_000  # rounds in one and the same moment: something calls itself for ever


class SimulatedLoop(asyncio.BaseEventLoop):
    """LabError where all wait for each other (it names them), where time stands still, where real I/O is asked for, and where a
    callback raises: that is a defect of what is simulated, and there is no going on from it."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._rounds = 0  # since time last moved
        self._fault: BaseException | None = None
        self._clock_resolution = RESOLUTION_S
        self._selector = self  # BaseEventLoop asks it what is ready, and how long to wait for that

    @classmethod
    def runner(cls) -> asyncio.Runner:
        """Runs any number of coroutines, one after another, in one and the same simulated time."""
        return asyncio.Runner(loop_factory=cls)

    def time(self) -> float:
        return self._now

    def epoch(self) -> float:
        """`time()` in seconds since 1970."""
        return EPOCH + self._now

    def nanoseconds(self) -> int:
        """`time()` in nanoseconds since 1970, for captures."""
        return EPOCH * 1_000_000_000 + round(self._now * 1e9)

    # What BaseEventLoop asks of its selector

    def select(self, timeout: float | None) -> list[Any]:
        """Nothing is ever ready outside. `timeout` 0: something is ready inside; None: nothing is, and no timer is set."""
        if self._fault is not None:
            fault, self._fault = self._fault, None
            raise LabError("simulate time", f"a defect at {self._now:.6f} s: {fault!r}") from fault
        if timeout is None:
            raise LabError("simulate time", f"all wait for each other and no timer is set: {self._who_waits()}")
        if timeout > 0:
            self._now = max(self._now, self._scheduled[0].when())  # type: ignore[attr-defined]
            self._rounds = 0
        else:
            self._rounds += 1
            if self._rounds > STANDSTILL:
                raise LabError("simulate time", f"it stands still at {self._now:.6f} s: {self._who_waits()}")
        return []

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if "handle" in context:  # of a callback; others are of tasks whose exception nobody asked for
            self._fault = self._fault or context.get("exception")
        super().call_exception_handler(context)

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps: what another thread or a signal handler has asked for comes in the next round."""

    def _who_waits(self) -> str:
        waiting = sorted(_position(task) for task in asyncio.all_tasks(self) if not task.done())
        return "; ".join(waiting) or "no task at all"

    # What there is no simulated counterpart of

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise LabError(
            "simulate time",
            "sockets, pipes, processes and threads live in another time",
            "a simulated link instead, or the wall's event loop once the simulation is over",
        )

    add_reader = add_writer = remove_reader = remove_writer = add_signal_handler = remove_signal_handler = _refuse
    sock_recv = sock_recv_into = sock_recvfrom = sock_recvfrom_into = sock_sendall = sock_sendto = _refuse
    sock_connect = sock_accept = sock_sendfile = sendfile = start_tls = _refuse
    create_connection = create_server = create_datagram_endpoint = connect_accepted_socket = _refuse
    create_unix_connection = create_unix_server = connect_read_pipe = connect_write_pipe = _refuse
    subprocess_exec = subprocess_shell = run_in_executor = getaddrinfo = getnameinfo = _refuse


def _position(task: asyncio.Task[Any]) -> str:
    """A task's name and the place where it waits."""
    frames = task.get_stack(limit=1)
    coroutine = task.get_coro()
    name = getattr(coroutine, "__qualname__", repr(coroutine))
    where = f" at {frames[-1].f_code.co_filename}:{frames[-1].f_lineno}" if frames else ""
    return f"{task.get_name()} ({name}){where}"
