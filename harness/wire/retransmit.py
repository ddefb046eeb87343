"""Retransmission as data: a schedule of waits, and a timer that walks it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """`waits[i]` is how many seconds to wait for an answer after the i-th sending; after the last wait one gives up."""

    waits: tuple[float, ...]


class Retransmit:
    """Keeps one message (one or several datagrams) alive until it is answered or the schedule ends."""

    __slots__ = ("_payload", "_schedule", "_sent", "deadline")

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._payload: tuple[bytes, ...] = ()
        self._sent = 0
        self.deadline: float | None = None

    @property
    def tries(self) -> int:
        """How often the present message has been sent."""
        return self._sent

    def start(self, now: float, *payload: bytes) -> None:
        """A new message has just been sent for the first time."""
        self._payload = payload
        self._sent = 1
        self.deadline = now + self._schedule.waits[0]

    def stop(self) -> None:
        self._payload = ()
        self.deadline = None

    def expire(self, now: float) -> tuple[bytes, ...] | None:
        """What to send again at `now`: () while the deadline lies ahead or nothing is kept, None once the schedule has ended."""
        if self.deadline is None or now < self.deadline:
            return ()
        if self._sent >= len(self._schedule.waits):
            self.stop()
            return None
        self.deadline = now + self._schedule.waits[self._sent]
        self._sent += 1
        return self._payload
