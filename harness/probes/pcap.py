"""Capture files, read frame by frame: classic pcap (draft-ietf-opsawg-pcap; both byte orders, micro- and nanoseconds) here, pcapng
in `pcapng`; and classic ones written."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from harness.errors import CaptureError
from harness.probes import pcapng
from harness.probes.pcapng import Told

_MICRO, _NANO = 0xA1B2C3D4, 0xA1B23C4D
MAX_FRAME = 262_144

# Link types (https://www.tcpdump.org/linktypes.html)
NULL, ETHERNET, PPP, RAW_IP, LOOP, LINUX_SLL, LINUX_SLL2 = 0, 1, 9, 101, 108, 113, 276
# Some writers put the local DLT number of raw IP into the file instead of the link type.
_RAW_ALIASES = frozenset({12, 14, 228})


@dataclass(frozen=True, slots=True)
class RawFrame:
    """One captured frame. `number` counts from 1; `t` is in seconds since the epoch; `cut` where the capture kept only a part."""

    number: int
    t: float
    nanoseconds: int
    link: int
    data: bytes
    cut: bool


def read_frames(path: Path | str, told: Told | None = None) -> Iterator[RawFrame]:
    """The frames of a pcap or pcapng file, in file order; `told` is filled in with what the file says beside them.

    CaptureError names what is wrong with the file; a file that ends in the middle of a frame (its writer was killed) is such an
    error too, raised after the last whole frame was given out.
    """
    told = Told() if told is None else told
    with open(path, "rb") as file:
        header = file.read(24)
        magic_le, magic_be = int.from_bytes(header[:4], "little"), int.from_bytes(header[:4])
        if magic_be == pcapng.MAGIC and len(header) >= 4:
            told.format = "pcapng"
            file.seek(0)
            for number, one in enumerate(pcapng.read_packets(file, str(path), told), 1):
                yield RawFrame(number, one.nanoseconds / 1e9, one.nanoseconds, _link(one.link), one.data, one.cut)
            return
        if len(header) < 24:
            raise CaptureError(f"{path}: no pcap file: {len(header)} bytes, its header alone takes 24")
        if magic_le in (_MICRO, _NANO):
            order, magic = "<", magic_le
        elif magic_be in (_MICRO, _NANO):
            order, magic = ">", magic_be
        else:
            raise CaptureError(f"{path}: no pcap file, and no pcapng either: it begins with {header[:4].hex()}")
        told.format = "pcap"
        link = _link(struct.unpack(order + "I", header[20:24])[0] & 0x0FFF_FFFF)
        yield from _records(file, str(path), order, 1 if magic == _NANO else 1000, link)


def _link(number: int) -> int:
    return RAW_IP if number in _RAW_ALIASES else number


def _records(file: BinaryIO, path: str, order: str, unit: int, link: int) -> Iterator[RawFrame]:
    record = struct.Struct(order + "IIII")
    number = 0
    while header := file.read(16):
        number += 1
        if len(header) < 16:
            raise CaptureError(f"{path}: the file ends in the header of frame {number}")
        seconds, fraction, kept, original = record.unpack(header)
        if kept > MAX_FRAME:
            raise CaptureError(f"{path}: frame {number} claims {kept} bytes; the file is damaged there")
        data = file.read(kept)
        if len(data) < kept:
            raise CaptureError(f"{path}: the file ends in the middle of frame {number}")
        nanoseconds = seconds * 1_000_000_000 + fraction * unit
        yield RawFrame(number, nanoseconds / 1e9, nanoseconds, link, data, kept < original)


class PcapWriter:
    """Writes frames of one link type with nanosecond stamps. A context manager."""

    def __init__(self, path: Path | str, link: int) -> None:
        self._file = open(path, "wb")  # noqa: SIM115 - closed by __exit__
        self._file.write(struct.pack("<IHHiIII", _NANO, 2, 4, 0, 0, MAX_FRAME, link))

    def write(self, nanoseconds: int, data: bytes) -> None:
        seconds, fraction = divmod(nanoseconds, 1_000_000_000)
        self._file.write(struct.pack("<IIII", seconds, fraction, len(data), len(data)) + data)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> PcapWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
