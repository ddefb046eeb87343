"""Frames of PPP over Ethernet (RFC 2516 §4, §5). Every refusal is a ProtocolError of layer "pppoe".

    destination (6) source (6) ethertype (2) | version 1, type 1 | code | session (2) | length (2) | tags, or PPP without ff 03
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from harness.errors import ProtocolError
from harness.wire.buffer import Reader

DISCOVERY, SESSION = 0x8863, 0x8864
"""Ethertypes."""
BROADCAST = b"\xff" * 6
VERSION_AND_TYPE = 0x11
MOST = 1494
"""Bytes of a payload that an Ethernet frame has room for: 1500 less the six of the header."""
MRU = 1492
"""The largest that may be negotiated (§7): 1500 less six of this header and two of PPP's protocol field."""
NOBODY = 0xFFFF  # "reserved for future use and MUST NOT be used" (§4)

_ETHERNET = struct.Struct("!6s6sH")
_HEAD = struct.Struct("!BBHH")
_TAG = struct.Struct("!HH")
ADDRESS_AND_CONTROL = b"\xff\x03"


class Code(IntEnum):
    """Of the discovery stage; a frame of the session stage has 0."""

    SESSION = 0x00
    PADO = 0x07
    PADI = 0x09
    PADR = 0x19
    PADS = 0x65
    PADT = 0xA7


class Tag(IntEnum):
    """Appendix A."""

    END_OF_LIST = 0x0000
    SERVICE_NAME = 0x0101
    AC_NAME = 0x0102
    HOST_UNIQ = 0x0103
    AC_COOKIE = 0x0104
    VENDOR_SPECIFIC = 0x0105
    RELAY_SESSION_ID = 0x0110
    SERVICE_NAME_ERROR = 0x0201
    AC_SYSTEM_ERROR = 0x0202
    GENERIC_ERROR = 0x0203


ERRORS = (Tag.SERVICE_NAME_ERROR, Tag.AC_SYSTEM_ERROR, Tag.GENERIC_ERROR)
Tags = tuple[tuple[int, bytes], ...]
"""In the order in which they stand in the frame; unknown types too, which whoever reads them passes over (§5)."""


@dataclass(frozen=True, slots=True)
class Frame:
    """`code` as on the wire; `session` 0 during discovery, but for PADS and PADT. `tags` of discovery, `payload` of the session
    stage: PPP from its protocol field on."""

    dst: bytes
    src: bytes
    code: int
    session: int = 0
    tags: Tags = ()
    payload: bytes = b""

    def first(self, tag: int) -> bytes | None:
        return next((value for kind, value in self.tags if kind == tag), None)

    def all(self, tag: int) -> tuple[bytes, ...]:
        return tuple(value for kind, value in self.tags if kind == tag)

    @property
    def error(self) -> str:
        """What its error tags say, "" where it has none."""
        said = [f"{Tag(kind).name}: {value.decode('utf-8', 'replace')}".rstrip(": ") for kind, value in self.tags if kind in ERRORS]
        return "; ".join(said)


def build(frame: Frame) -> bytes:
    """A whole Ethernet frame, not padded. ProtocolError where it does not fit one."""
    kind = SESSION if frame.code == Code.SESSION else DISCOVERY
    payload = frame.payload if kind == SESSION else b"".join(_TAG.pack(tag, len(value)) + value for tag, value in frame.tags)
    if len(payload) > MOST:
        raise ProtocolError("pppoe", f"{len(payload)} bytes do not fit a frame, which has room for {MOST}")
    head = _HEAD.pack(VERSION_AND_TYPE, frame.code, frame.session, len(payload))
    return _ETHERNET.pack(frame.dst, frame.src, kind) + head + payload


def parse(data: bytes) -> Frame:
    """An Ethernet frame; what pads it behind the length that the header gives is left out."""
    reader = Reader("pppoe", data)
    dst, src, kind = reader.take(6, "the destination"), reader.take(6, "the source"), reader.u16("the ethertype")
    if kind not in (DISCOVERY, SESSION):
        raise reader.error(f"ethertype {kind:04x} is none of PPPoE")
    version, code = reader.u8("version and type"), reader.u8("the code")
    session, length = reader.u16("the session"), reader.u16("the length")
    if version != VERSION_AND_TYPE:
        raise reader.error(f"version and type are {version:02x}")
    if (kind == SESSION) is not (code == Code.SESSION):
        raise reader.error(f"code {code:02x} does not go with ethertype {kind:04x}")
    payload = reader.take(length, "the payload")
    if kind == SESSION:
        return Frame(dst, src, code, session, payload=payload)
    return Frame(dst, src, code, session, tuple(_tags(payload)))


def _tags(payload: bytes) -> Iterator[tuple[int, bytes]]:
    reader = Reader("pppoe", payload)
    while reader.left:
        kind = reader.u16("a tag")
        value = reader.take(reader.u16("a tag's length"), f"tag {kind:04x}")
        if kind == Tag.END_OF_LIST:
            return
        yield kind, value


def echoed(frame: Frame, *kinds: int) -> Iterable[tuple[int, bytes]]:
    """The tags of these kinds, as whoever answers the frame has to repeat them."""
    return ((kind, value) for kind, value in frame.tags if kind in kinds)


def onto_ethernet(ppp: bytes) -> bytes:
    """A PPP frame as a session carries it: without address and control (§7)."""
    return ppp.removeprefix(ADDRESS_AND_CONTROL)


def off_ethernet(payload: bytes) -> bytes:
    """The same as the rest of the harness has PPP frames, and L2TP carries them."""
    return payload if payload.startswith(ADDRESS_AND_CONTROL) else ADDRESS_AND_CONTROL + payload
