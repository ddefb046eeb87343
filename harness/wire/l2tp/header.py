"""The L2TP header of RFC 2661 §3.1: sixteen bits of flags and version, then only the fields whose flag is set.

    T|L|x|x|S|x|O|P|x|x|x|x|Ver(4)  [Length] TunnelID SessionID [Ns Nr] [Offset size, padding]
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from harness.errors import ProtocolError
from harness.wire.buffer import Reader

TYPE = 0x8000
LENGTH = 0x4000
SEQUENCE = 0x0800
OFFSET = 0x0200
PRIORITY = 0x0100
VERSION = 0x000F
ALL_BITS = TYPE | LENGTH | SEQUENCE | OFFSET | PRIORITY
CONTROL_BITS = TYPE | LENGTH | SEQUENCE

_CONTROL = struct.Struct("!HHHHHH")
_DATA = struct.Struct("!HHHH")
_DATA_SEQUENCED = struct.Struct("!HHHHHH")


class Header(NamedTuple):
    """`control` is the T bit; `ns` and `nr` are None where there are none; `body` is what follows, cut to the length field."""

    control: bool
    tunnel: int
    session: int
    ns: int | None
    nr: int | None
    body: bytes


def parse(packet: bytes, accepted: int = ALL_BITS) -> Header:
    """Raises ProtocolError for other versions, for control messages that are not exactly T, L and S, for lengths that do not fit,
    and for any header bit outside `accepted` (reserved bits must be 0; a Microsoft client takes none but T, L and S)."""
    reader = Reader("l2tp", packet)
    flags = reader.u16("flags")
    if flags & VERSION != 2:
        raise ProtocolError("l2tp", f"version {flags & VERSION} is not 2", 0)
    if flags & ~VERSION & ~accepted:
        raise ProtocolError("l2tp", f"header bits {flags & ~VERSION & ~accepted:04x} are not taken", 0)
    control = bool(flags & TYPE)
    if control and flags & ~VERSION != CONTROL_BITS:
        raise ProtocolError("l2tp", f"a control message with header bits {flags & ~VERSION:04x}, not T, L and S", 0)
    if flags & LENGTH:
        length = reader.u16("length")
        if length > len(packet) or length < reader.position:
            raise ProtocolError("l2tp", f"length field {length} in {len(packet)} bytes", 2)
        reader = Reader("l2tp", packet, reader.position, length)
    tunnel = reader.u16("tunnel ID")
    session = reader.u16("session ID")
    ns = nr = None
    if flags & SEQUENCE:
        ns = reader.u16("Ns")
        nr = reader.u16("Nr")
    if flags & OFFSET:
        reader.take(reader.u16("offset size"), "offset padding")
    return Header(control, tunnel, session, ns, nr, reader.rest())


def build_control(tunnel: int, session: int, ns: int, nr: int, body: bytes) -> bytes:
    """A control message; an empty body makes a ZLB acknowledgement."""
    return _CONTROL.pack(CONTROL_BITS | 2, 12 + len(body), tunnel, session, ns, nr) + body


def build_data(
    tunnel: int, session: int, frame: bytes, sequence: tuple[int, int] | None = None, offset: int | None = None
) -> bytes:
    """A data message with the length field, as Microsoft's client sends it; `sequence` is (Ns, Nr) where sequencing is on, `offset`
    the bytes of padding before the frame where there is an offset field."""
    padding = b"" if offset is None else offset.to_bytes(2) + bytes(offset)
    bits = LENGTH | 2 if offset is None else LENGTH | OFFSET | 2
    if sequence is None:
        return _DATA.pack(bits, 8 + len(padding) + len(frame), tunnel, session) + padding + frame
    return _DATA_SEQUENCED.pack(bits | SEQUENCE, 12 + len(padding) + len(frame), tunnel, session, *sequence) + padding + frame


def tunnel_of(packet: bytes) -> int | None:
    """The tunnel ID by which a gateway finds the core that a packet is for; 0 asks for a new tunnel. None: this is no L2TP."""
    if len(packet) < 6 or packet[1] & VERSION != 2:
        return None
    start = 4 if packet[0] & LENGTH >> 8 else 2
    return int.from_bytes(packet[start : start + 2])
