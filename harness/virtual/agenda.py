"""One heap of deadlines for any number of things that want to be called."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Agenda(Generic[K]):
    """`set` says when a key wants to be called, `due` gives those whose time has come, which must then be set anew.

    A deadline that moves further off costs nothing: the entry in the heap stays, and is put right when it surfaces. So each key has
    one entry that counts, and `deadline` may be earlier than anybody wants, never later.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, K]] = []
        self._order = 0  # breaks ties, first come first served; keys need not compare
        self._wanted: dict[K, float] = {}
        self._queued: dict[K, float] = {}  # the earliest entry of each key in the heap

    def __len__(self) -> int:
        return len(self._wanted)

    @property
    def entries(self) -> int:
        """Entries in the heap, outdated ones too."""
        return len(self._heap)

    @property
    def deadline(self) -> float | None:
        while self._heap:
            at, _, key = self._heap[0]
            if self._queued.get(key) == at and key in self._wanted:
                return at
            self._pop()
        return None

    def set(self, key: K, at: float | None) -> None:
        """`key` wants to be called at `at`, or not at all."""
        if at is None:
            self._wanted.pop(key, None)
            return
        self._wanted[key] = at
        queued = self._queued.get(key)
        if queued is None or queued > at:
            self._push(key, at)

    def due(self, now: float) -> Iterator[K]:
        while self._heap and self._heap[0][0] <= now:
            key = self._pop()
            if key is None or (wanted := self._wanted.get(key)) is None:
                continue
            if wanted > now:
                self._push(key, wanted)
                continue
            del self._wanted[key]
            yield key

    def _pop(self) -> K | None:
        """The first entry's key, None where another entry has taken its place."""
        at, _, key = heapq.heappop(self._heap)
        if self._queued.get(key) != at:
            return None
        del self._queued[key]
        return key

    def _push(self, key: K, at: float) -> None:
        self._order += 1
        self._queued[key] = at
        heapq.heappush(self._heap, (at, self._order, key))
