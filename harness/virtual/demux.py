"""Translated ports (`set nat demux`): who gets which, and where a port is put in the place of another.

"When an SA is created, a translated port will be assigned to it. This port is client-specific. The same port will be used for any
new SA created by that client." (the feature's document). The port never crosses the wire: it stands between decryption and L2TP.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

L2TP_PORT = 1701


class PortAllocator(Protocol):
    """Gives each port to one holder at a time."""

    @property
    def exhausted(self) -> bool: ...

    def give(self) -> int | None:
        """A port that nobody holds; None where there is none."""

    def free(self, port: int) -> None: ...


class Fresh:
    """The ports of a range that nobody has had yet, in order. 1701 is none of them: by that, and the same address, L2TP knows a
    client without a port of its own."""

    def __init__(self, first: int, last: int) -> None:
        self._last = last
        self._next = self._but_l2tp(first)

    def __bool__(self) -> bool:
        return self._next <= self._last

    def take(self) -> int:
        """Of those that are left: whoever asks has looked whether there are any."""
        port = self._next
        self._next = self._but_l2tp(port + 1)
        return port

    @staticmethod
    def _but_l2tp(port: int) -> int:
        return port + 1 if port == L2TP_PORT else port


class NextPort:
    """Ports in order, each once; when all have been given, the one that has been free for longest."""

    def __init__(self, first: int, last: int) -> None:
        self._fresh = Fresh(first, last)
        self._freed: deque[int] = deque()

    @property
    def exhausted(self) -> bool:
        return not self._fresh and not self._freed

    def give(self) -> int | None:
        if self._fresh:
            return self._fresh.take()
        return self._freed.popleft() if self._freed else None

    def free(self, port: int) -> None:
        self._freed.append(port)


class LowestFreePort:
    """The lowest port that nobody holds."""

    def __init__(self, first: int, last: int) -> None:
        self._fresh = Fresh(first, last)
        self._freed: list[int] = []

    @property
    def exhausted(self) -> bool:
        return not self._fresh and not self._freed

    def give(self) -> int | None:
        if self._freed:
            return heapq.heappop(self._freed)
        return self._fresh.take() if self._fresh else None

    def free(self, port: int) -> None:
        heapq.heappush(self._freed, port)


ALLOCATORS: Mapping[str, Callable[[int, int], PortAllocator]] = {"next": NextPort, "lowest-free": LowestFreePort}


def allocator(policy: str, first: int, last: int) -> PortAllocator:
    return ALLOCATORS[policy](first, last)


class Translator:
    """Between the port inside ESP and the one by which L2TP knows the client. `translated` None: the client has none of its own."""

    def inbound(self, sport: int, translated: int | None) -> int:
        """The source port that L2TP is shown, for one that came out of ESP."""
        return sport if translated is None else translated

    def outbound(self, dport: int, translated: int | None, own: int) -> int:
        """The destination port that goes into ESP, for one that L2TP sent to. `own` is the port at which the client itself is."""
        return dport if translated is None else own
