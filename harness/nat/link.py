"""A link that loses, doubles, delays, reorders, cuts up or damages packets, by seed. One object a direction."""

from __future__ import annotations

from dataclasses import dataclass

from harness.nat.draws import Draws
from harness.nat.headers import DONT_FRAGMENT, MORE_FRAGMENTS, OFFSET, checksum
from harness.nat.state import Dropped


@dataclass(frozen=True, slots=True)
class Impairments:
    """`loss`, `duplicate`, `reorder`, `corrupt` are probabilities a packet. Every packet takes `delay_s` and up to `jitter_s`
    more, and stays in order; one that is reordered takes `reorder_s` beside, and those behind it overtake. `mtu` in bytes cuts
    larger packets up (`ignore_df`: even those that forbid it, which are lost otherwise); None for no limit."""

    loss: float = 0.0
    duplicate: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    reorder: float = 0.0
    reorder_s: float = 0.0
    corrupt: float = 0.0
    mtu: int | None = None
    ignore_df: bool = False


class Link:
    def __init__(self, impairments: Impairments, draws: Draws) -> None:
        self.impairments = impairments
        self._draws = draws
        self._latest = float("-inf")  # when the last packet in order arrives

    def carry(self, now: float, packet: bytes) -> list[tuple[float, bytes]]:
        """(when it arrives, what arrives), for each packet that does. `Dropped` where the packet as a whole is lost."""
        how, draws = self.impairments, self._draws
        if draws.happens(how.loss):
            raise Dropped("link: lost")
        pieces = [packet] if how.mtu is None else fragment(packet, how.mtu, how.ignore_df)
        if draws.happens(how.duplicate):
            pieces += pieces
        arriving = []
        for piece in pieces:
            if draws.happens(how.corrupt):
                piece = self._damaged(piece)
            at = max(now + how.delay_s + how.jitter_s * draws.share(), self._latest)
            if draws.happens(how.reorder):
                arriving.append((at + how.reorder_s, piece))
            else:
                self._latest = at
                arriving.append((at, piece))
        return arriving

    def _damaged(self, packet: bytes) -> bytes:
        """One bit behind the IP header turned over: in the header, the next router would drop the packet."""
        start = (packet[0] & 15) << 2
        if len(packet) == start:
            return packet
        bit = self._draws.below((len(packet) - start) * 8)
        buffer = bytearray(packet)
        buffer[start + bit // 8] ^= 1 << bit % 8
        return bytes(buffer)


def fragment(packet: bytes, mtu: int, ignore_df: bool = False) -> list[bytes]:
    """The packet in pieces of at most `mtu` bytes (RFC 791 §3.2). Options are copied into every piece. `Dropped` where it must not
    be cut, or its header leaves no room for 8 bytes."""
    if len(packet) <= mtu:
        return [packet]
    flags = packet[6] << 8 | packet[7]
    start = (packet[0] & 15) << 2
    room = (mtu - start) // 8 * 8
    if room < 8 or (flags & DONT_FRAGMENT and not ignore_df):
        raise Dropped("link: too big")
    payload = packet[start:]
    pieces = []
    for at in range(0, len(payload), room):
        part = payload[at : at + room]
        more = at + room < len(payload) or flags & MORE_FRAGMENTS
        header = bytearray(packet[:start])
        header[2:4] = (start + len(part)).to_bytes(2)
        header[6:8] = ((MORE_FRAGMENTS if more else 0) | ((flags & OFFSET) + at // 8)).to_bytes(2)
        header[10:12] = b"\0\0"
        header[10:12] = checksum(bytes(header)).to_bytes(2)
        pieces.append(bytes(header) + part)
    return pieces
