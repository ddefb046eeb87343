"""What plain hosts say that a NAT has to look into: FTP's passive mode (RFC 959) and two messages of SCCP, in the layout that
Wireshark's dissector knows. Built, and read again as the other side sees them."""

from __future__ import annotations

import re
import struct
from ipaddress import IPv4Address

REGISTER, OPEN_RECEIVE_CHANNEL_ACK = 0x0001, 0x0022
_PASSIVE = re.compile(r"227 [^(]*\((\d+),(\d+),(\d+),(\d+),(\d+),(\d+)\)")


def passive(address: str, port: int) -> bytes:
    """A server's answer that says where it waits for the data connection."""
    return b"227 Entering passive mode (%s,%d,%d).\r\n" % (address.replace(".", ",").encode(), port >> 8, port & 0xFF)


def told_passive(said: str) -> tuple[str, int] | None:
    """The address and port in such an answer."""
    match = _PASSIVE.search(said)
    if match is None:
        return None
    *address, high, low = match.groups()
    return ".".join(address), int(high) << 8 | int(low)


def register(address: str) -> bytes:
    """A phone tells its call manager who it is."""
    return _sccp(REGISTER, b"SEP001122334455\0" + struct.pack("<II", 0, 1) + IPv4Address(address).packed + struct.pack("<II", 7, 0))


def told_register(said: str) -> str:
    """The address in it; "" where it is no such message."""
    data = said.encode("latin-1")
    return str(IPv4Address(data[36:40])) if _message(data) == REGISTER and len(data) >= 40 else ""


def opened(address: str, port: int) -> bytes:
    """A phone tells where it waits for media."""
    return _sccp(OPEN_RECEIVE_CHANNEL_ACK, struct.pack("<I", 0) + IPv4Address(address).packed + struct.pack("<II", port, 99))


def told_opened(said: str) -> tuple[str, int] | None:
    """The address and port in it."""
    data = said.encode("latin-1")
    if _message(data) != OPEN_RECEIVE_CHANNEL_ACK or len(data) < 24:
        return None
    return str(IPv4Address(data[16:20])), int.from_bytes(data[20:24], "little")


def _sccp(message: int, body: bytes) -> bytes:
    return struct.pack("<III", 4 + len(body), 0, message) + body


def _message(data: bytes) -> int | None:
    return int.from_bytes(data[8:12], "little") if len(data) >= 12 else None
