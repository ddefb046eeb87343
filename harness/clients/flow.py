"""One client's marked traffic: which mark goes out when, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.clients import marks
from harness.model import RecordKind
from harness.wire import ip
from harness.wire.reassembly import Reassembly

Entry = tuple[RecordKind, dict[str, Any]]


PROBE = b"Natstorm: is there anybody yet? "
"""What the plain echoes hold that go out until the far end answers."""

PROBE_S = 0.1  # between two of them
PATIENCE_S = 2.0  # so long an unanswered far end is believed to be on its way; then the marks go out into the silence


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A packet to send; `sequence` and `size` are those of the mark in it, 0 for a plain echo."""

    packet: bytes
    sequence: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Heard:
    """What an IP packet amounted to: entries for the journal, and a packet to send back, if a real host would."""

    entries: tuple[Entry, ...] = ()
    reply: bytes | None = None


def spread(mtu: int) -> tuple[int, ...]:
    """Sizes in bytes from the least to the link's MTU, about doubling."""
    sizes, size = [], marks.LEAST
    while size < mtu:
        sizes.append(size)
        size *= 2
    return (*sizes, mtu)


class Flow:
    """Sequence numbers count from 1 and go on over reconnections, so that no two marks of a run are alike.

    `due` is when the next packet wants to be sent, None while none does. All times are seconds of the run's monotonic clock.

    A gateway takes some tenths of a second after IPCP to put the client's address on its interface. Marks sent into that would
    count as lost, so plain echoes go first, and the marks begin with the first answer.
    """

    def __init__(self, nonce: bytes, owner: int) -> None:
        if len(nonce) != marks.NONCE:
            raise ValueError(f"a run's nonce is {marks.NONCE} bytes, not {len(nonce)}")
        self.due: float | None = None
        self.mtu = 1280
        self.sent = 0
        self.answered = 0
        self._nonce = nonce
        self._owner = owner
        self._ready = False
        self._patience: float | None = None  # until when plain echoes go out
        self._probes = 0
        self._period = 0.0
        self._sizes: tuple[int, ...] = ()
        self._pending: dict[int, tuple[float, int]] = {}  # sequence → when it was sent, its size
        self._fragments = Reassembly()
        self._ip_id = 0

    @property
    def unanswered(self) -> int:
        return len(self._pending)

    def start(self, now: float, rate: float, sizes: Sequence[int] | None) -> None:
        """`rate` marks a second from now on, their sizes taken in turn; None spreads them from the least to the MTU."""
        if rate <= 0:
            raise ValueError(f"a rate of {rate} marks a second is not possible")
        if sizes is not None and (not sizes or min(sizes) < marks.LEAST or max(sizes) > 0xFFFF):
            raise ValueError(f"sizes from {marks.LEAST} to 65535 bytes are possible, not {sizes}")
        self._period = 1.0 / rate
        self._sizes = tuple(sizes or ())
        self.due = now
        if not self._ready:
            self._patience = now + PATIENCE_S

    def renew(self) -> None:
        """A new connection: nothing is known of its far end."""
        self.stop()
        self._ready, self._patience, self._probes = False, None, 0

    def stop(self) -> None:
        self.due = None

    def next(self, now: float, source: str, destination: str) -> Outgoing:
        """The packet that is due. What was missed by being late is not made up for in a burst."""
        assert self.due is not None
        if not self._ready and self._patience is not None and now < self._patience:
            self._probes += 1
            self.due = now + PROBE_S
            probe = ip.Echo(True, self._owner & 0xFFFF, self._probes & 0xFFFF, PROBE)
            return Outgoing(marks.echo(source, destination, probe, self._probes & 0xFFFF))
        self.due = max(self.due + self._period, now)
        sizes = self._sizes or spread(self.mtu)
        size = min(sizes[self.sent % len(sizes)], self.mtu)
        self.sent += 1
        self._pending[self.sent] = (now, size)
        return Outgoing(marks.mark_request(self._nonce, self._owner, self.sent, size, source, destination), self.sent, size)

    def unsendable(self, sequence: int) -> None:
        """The link did not take that mark after all."""
        self._pending.pop(sequence, None)

    def hear(self, now: float, packet: bytes, address: str | None, via: str = "") -> Heard:
        """Reads an IP packet that reached this client, whose own PPP address is `address`.

        `via` names the strange tunnel or session by which it came; then it is never answered.
        """
        whole = self._fragments.add(now, packet)
        echo = None if whole is None else marks.read_echo(whole)
        if echo is None or (not via and echo.destination != address):
            return self._astray(echo, via or f"sent to {echo.destination}") if echo and echo.mark else Heard()
        mark = echo.mark
        if via or (mark is not None and (mark.owner != self._owner or mark.nonce != self._nonce)):
            return self._astray(echo, via or "its own session") if mark else Heard()
        reply = None
        if echo.request:
            self._ip_id = (self._ip_id + 1) & 0xFFFF
            reply = marks.answer(echo, self._ip_id)
        if mark is None:
            first = not echo.request and not self._ready and echo.payload == PROBE and echo.identifier == self._owner & 0xFFFF
            return self._pinged(now) if first else Heard(reply=reply)
        if mark.problem:
            damaged = {"owner": mark.owner, "sequence": mark.sequence, "detail": mark.problem}
            return Heard(((RecordKind.MARK_DAMAGED, damaged),), reply)
        if echo.request:
            return Heard(((RecordKind.MARK_RECEIVED, {"sequence": mark.sequence, "size": mark.size}),), reply)
        return Heard((self._answer(now, mark),))

    def _pinged(self, now: float) -> Heard:
        self._ready = True
        if self.due is not None:
            self.due = now
        return Heard(((RecordKind.PINGED, {"tries": self._probes}),))

    def _answer(self, now: float, mark: marks.Mark) -> Entry:
        sent = self._pending.pop(mark.sequence, None)
        if sent is None:
            if 0 < mark.sequence <= self.sent:
                return RecordKind.MARK_DUPLICATE, {"sequence": mark.sequence}
            return RecordKind.MARK_STRANGE, {"owner": mark.owner, "sequence": mark.sequence, "via": "never sent"}
        if sent[1] != mark.size:
            detail = f"sent with {sent[1]} bytes, answered with {mark.size}"
            return RecordKind.MARK_DAMAGED, {"owner": mark.owner, "sequence": mark.sequence, "detail": detail}
        self.answered += 1
        return RecordKind.MARK_ANSWERED, {"sequence": mark.sequence, "size": mark.size, "took": round(now - sent[0], 6)}

    def _astray(self, echo: marks.Echo, via: str) -> Heard:
        assert echo.mark is not None
        mark = echo.mark
        data: dict[str, Any] = {"owner": mark.owner, "sequence": mark.sequence, "via": via}
        if mark.nonce != self._nonce:
            data["detail"] = "of another run"
        elif mark.problem:
            data["detail"] = mark.problem
        return Heard(((RecordKind.MARK_STRANGE, data),))
