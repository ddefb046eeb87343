"""Wires that take time, and an alarm for those at their ends."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

Deliver = Callable[[bytes], None]
"""Takes one whole IP packet."""
Tap = Callable[[int, bytes], None]
"""Sees a packet that passes at a moment, in nanoseconds since 1970."""


class Link:
    """One direction of a wire: each packet comes out `delay_s` after it went in, in the order in which they went in.

    However many are under way, the loop has one timer of it. What goes in while it is not `up` is lost.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, delay_s: float, deliver: Deliver) -> None:
        self._loop = loop
        self._delay_s = delay_s
        self._deliver = deliver
        self._under_way: deque[tuple[float, bytes]] = deque()
        self._armed = False
        self.up = True

    def send(self, packet: bytes) -> None:
        if not self.up:
            return
        due = self._loop.time() + self._delay_s
        self._under_way.append((due, packet))
        if not self._armed:
            self._armed = True
            self._loop.call_at(due, self._arrive)

    def _arrive(self) -> None:
        """Whoever is handed a packet may send on this very link: that comes behind what is under way."""
        now, under_way = self._loop.time(), self._under_way
        while under_way and under_way[0][0] <= now:
            self._deliver(under_way.popleft()[1])
        self._armed = bool(under_way)
        if self._armed:
            self._loop.call_at(under_way[0][0], self._arrive)


class Alarm:
    """Calls `ring` when the deadline that was last set has come. One that moves further off, as most do, costs nothing."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._wanted: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def set(self, deadline: float | None) -> None:
        self._wanted = deadline
        if deadline is None or (self._timer is not None and self._timer.when() <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._fire)

    def _fire(self) -> None:
        self._timer = None
        wanted = self._wanted
        if wanted is None:
            return
        if wanted > self._loop.time():
            self.set(wanted)
            return
        self._wanted = None
        self._ring()
