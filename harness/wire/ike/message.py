"""The ISAKMP header and the chain of payloads behind it (RFC 2408 §3.1, §3.2).

A message is read in time linear in its length: every payload is at least four bytes long, and a message holds at most
MAX_PAYLOADS of them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from harness.errors import ProtocolError
from harness.wire.buffer import Reader
from harness.wire.ike import registry

HEADER_SIZE = 28
MAX_PAYLOADS = 64

_HEADER = struct.Struct(">8s8sBBBBII")
_GENERIC = struct.Struct(">BBH")


class Header(NamedTuple):
    """`first` is the type of the first payload; `message_id` is 0 throughout phase 1."""

    icookie: bytes
    rcookie: bytes
    first: int
    exchange: int
    flags: int
    message_id: int

    @property
    def encrypted(self) -> bool:
        return bool(self.flags & registry.FLAG_ENCRYPTION)


class Payload(NamedTuple):
    """`body` is without the generic header; `end` is the offset, in what was read, of the byte after the payload."""

    type: int
    body: bytes
    end: int


def read_header(data: bytes) -> Header:
    """The header of a message whose length field agrees with the datagram."""
    if len(data) < HEADER_SIZE:
        raise ProtocolError("ike", f"a message of {len(data)} bytes is shorter than the ISAKMP header")
    icookie, rcookie, first, version, exchange, flags, message_id, length = _HEADER.unpack_from(data)
    if version >> 4 != 1:
        raise ProtocolError("ike", f"version {version >> 4}.{version & 15} is not IKEv1", 17)
    if length != len(data):
        raise ProtocolError("ike", f"the header says {length} bytes, the datagram has {len(data)}", 24)
    if icookie == bytes(8):
        raise ProtocolError("ike", "the initiator's cookie is zero", 0)
    return Header(icookie, rcookie, first, exchange, flags, message_id)


def read_payloads(first: int, data: bytes, start: int = 0) -> list[Payload]:
    """The chain that begins at `start` with a payload of type `first`. What follows the last payload is padding."""
    reader = Reader("ike", data, start)
    payloads: list[Payload] = []
    kind = first
    while kind:
        if len(payloads) == MAX_PAYLOADS:
            raise reader.error(f"more than {MAX_PAYLOADS} payloads")
        if kind not in registry.PAYLOADS and kind < 128:
            raise reader.error(f"payload type {kind} is unknown")
        following, reserved, length = _GENERIC.unpack(reader.take(4, "a payload's header"))
        if reserved:
            raise reader.error("a payload's reserved byte is not zero")
        body = reader.take(length - 4, f"a payload {registry.PAYLOADS.get(kind, kind)}")
        payloads.append(Payload(kind, body, reader.position))
        kind = following
    return payloads


def write_payloads(payloads: Iterable[tuple[int, bytes]]) -> tuple[int, bytes]:
    """The type of the first payload, and the chain."""
    chain = tuple(payloads)
    parts: list[bytes] = []
    for index, (_, body) in enumerate(chain):
        following = chain[index + 1][0] if index + 1 < len(chain) else 0
        parts += (_GENERIC.pack(following, 0, len(body) + 4), body)
    return (chain[0][0] if chain else 0), b"".join(parts)


def write_message(header: Header, payload: bytes) -> bytes:
    """`payload` is a chain, or the cipher text of one."""
    return (
        _HEADER.pack(
            header.icookie,
            header.rcookie,
            header.first,
            registry.VERSION,
            header.exchange,
            header.flags,
            header.message_id,
            HEADER_SIZE + len(payload),
        )
        + payload
    )


def only(payloads: Iterable[Payload], kind: int, message: str) -> bytes:
    """The body of the one payload of this kind. None, or a second, is a ProtocolError."""
    found = [p.body for p in payloads if p.type == kind]
    if len(found) != 1:
        raise ProtocolError("ike", f"{message} holds {len(found)} payloads {registry.PAYLOADS[kind]}, not one")
    return found[0]


def every(payloads: Iterable[Payload], *kinds: int) -> list[bytes]:
    """The bodies of all payloads of these kinds, in their order."""
    return [p.body for p in payloads if p.type in kinds]
