"""pcapng files, read block by block (draft-ietf-opsawg-pcapng): any number of sections, both byte orders, interfaces of any
resolution and offset; blocks that are not known here are skipped.

This is the reader's inside: `pcap.read_frames` reads either kind of file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from harness.errors import CaptureError

MAGIC = 0x0A0D0D0A
"""The type of a section header block, the same in both byte orders."""

_BYTE_ORDER = 0x1A2B3C4D
_INTERFACE, _PACKET, _SIMPLE, _STATISTICS, _ENHANCED = 1, 2, 3, 5, 6
_END, _TSRESOL, _TSOFFSET = 0, 9, 14
_IF_DROP, _OS_DROP = 5, 7
_BIGGEST = 16 * 1024 * 1024
"""Bytes of one block: a frame has at most 256 KiB, and a name resolution block of more than this is damage."""

_UNKNOWN_DROPS = 0xFFFF


@dataclass(slots=True)
class Told:
    """What a capture file says beside its frames. `dropped`: the frames that its writer says it lost, None where it says nothing (a
    classic pcap never does); `unstamped`: frames of simple packet blocks, which have the time stamp of the frame before them."""

    format: str = ""
    dropped: int | None = None
    unstamped: int = 0


@dataclass(slots=True)
class Packet:
    nanoseconds: int
    link: int
    data: bytes
    cut: bool


@dataclass(frozen=True, slots=True)
class _Interface:
    link: int
    snap: int  # 0: no limit
    ticks: int  # a second
    offset: int  # seconds

    def nanoseconds(self, ticks: int) -> int:
        return self.offset * 1_000_000_000 + ticks * 1_000_000_000 // self.ticks


@dataclass(slots=True)
class _Section:
    order: str
    interfaces: list[_Interface] = field(default_factory=list)
    dropped: dict[int, int] = field(default_factory=dict)  # by interface: its statistics count from its beginning


def read_packets(file: BinaryIO, path: str, told: Told) -> Iterator[Packet]:
    """The packets of a file of which nothing has been read yet, in file order.

    CaptureError for what is damaged, and for a file that ends in the middle of a block, after the last whole packet was given out.
    """
    section, number, frames, latest = None, 0, 0, 0
    while True:
        block = _block(file, path, section, number + 1)
        if block is None:
            return
        number += 1
        section, kind, body = block
        try:
            if kind == _INTERFACE:
                section.interfaces.append(_interface(section.order, body))
            elif kind == _STATISTICS:
                _statistics(section, body, told)
            elif kind in (_ENHANCED, _PACKET, _SIMPLE):
                frames += 1
                packet = _READERS[kind](section, body, told)
                if kind == _SIMPLE:
                    told.unstamped += 1
                    packet.nanoseconds = latest
                latest = packet.nanoseconds
                yield packet
        except (struct.error, IndexError, _Damage) as error:
            where = f" (frame {frames})" if kind in _READERS else ""
            raise CaptureError(f"{path}: block {number}{where} of the pcapng file is damaged: {error}") from error


class _Damage(Exception):
    pass


def _block(file: BinaryIO, path: str, section: _Section | None, number: int) -> tuple[_Section, int, bytes] | None:
    """(the section it is in, type, body) of the next block; None at the end of the file."""
    head = file.read(8)
    if not head:
        return None
    short = CaptureError(f"{path}: the pcapng file ends in the middle of block {number}")
    if len(head) < 8:
        raise short
    if head[:4] == MAGIC.to_bytes(4):
        mark = file.read(4)
        if len(mark) < 4:
            raise short
        order = next((o for o in "<>" if struct.unpack(o + "I", mark)[0] == _BYTE_ORDER), None)
        if order is None:
            raise CaptureError(f"{path}: block {number} of the pcapng file begins a section of no known byte order: {mark.hex()}")
        section, read = _Section(order), 12
    elif section is None:
        raise CaptureError(f"{path}: no pcapng file: it begins with {head[:4].hex()}")
    else:
        mark, read = b"", 8
    kind, size = struct.unpack(section.order + "II", head)
    if size < read + 4 or size % 4 or size > _BIGGEST:
        raise CaptureError(f"{path}: block {number} of the pcapng file claims {size} bytes; the file is damaged there")
    rest = file.read(size - read)
    if len(rest) < size - read:
        raise short
    if struct.unpack(section.order + "I", rest[-4:])[0] != size:
        raise CaptureError(f"{path}: block {number} of the pcapng file ends with another length than it begins with; it is damaged")
    return section, kind, rest[:-4]


def _options(order: str, data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        code, size = struct.unpack_from(order + "HH", data, at)
        if code == _END:
            return
        if at + 4 + size > len(data):
            raise _Damage(f"an option of {size} bytes where {len(data) - at - 4} are left")
        yield code, data[at + 4 : at + 4 + size]
        at += 4 + (size + 3) // 4 * 4


def _interface(order: str, body: bytes) -> _Interface:
    link, _, snap = struct.unpack_from(order + "HHI", body)
    ticks, offset = 1_000_000, 0
    for code, value in _options(order, body[8:]):
        if code == _TSRESOL:
            ticks = 1 << (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
        elif code == _TSOFFSET:
            (offset,) = struct.unpack(order + "q", value)
    return _Interface(link, snap, ticks, offset)


def _statistics(section: _Section, body: bytes, told: Told) -> None:
    (number,) = struct.unpack_from(section.order + "I", body)
    values = [value for code, value in _options(section.order, body[12:]) if code in (_IF_DROP, _OS_DROP)]
    lost = [struct.unpack(section.order + "Q", value)[0] for value in values]
    if lost:
        before = section.dropped.get(number, 0)
        section.dropped[number] = max(before, sum(lost))
        told.dropped = (told.dropped or 0) + section.dropped[number] - before


def _at(section: _Section, number: int) -> _Interface:
    if number >= len(section.interfaces):
        raise _Damage(f"it names interface {number} of {len(section.interfaces)}")
    return section.interfaces[number]


def _data(body: bytes, start: int, kept: int) -> bytes:
    if start + kept > len(body):
        raise _Damage(f"it claims {kept} bytes of a packet where {len(body) - start} are left")
    return body[start : start + kept]


def _enhanced(section: _Section, body: bytes, told: Told) -> Packet:
    number, high, low, kept, original = struct.unpack_from(section.order + "IIIII", body)
    interface = _at(section, number)
    return Packet(interface.nanoseconds(high << 32 | low), interface.link, _data(body, 20, kept), kept < original)


def _obsolete(section: _Section, body: bytes, told: Told) -> Packet:
    """The packet block of early writers."""
    number, drops, high, low, kept, original = struct.unpack_from(section.order + "HHIIII", body)
    interface = _at(section, number)
    if drops != _UNKNOWN_DROPS:
        told.dropped = (told.dropped or 0) + drops
    return Packet(interface.nanoseconds(high << 32 | low), interface.link, _data(body, 20, kept), kept < original)


def _simple(section: _Section, body: bytes, told: Told) -> Packet:
    (original,) = struct.unpack_from(section.order + "I", body)
    interface = _at(section, 0)
    kept = min(original, interface.snap or original)
    return Packet(0, interface.link, _data(body, 4, kept), kept < original)


_READERS = {_ENHANCED: _enhanced, _PACKET: _obsolete, _SIMPLE: _simple}
