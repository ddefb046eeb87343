"""One heap of deadlines and one loop timer for any number of clients."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Deadlines(Generic[K]):
    """Calls `due(key, deadline)` once each key's deadline has come; the key must then be set anew.

    A deadline that moves further off, as most do with each datagram that comes in, costs nothing: the entry in the heap stays and
    is put right when it surfaces. So each key has one live entry, and the loop one timer.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], float], due: Callable[[K, float], None]) -> None:
        self._loop = loop
        self._now = now
        self._due = due
        self._heap: list[tuple[float, int, K]] = []
        self._order = 0  # breaks ties, first come first served; keys need not compare
        self._wanted: dict[K, float] = {}
        self._queued: dict[K, float] = {}  # the earliest entry of each key in the heap
        self._timer: asyncio.TimerHandle | None = None
        self._armed = float("inf")

    def __len__(self) -> int:
        return len(self._wanted)

    @property
    def entries(self) -> int:
        """Entries in the heap, outdated ones too."""
        return len(self._heap)

    def set(self, key: K, deadline: float | None) -> None:
        """`key` wants to be called at `deadline`, or not at all."""
        if deadline is None:
            self._wanted.pop(key, None)
            return
        self._wanted[key] = deadline
        queued = self._queued.get(key)
        if queued is not None and queued <= deadline:
            return
        self._push(key, deadline)
        self._arm()

    def run(self) -> None:
        """Calls whoever is due. The loop's timer does this; a test with a clock of its own may too."""
        now = self._now()
        while self._heap and self._heap[0][0] <= now:
            at, _, key = heapq.heappop(self._heap)
            if self._queued.get(key) != at:
                continue  # an earlier entry took this one's place
            del self._queued[key]
            wanted = self._wanted.get(key)
            if wanted is None:
                continue
            if wanted > now:
                self._push(key, wanted)
                continue
            del self._wanted[key]
            self._due(key, wanted)
        self._arm()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._heap.clear()
        self._wanted.clear()
        self._queued.clear()

    def _push(self, key: K, deadline: float) -> None:
        self._order += 1
        self._queued[key] = deadline
        heapq.heappush(self._heap, (deadline, self._order, key))

    def _arm(self) -> None:
        first = self._heap[0][0] if self._heap else float("inf")
        if self._timer is not None and self._armed <= first:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if first < float("inf"):
            self._armed = first
            self._timer = self._loop.call_later(max(0.0, first - self._now()), self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._armed = float("inf")
        self.run()
