"""Putting IPv4 fragments together again (RFC 791 section 3.2), as far as a host needs it.

Time and packets come from outside: a client with its echoes, a carrier or a gateway without a kernel below it.
"""

from __future__ import annotations

from harness.wire.ip import checksum

HOLD_S = 15.0  # RFC 791: the least time for which fragments are kept
MOST = 64  # packets under way at once; the oldest gives way


class Reassembly:
    """One host's fragments under way, by source, destination, protocol and identification."""

    def __init__(self) -> None:
        self._under_way: dict[bytes, tuple[float, dict[int, bytes], int | None, bytes]] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def add(self, now: float, packet: bytes) -> bytes | None:
        """The whole packet as soon as there is one: `packet` itself if it is no fragment. None while parts are missing."""
        if len(packet) < 20 or packet[0] >> 4 != 4:
            return None
        flags = int.from_bytes(packet[6:8])
        more, offset = bool(flags & 0x2000), (flags & 0x1FFF) * 8
        if not more and not offset:
            return packet
        header, length = (packet[0] & 15) * 4, int.from_bytes(packet[2:4])
        if header < 20 or length > len(packet) or length <= header:
            return None
        key = packet[12:20] + packet[9:10] + packet[4:6]
        since, parts, end, head = self._under_way.pop(key, (now, {}, None, b""))
        if now - since > HOLD_S:
            since, parts, end, head = now, {}, None, b""
        parts[offset] = packet[header:length]
        if not more:
            end = offset + length - header
        if offset == 0:
            head = packet[:header]
        body = _joined(parts, end)
        if body is not None and head and len(head) + len(body) <= 0xFFFF:
            bare = head[:2] + (len(head) + len(body)).to_bytes(2) + head[4:6] + b"\0\0" + head[8:10] + b"\0\0" + head[12:]
            return bare[:10] + checksum(bare).to_bytes(2) + bare[12:] + body
        self._under_way[key] = (since, parts, end, head)
        while len(self._under_way) > MOST:
            del self._under_way[next(iter(self._under_way))]
        return None


def _joined(parts: dict[int, bytes], end: int | None) -> bytes | None:
    """The fragments in order, or None while there is a gap. Overlapping ones never join: RFC 5722's lesson."""
    if end is None or sum(map(len, parts.values())) != end:
        return None
    body = b""
    for offset in sorted(parts):
        if offset != len(body):
            return None
        body += parts[offset]
    return body
