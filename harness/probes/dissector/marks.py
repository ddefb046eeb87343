"""Marks: the words that the harness writes into ICMP echo payloads, read back and checked byte by byte.

Layout, big-endian: "NSTM", version (1 byte, 1), run nonce (8 bytes), owner (u32), sequence (u32), size of the whole IPv4 packet
(u16), pattern. The pattern is SHA-256(nonce ‖ owner ‖ sequence ‖ counter) for counter 0, 1, 2 …, numbers as u32, cut off.
The sender has code of its own for this; the two are kept apart on purpose.
"""

from __future__ import annotations

import hashlib
import struct
from functools import lru_cache
from typing import Any

from harness.errors import ProtocolError

_HEADER = struct.Struct("!4sB8sIIH")
MAGIC = b"NSTM"


@lru_cache(maxsize=4096)
def pattern(nonce: bytes, owner: int, sequence: int, size: int) -> bytes:
    """The first `size` bytes of the stream. Cached: request and answer, inside and outside, ask for the same one."""
    stream = b""
    while len(stream) < size:
        stream += hashlib.sha256(nonce + struct.pack("!III", owner, sequence, len(stream) // 32)).digest()
    return stream[:size]


def read_mark(payload: bytes, packet_length: int, answer: bool) -> dict[str, Any] | None:
    """The mark in an echo's payload; `packet_length` is that of the IPv4 packet that carries it.

    None where the payload is no mark at all; ProtocolError (layer "mark") where it is one and a byte of it has changed.
    """
    if payload[:4] != MAGIC:
        return None
    if len(payload) < _HEADER.size:
        raise ProtocolError("mark", f"{len(payload)} bytes, its header takes {_HEADER.size}")
    _, version, nonce, owner, sequence, size = _HEADER.unpack_from(payload)
    if version != 1:
        raise ProtocolError("mark", f"version {version}", 4)
    if size != packet_length:
        raise ProtocolError("mark", f"it was sent with {size} bytes, {packet_length} came (owner {owner}, sequence {sequence})", 21)
    found, right = payload[_HEADER.size :], pattern(nonce, owner, sequence, len(payload) - _HEADER.size)
    if found != right:
        at = next(i for i, (a, b) in enumerate(zip(found, right, strict=True)) if a != b)
        raise ProtocolError("mark", f"damaged pattern (owner {owner}, sequence {sequence})", _HEADER.size + at)
    return {"owner": owner, "sequence": sequence, "answer": answer, "nonce": nonce.hex(), "size": size}
