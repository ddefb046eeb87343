"""Watching a link by LCP Echo-Requests (RFC 1661 §5.8): when the next is due, and how many went unanswered."""

from __future__ import annotations


class EchoTimer:
    """`period` in seconds, None for no echoes; `misses` unanswered ones in a row exhaust it."""

    __slots__ = ("_misses", "_period", "_waiting", "deadline")

    def __init__(self, period: float | None, misses: int) -> None:
        self._period = period
        self._misses = misses
        self._waiting: set[int] = set()  # identifiers sent since the last answer
        self.deadline: float | None = None

    @property
    def exhausted(self) -> bool:
        return len(self._waiting) >= self._misses

    def start(self, now: float) -> None:
        self._waiting.clear()
        self.deadline = None if self._period is None else now + self._period

    def stop(self) -> None:
        self._waiting.clear()
        self.deadline = None

    def due(self, now: float) -> bool:
        return self.deadline is not None and now >= self.deadline

    def sent(self, now: float, identifier: int) -> None:
        self._waiting.add(identifier)
        if self._period is not None:
            self.deadline = now + self._period

    def answered(self, identifier: int) -> None:
        """A reply to none of ours is passed over: it proves nothing about the link."""
        if identifier in self._waiting:
            self._waiting.clear()
