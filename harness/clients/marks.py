"""Marked traffic: ICMP echoes that carry whose they are, so that a packet which reaches the wrong client gives itself away.

The echo's payload, in requests and answers alike, big-endian:

    "NSTM" | version u8 = 1 | run nonce, 8 bytes | owner u32 | sequence u32 | size u16 | pattern

`size` is the length of the whole IPv4 packet in bytes, its header (20, no options) included. The pattern fills it up: the first
bytes of SHA-256(nonce, owner, sequence, 0) | SHA-256(nonce, owner, sequence, 1) | …, with each number as u32, so that any byte
changed, cut or taken from another mark shows.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, replace

from harness.errors import ProtocolError
from harness.wire import ip

MAGIC = b"NSTM"
VERSION = 1
NONCE = 8
_HEAD = struct.Struct("!4sB8sIIH")
_IP = 20  # bytes of an IPv4 header without options
_ICMP = struct.Struct("!BBHHH")

LEAST = 64  # bytes of the whole IPv4 packet: the smallest mark that is sent
OVERHEAD = _IP + _ICMP.size + _HEAD.size


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark that was read. `problem` says what is wrong with its bytes, "" if they are as they were sent."""

    nonce: bytes
    owner: int
    sequence: int
    size: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Echo:
    """An ICMP echo that came in. `mark` is None where its payload is not a mark at all."""

    request: bool
    source: str
    destination: str
    identifier: int
    number: int
    payload: bytes
    mark: Mark | None


def pattern(nonce: bytes, owner: int, sequence: int, length: int) -> bytes:
    seed = nonce + struct.pack("!II", owner, sequence)
    blocks = (hashlib.sha256(seed + struct.pack("!I", i)).digest() for i in range((length + 31) // 32))
    return b"".join(blocks)[:length]


def payload(nonce: bytes, owner: int, sequence: int, size: int) -> bytes:
    """The echo payload of a mark whose IPv4 packet is `size` bytes long."""
    if size < LEAST or size > 0xFFFF:
        raise ValueError(f"a mark of {size} bytes is not possible ({LEAST} to 65535)")
    head = _HEAD.pack(MAGIC, VERSION, nonce, owner, sequence, size)
    return head + pattern(nonce, owner, sequence, size - OVERHEAD)


def echo(source: str, destination: str, body: ip.Echo, ip_id: int) -> bytes:
    """One IPv4 packet with an ICMP echo, checksums and all."""
    return ip.build_ipv4(source, destination, ip.ICMP, ip.build_echo(body), identification=ip_id)


def mark_request(nonce: bytes, owner: int, sequence: int, size: int, source: str, destination: str) -> bytes:
    """A whole marked echo request of `size` bytes."""
    number = sequence & 0xFFFF
    body = ip.Echo(True, owner & 0xFFFF, number, payload(nonce, owner, sequence, size))
    return echo(source, destination, body, number)


def answer(received: Echo, ip_id: int) -> bytes:
    """What a real host sends back to an echo request: the same identifier, number and data (RFC 792)."""
    body = ip.Echo(False, received.identifier, received.number, received.payload)
    return echo(received.destination, received.source, body, ip_id)


def read_echo(packet: bytes) -> Echo | None:
    """The ICMP echo in a whole IPv4 packet, or None where it holds something else or is too broken to tell.

    An echo with a wrong checksum, which a real host drops (RFC 1122 section 3.2.2), comes back only where a mark in it shows whose
    it was; the mark then has a problem.
    """
    try:
        outer = ip.parse_ipv4(packet)
    except ProtocolError:
        return None
    icmp = outer.payload
    if outer.protocol != ip.ICMP or outer.fragment or len(icmp) < _ICMP.size:
        return None
    kind, code, _, identifier, number = _ICMP.unpack_from(icmp)
    if kind not in (ip.ECHO_REQUEST, ip.ECHO_REPLY) or code:
        return None
    body = icmp[_ICMP.size :]
    mark = read_mark(body, _IP + len(icmp))
    if ip.checksum(icmp):
        if mark is None:
            return None
        mark = replace(mark, problem=mark.problem or "the ICMP checksum is wrong")
    return Echo(kind == ip.ECHO_REQUEST, outer.source, outer.destination, identifier, number, body, mark)


def read_mark(body: bytes, length: int) -> Mark | None:
    """The mark in an echo's payload; `length` is that of the IPv4 packet around it. None where the payload is no mark."""
    if len(body) < _HEAD.size or not body.startswith(MAGIC):
        return None
    _, version, nonce, owner, sequence, size = _HEAD.unpack_from(body)
    problem = ""
    if version != VERSION:
        problem = f"version {version}"
    elif size != length:
        problem = f"{length} bytes long, sent with {size}"
    elif body[_HEAD.size :] != pattern(nonce, owner, sequence, len(body) - _HEAD.size):
        problem = "the pattern is not what was sent"
    return Mark(nonce, owner, sequence, size, problem)
