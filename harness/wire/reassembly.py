"""Putting IPv4 fragments together again (RFC 791 section 3.2), as far as a host needs it.

Time and packets come from outside: a client with its echoes, a carrier or a gateway without a kernel below it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.wire.ip import checksum

HOLD_S = 30.0  # as Linux keeps them; RFC 791 wants 15 at least
MOST = 64  # packets under way at once; the oldest gives way
MOST_BYTES = 1 << 20  # of all that is held, likewise


@dataclass(slots=True)
class _Pieces:
    """Of one packet. `end` is where its payload ends, once the last fragment is here; `head` is the first one's header."""

    since: float
    parts: dict[int, bytes] = field(default_factory=dict)
    size: int = 0
    end: int | None = None
    head: bytes = b""

    def whole(self) -> bytes | None:
        """The packet, or None while there is a gap. Overlapping fragments never join: RFC 5722's lesson."""
        if self.size != self.end or not self.head:
            return None
        body = bytearray()
        for offset in sorted(self.parts):
            if offset != len(body):
                return None
            body += self.parts[offset]
        total = len(self.head) + len(body)
        if total > 0xFFFF:
            return None
        bare = self.head[:2] + total.to_bytes(2) + self.head[4:6] + b"\0\0" + self.head[8:10] + b"\0\0" + self.head[12:]
        return bare[:10] + checksum(bare).to_bytes(2) + bare[12:] + bytes(body)


class Reassembly:
    """One host's fragments under way, by source, destination, protocol and identification; oldest first."""

    def __init__(self) -> None:
        self._under_way: dict[bytes, _Pieces] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._under_way)

    def add(self, now: float, packet: bytes) -> bytes | None:
        """The whole packet as soon as there is one: `packet` itself if it is no fragment. None while parts are missing, and for
        what is no IPv4 packet."""
        if len(packet) < 20 or packet[0] >> 4 != 4:
            return None
        flags = int.from_bytes(packet[6:8])
        more, offset = bool(flags & 0x2000), (flags & 0x1FFF) * 8
        if not more and not offset:
            return packet
        header, length = (packet[0] & 15) * 4, int.from_bytes(packet[2:4])
        if header < 20 or length > len(packet) or length <= header or offset + length - header > 0xFFFF:
            return None
        self._forget(now)
        key = packet[12:20] + packet[9:10] + packet[4:6]
        pieces = self._under_way.setdefault(key, _Pieces(now))
        part = packet[header:length]
        grown = len(part) - len(pieces.parts.get(offset, b""))
        pieces.parts[offset] = part
        pieces.size += grown
        self._bytes += grown
        if not more:
            pieces.end = offset + len(part)
        if offset == 0:
            pieces.head = packet[:header]
        whole = pieces.whole()
        if whole is not None or pieces.size > 0xFFFF:  # done, or overlaps that will never be
            self._drop(key)
        while len(self._under_way) > MOST or self._bytes > MOST_BYTES:
            self._drop(next(iter(self._under_way)))
        return whole

    def _forget(self, now: float) -> None:
        while self._under_way:
            key, oldest = next(iter(self._under_way.items()))
            if now - oldest.since <= HOLD_S:
                return
            self._drop(key)

    def _drop(self, key: bytes) -> None:
        self._bytes -= self._under_way.pop(key).size
