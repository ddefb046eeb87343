"""RIP version 2 (RFC 2453): its messages, in UDP from and to port 520. Every refusal is a ProtocolError of layer "rip"."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from harness.errors import ProtocolError

PORT = 520
GROUP = "224.0.0.9"
"""Where all RIP-2 routers of a link listen."""
INFINITY = 16
MOST = 25  # entries of a message (section 3.6)
REQUEST, RESPONSE = 1, 2
VERSION = 2
_IP_FAMILY = 2
_HEAD = struct.Struct("!BBH")
_ENTRY = struct.Struct("!HH4s4s4sI")


@dataclass(frozen=True, slots=True)
class Entry:
    """A network and its distance in hops, INFINITY where it cannot be reached."""

    network: IPv4Network
    metric: int


@dataclass(frozen=True, slots=True)
class Message:
    """`whole`: a request for the whole table, which has no entries of its own (section 3.9.1)."""

    request: bool
    entries: tuple[Entry, ...] = ()
    whole: bool = False


def request() -> bytes:
    """For the whole table."""
    return _HEAD.pack(REQUEST, VERSION, 0) + _ENTRY.pack(0, 0, bytes(4), bytes(4), bytes(4), INFINITY)


def responses(entries: Iterable[Entry]) -> list[bytes]:
    """As many messages as it takes; none for no entries."""
    packed = [
        _ENTRY.pack(_IP_FAMILY, 0, one.network.network_address.packed, one.network.netmask.packed, bytes(4), one.metric)
        for one in entries
    ]
    head = _HEAD.pack(RESPONSE, VERSION, 0)
    return [head + b"".join(packed[at : at + MOST]) for at in range(0, len(packed), MOST)]


def parse(payload: bytes) -> Message:
    """Entries that are not IPv4's, or no network, or further than INFINITY, are left out: they spoil nothing but themselves
    (section 3.9.2)."""
    if len(payload) < _HEAD.size + _ENTRY.size or (len(payload) - _HEAD.size) % _ENTRY.size:
        raise ProtocolError("rip", f"{len(payload)} bytes are no whole entries")
    command, version, _ = _HEAD.unpack_from(payload)
    if command not in (REQUEST, RESPONSE) or version != VERSION:
        raise ProtocolError("rip", f"command {command} of version {version}")
    raw = [_ENTRY.unpack_from(payload, at) for at in range(_HEAD.size, len(payload), _ENTRY.size)]
    whole = command == REQUEST and len(raw) == 1 and raw[0][0] == 0 and raw[0][5] == INFINITY
    entries = []
    for family, _, address, mask, _, metric in raw:
        network = _network(address, mask)
        if family == _IP_FAMILY and network is not None and 1 <= metric <= INFINITY:
            entries.append(Entry(network, metric))
    return Message(command == REQUEST, tuple(entries), whole)


def _network(address: bytes, mask: bytes) -> IPv4Network | None:
    try:
        return IPv4Network((IPv4Address(address), str(IPv4Address(mask))))
    except ValueError:
        return None
