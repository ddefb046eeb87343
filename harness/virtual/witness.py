"""Captures at the boundaries inside the gateway, as files that any reader of pcap takes.

far-end.pcap has Linux cooked headers (version 2), each with the number of its PPP link; far-end.links has a line "INDEX NAME" for
each number. translated.pcap has bare IP packets.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from harness.model import CaptureFacts, Side
from harness.virtual.journal import Tap

_FILE = struct.Struct("<IHHiIII")
_FRAME = struct.Struct("<IIII")
_SLL2 = struct.Struct("!HHIHBB8s")  # https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html
_NANOSECONDS = 0xA1B23C4D
_RAW_IP, _LINUX_SLL2 = 101, 276
_ETHERTYPE_IPV4, _ARPHRD_PPP = 0x0800, 512
_PACKET_TYPE = {"in": 0, "out": 4}  # to this host, sent by this host
_LONGEST = 262_144


class _File:
    def __init__(self, path: Path, link: int) -> None:
        self.path = path
        self.frames = 0
        self._file: BinaryIO = path.open("wb", buffering=1 << 16)
        self._file.write(_FILE.pack(_NANOSECONDS, 2, 4, 0, 0, _LONGEST, link))

    def write(self, epoch: float, data: bytes) -> None:
        seconds, nanoseconds = divmod(round(epoch * 1_000_000_000), 1_000_000_000)
        self._file.write(_FRAME.pack(seconds, nanoseconds, len(data), len(data)) + data)
        self.frames += 1

    def close(self) -> None:
        self._file.close()


class Witness:
    """From its making to `close`, into `folder`. `translated`: whether there is a translation to be shown."""

    def __init__(self, folder: Path, *, translated: bool) -> None:
        self._far_end = _File(folder / f"{Side.FAR_END.value}.pcap", _LINUX_SLL2)
        self._translated = _File(folder / f"{Side.TRANSLATED.value}.pcap", _RAW_IP) if translated else None
        self._links: dict[int, str] = {}

    def see(self, epoch: float, tap: Tap) -> None:
        """`epoch`: seconds since 1970."""
        if tap.side == "far-end":
            self._links[tap.index] = tap.interface or ""
            header = _SLL2.pack(_ETHERTYPE_IPV4, 0, tap.index, _ARPHRD_PPP, _PACKET_TYPE[tap.direction], 0, bytes(8))
            self._far_end.write(epoch, header + tap.packet)
        elif self._translated is not None:
            self._translated.write(epoch, tap.packet)

    def close(self) -> list[CaptureFacts]:
        lines = "".join(f"{index} {name}\n" for index, name in sorted(self._links.items()))
        self._far_end.path.with_suffix(".links").write_text(lines, encoding="utf-8")
        found = []
        for side, interface, file in ((Side.FAR_END, "any", self._far_end), (Side.TRANSLATED, "l2tp0", self._translated)):
            if file is not None:
                file.close()
                found.append(CaptureFacts(side, str(file.path), interface, file.frames, 0, True))
        return found
