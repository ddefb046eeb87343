"""Captures in simulated time: the files that a capture on the wire leaves behind, every frame stamped by the simulated clock.

Frames are raw IP; those of the far end bear Linux cooked headers, so that they tell the PPP link and the direction.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.model import CaptureFacts, Side
from harness.probes.pcap import LINUX_SLL2, RAW_IP, PcapWriter
from harness.scenario.script import EVERYTHING, WITHOUT_KEEPALIVES
from harness.virtual.journal import Tap
from harness.wire.ip import UDP

NATT_PORT, L2TP_PORT = (4500).to_bytes(2), (1701).to_bytes(2)
NON_ESP_MARKER = bytes(4)  # RFC 3948 §2.2
L2TP_CONTROL = b"\x80"  # the T bit, RFC 2661 §3.1

_SLL2 = struct.Struct("!HHIHBB8s")  # https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html
_ETHERTYPE_IPV4, _ARPHRD_PPP = 0x0800, 512
_PACKET_TYPE = {"in": 0, "out": 4}  # to this host, sent by this host
KEEPALIVE_ESP = 68
"""UDP payload in bytes of the shortest ESP packets, with AES and SHA-1: 32 bytes sealed, which is room for an L2TP Hello, a message
that only acknowledges, an LCP echo, and for nothing that ends a session or asks a question. Negotiation has messages as short."""
KEEPALIVE_L2TP = 20
"""UDP payload in bytes of those same messages in the clear."""
NEGOTIATION_S = 60
"""So long after an ESP SA or an L2TP tunnel was first seen, all that it carries is kept."""
_SHORTEST = 28  # bytes of an IPv4 header without options and a UDP header


class Lively:
    """Tells what is more than keeping alive an idle session, or its NAT mapping, by what anybody sees: lengths, SPIs and ports."""

    def __init__(self) -> None:
        self._began: dict[bytes, int] = {}  # SPI, or both ends of an L2TP tunnel → when it was first seen

    def __call__(self, nanoseconds: int, packet: bytes) -> bool:
        if len(packet) < _SHORTEST or packet[9] != UDP:
            return True
        start = (packet[0] & 15) * 4
        sport, dport = packet[start : start + 2], packet[start + 2 : start + 4]
        payload = packet[start + 8 :]
        if NATT_PORT in (sport, dport):
            if payload[:4] == NON_ESP_MARKER:
                return True
            return len(payload) > KEEPALIVE_ESP or (len(payload) > 1 and self._young(nanoseconds, payload[:4]))
        if L2TP_PORT in (sport, dport):
            ends = packet[12:20] + sport + dport if dport == L2TP_PORT else packet[16:20] + packet[12:16] + dport + sport
            anew = payload[:1] >= L2TP_CONTROL and payload[4:6] == bytes(2)  # to tunnel 0: an SCCRQ
            return self._young(nanoseconds, ends, anew) or len(payload) > KEEPALIVE_L2TP
        return True

    def _young(self, nanoseconds: int, what: bytes, anew: bool = False) -> bool:
        if anew or what not in self._began:
            self._began[what] = nanoseconds
        return nanoseconds - self._began[what] < NEGOTIATION_S * 1_000_000_000


Keep = Callable[[int, bytes], bool]
KEPT: Mapping[str, Callable[[], Keep]] = {EVERYTHING: lambda: lambda nanoseconds, packet: True, WITHOUT_KEEPALIVES: Lively}
"""What of the packets a script wants kept, by the name that it uses and that the capture's facts then bear."""


class SimulatedCapture:
    """One capture file, from its making to `close`."""

    def __init__(self, side: Side, folder: Path, interface: str, link: int = RAW_IP, kept: str = EVERYTHING) -> None:
        self.side = side
        self.interface = interface
        self.path = folder / f"{side.value}.pcap"
        self._kept = kept
        self._keep = KEPT[kept]()
        self._writer = PcapWriter(self.path, link)
        self._frames = 0

    def see(self, nanoseconds: int, packet: bytes, header: bytes = b"") -> None:
        """One IP packet, with the link's header before it."""
        if self._keep(nanoseconds, packet):
            self._frames += 1
            self._writer.write(nanoseconds, header + packet)

    def close(self) -> CaptureFacts:
        self._writer.close()
        return CaptureFacts(self.side, str(self.path), self.interface, self._frames, 0, True, self._kept)


class GatewayCaptures:
    """The two boundaries inside a virtual gateway. `translated`: it has a translation to be shown."""

    def __init__(self, folder: Path, translated: bool, kept: str = EVERYTHING) -> None:
        self._far_end = SimulatedCapture(Side.FAR_END, folder, "any", LINUX_SLL2, kept)
        self._translated = SimulatedCapture(Side.TRANSLATED, folder, "l2tp0", RAW_IP, kept) if translated else None
        self._links: dict[int, str] = {}

    def see(self, nanoseconds: int, tap: Tap) -> None:
        if tap.side == "far-end":
            self._links[tap.index] = tap.interface or ""
            header = _SLL2.pack(_ETHERTYPE_IPV4, 0, tap.index, _ARPHRD_PPP, _PACKET_TYPE[tap.direction], 0, b"")
            self._far_end.see(nanoseconds, tap.packet, header)
        elif self._translated is not None:
            self._translated.see(nanoseconds, tap.packet)

    def close(self) -> list[CaptureFacts]:
        """Beside the far end's capture a file with the names of the interfaces that it numbers: lines "INDEX NAME"."""
        lines = [f"{index} {name}\n" for index, name in sorted(self._links.items())]
        self._far_end.path.with_suffix(".links").write_text("".join(lines), encoding="utf-8")
        captures = [self._far_end] if self._translated is None else [self._far_end, self._translated]
        return [capture.close() for capture in captures]
