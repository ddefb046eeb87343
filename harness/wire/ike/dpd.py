"""Dead peer detection (RFC 3706): is anybody still there?

R-U-THERE goes out only after an idle time, only to a peer that announced DPD, and each try is a new message with the next
sequence number, since a peer may drop an exact copy as a duplicate.
"""

from __future__ import annotations

from harness.wire.ike import registry
from harness.wire.ike.payloads import Notification
from harness.wire.retransmit import Retransmit, Schedule


def question(cookies: bytes, sequence: int) -> Notification:
    return Notification(registry.PROTO_ISAKMP, registry.R_U_THERE, cookies, sequence.to_bytes(4))


def answer(asked: Notification) -> Notification:
    return Notification(registry.PROTO_ISAKMP, registry.R_U_THERE_ACK, asked.spi, asked.data)


class Liveness:
    """`heard_at`: when the peer last gave a sign of life. `idle_s` None: we only answer."""

    __slots__ = ("_asked", "_retransmit", "_sequence", "heard_at", "idle_s")

    def __init__(self, idle_s: float | None, schedule: Schedule, first_sequence: int) -> None:
        self.idle_s = idle_s
        self.heard_at = 0.0
        self._retransmit = Retransmit(schedule)
        self._sequence = first_sequence
        self._asked: list[int] = []

    @property
    def tries(self) -> int:
        return self._retransmit.tries

    @property
    def deadline(self) -> float | None:
        if self._retransmit.deadline is not None or self.idle_s is None:
            return self._retransmit.deadline
        return self.heard_at + self.idle_s

    def heard(self, now: float) -> None:
        self.heard_at = now
        self._asked.clear()
        self._retransmit.stop()

    def tick(self, now: float) -> int | None:
        """The sequence number to ask with now, or None. Raises PeerDead once the schedule has ended."""
        if self.idle_s is None or self.deadline is None or now < self.deadline:
            return None
        if self._retransmit.deadline is None:
            self._retransmit.start(now)
        elif self._retransmit.expire(now) is None:
            raise PeerDead
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        self._asked.append(self._sequence)
        return self._sequence

    def acknowledged(self, data: bytes) -> bool:
        """Whether this is the answer to one of the questions still open."""
        return len(data) == 4 and int.from_bytes(data) in self._asked


class PeerDead(Exception):
    """No question was answered. Never leaves the core."""
