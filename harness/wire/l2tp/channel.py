"""Reliable delivery of control messages (RFC 2661 §5.8): Ns and Nr, a sliding window with slow start (Appendix A), ZLBs.

Numbers are 16 bits and wrap; "behind" is the half of the circle before Nr.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

from harness.wire.l2tp.header import build_control
from harness.wire.retransmit import Retransmit, Schedule

DEFAULT_WINDOW = 4  # RFC 2661 §4.4.3: a peer that names no receive window has one of 4
HALF = 0x8000


class Arrival(Enum):
    """What `receive` found: to be processed; seen before; a gap before it (dropped, the peer sends it again); a ZLB."""

    NEW = "new"
    DUPLICATE = "duplicate"
    AHEAD = "ahead"
    ACKNOWLEDGEMENT = "acknowledgement"


@dataclass(frozen=True, slots=True)
class _Outgoing:
    session: int
    body: bytes
    name: str


class Channel:
    """One side of a control connection. `tunnel` is the peer's ID, 0 until it is known."""

    __slots__ = (
        "_first", "_flight", "_grown", "_nr", "_owes", "_queue", "_threshold", "_timer", "_window", "peer_window", "tunnel",
    )  # fmt: skip

    def __init__(self, schedule: Schedule) -> None:
        self.tunnel = 0
        self.peer_window = DEFAULT_WINDOW
        self._queue: deque[_Outgoing] = deque()
        self._flight: deque[_Outgoing] = deque()  # sent, unacknowledged; the first carries Ns `_first`
        self._first = 0
        self._nr = 0
        self._owes = False  # an acknowledgement
        self._window = 1  # congestion window, in messages
        self._threshold: int | None = None  # of slow start; None: the peer's window
        self._grown = 0  # acknowledgements counted towards the next step of congestion avoidance
        self._timer = Retransmit(schedule)

    @property
    def deadline(self) -> float | None:
        return self._timer.deadline

    @property
    def idle(self) -> bool:
        """Everything sent has been acknowledged."""
        return not self._flight and not self._queue

    @property
    def tries(self) -> int:
        return self._timer.tries

    @property
    def waiting_for(self) -> str:
        """The name of the oldest message that the peer has not acknowledged; "" where there is none."""
        return self._flight[0].name if self._flight else ""

    def send(self, name: str, session: int, body: bytes) -> None:
        """Queues a message; `flush` sends what the window allows."""
        self._queue.append(_Outgoing(session, body, name))

    def receive(self, now: float, ns: int, nr: int, body: bytes) -> Arrival:
        self._acknowledge(now, nr)
        if not body:
            return Arrival.ACKNOWLEDGEMENT
        ahead = (ns - self._nr) & 0xFFFF
        self._owes = True
        if ahead == 0:
            self._nr = (self._nr + 1) & 0xFFFF
            return Arrival.NEW
        return Arrival.DUPLICATE if ahead >= HALF else Arrival.AHEAD

    def flush(self, now: float) -> list[bytes]:
        """What goes out at `now`: queued messages as the window allows, else a ZLB where an acknowledgement is owed."""
        packets = []
        while self._queue and len(self._flight) < min(self._window, self.peer_window):
            message = self._queue.popleft()
            ns = self._first + len(self._flight)
            self._flight.append(message)
            packets.append(self._packet(ns, message))
            if self._timer.deadline is None:
                self._timer.start(now)
        if packets:
            self._owes = False
        elif self._owes:
            self._owes = False
            packets.append(build_control(self.tunnel, 0, (self._first + len(self._flight)) & 0xFFFF, self._nr, b""))
        return packets

    def expire(self, now: float) -> list[bytes] | None:
        """What to send again at `now`, with the present Nr; None once the schedule has ended: the peer is gone."""
        due = self._timer.deadline is not None and now >= self._timer.deadline
        if self._timer.expire(now) is None:
            return None
        if not due:
            return []
        self._threshold = max(len(self._flight) // 2, 1)
        self._window = 1
        self._grown = 0
        self._owes = False
        return [self._packet(self._first + place, message) for place, message in enumerate(self._flight)]

    def abandon(self) -> None:
        """Nothing is sent again, and nothing queued goes out. Duplicates are still acknowledged."""
        self._queue.clear()
        self._flight.clear()
        self._timer.stop()

    def _packet(self, ns: int, message: _Outgoing) -> bytes:
        return build_control(self.tunnel, message.session, ns & 0xFFFF, self._nr, message.body)

    def _acknowledge(self, now: float, nr: int) -> None:
        count = (nr - self._first) & 0xFFFF
        if not 0 < count <= len(self._flight):
            return  # an old number, or one for what was never sent
        for _ in range(count):
            self._flight.popleft()
        self._first = nr
        self._grow(count)
        if self._flight:
            self._timer.start(now)
        else:
            self._timer.stop()

    def _grow(self, count: int) -> None:
        threshold = self.peer_window if self._threshold is None else self._threshold
        for _ in range(count):
            if self._window < threshold:
                self._window += 1
                continue
            self._grown += 1
            if self._grown >= self._window:
                self._grown = 0
                self._window = min(self._window + 1, self.peer_window)
