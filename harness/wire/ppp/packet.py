"""Packets of the control protocols (RFC 1661 §5) and their options (§6): code, identifier, length, data; type, length, value."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from harness.errors import ProtocolError
from harness.wire.buffer import Reader


class Code(IntEnum):
    CONFIGURE_REQUEST = 1
    CONFIGURE_ACK = 2
    CONFIGURE_NAK = 3
    CONFIGURE_REJECT = 4
    TERMINATE_REQUEST = 5
    TERMINATE_ACK = 6
    CODE_REJECT = 7
    PROTOCOL_REJECT = 8
    ECHO_REQUEST = 9
    ECHO_REPLY = 10
    DISCARD_REQUEST = 11
    IDENTIFICATION = 12  # RFC 1570 §1.1
    TIME_REMAINING = 13  # RFC 1570 §1.2


class Packet(NamedTuple):
    code: int
    identifier: int
    data: bytes


class Option(NamedTuple):
    type: int
    value: bytes


def parse(layer: str, information: bytes) -> Packet:
    """Bytes after the length are padding (§5). ProtocolError where the length does not fit."""
    reader = Reader(layer, information)
    code = reader.u8("code")
    identifier = reader.u8("identifier")
    length = reader.u16("length")
    if length < 4:
        raise ProtocolError(layer, f"length {length} is shorter than the header", 2)
    return Packet(code, identifier, reader.take(length - 4, "data"))


def build(packet: Packet) -> bytes:
    return bytes((packet.code, packet.identifier)) + (4 + len(packet.data)).to_bytes(2) + packet.data


def parse_options(layer: str, data: bytes) -> tuple[Option, ...]:
    reader = Reader(layer, data)
    options = []
    while reader.left:
        kind = reader.u8("option type")
        length = reader.u8("option length")
        if length < 2:
            raise reader.error(f"option {kind} of length {length}")
        options.append(Option(kind, reader.take(length - 2, f"option {kind}")))
    return tuple(options)


def build_options(options: Iterable[Option]) -> bytes:
    return b"".join(bytes((option.type, 2 + len(option.value))) + option.value for option in options)


def readable(data: bytes) -> str:
    """Text from the wire (a Terminate-Request's reason, a CHAP message) made safe to print."""
    return "".join(letter if letter.isprintable() else "·" for letter in data.decode("utf-8", "replace"))
