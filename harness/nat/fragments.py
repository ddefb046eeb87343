"""Fragments through a NAT (RFC 4787 §10): only the first has ports, the others follow it, those that come before it wait for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.nat.table import Session

LIFETIME_S = 30.0
DATAGRAMS = 1024
"""Datagrams in pieces that are remembered at once, per direction; the oldest makes room."""
WAITING_BYTES = 1 << 20
"""What may wait for first fragments at once, per direction."""

Key = bytes
"""Source, destination, protocol and identification (RFC 791)."""


def key_of(packet: bytes) -> Key:
    return packet[12:20] + packet[9:10] + packet[4:6]


@dataclass(slots=True)
class _Datagram:
    until: float
    session: Session | None = None
    waiting: list[bytes] = field(default_factory=list)


class Fragments:
    """What is known of datagrams in pieces, of one direction."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._known: dict[Key, _Datagram] = {}
        self._waiting = 0  # bytes

    def first(self, now: float, packet: bytes, session: Session) -> list[bytes]:
        """The first fragment belongs to `session`; returns those that waited for it, in the order in which they came."""
        known = self._of(now, key_of(packet))
        known.session = session
        return self._release(known)

    def further(self, now: float, packet: bytes) -> tuple[Session | None, bool]:
        """(the session that a fragment without ports belongs to, or None; whether it waits for that to be known)."""
        known = self._of(now, key_of(packet))
        if known.session is not None and not known.session.binding.removed:
            return known.session, False
        if known.session is not None or self._waiting + len(packet) > WAITING_BYTES:
            return None, False
        known.waiting.append(packet)
        self._waiting += len(packet)
        return None, True

    def _release(self, known: _Datagram) -> list[bytes]:
        waiting, known.waiting = known.waiting, []
        self._waiting -= sum(map(len, waiting))
        return waiting

    def _of(self, now: float, key: Key) -> _Datagram:
        known = self._known.get(key)
        if known is None or known.until <= now:
            if known is not None:
                self._release(self._known.pop(key))
            # In the order of their end, since all live equally long.
            while self._known and (len(self._known) >= DATAGRAMS or next(iter(self._known.values())).until <= now):
                self._release(self._known.pop(next(iter(self._known))))
            known = self._known[key] = _Datagram(now + LIFETIME_S)
        return known
