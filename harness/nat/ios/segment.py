"""TCP segments as an application gateway changes them: another payload, other sequence numbers, sums and lengths kept right."""

from __future__ import annotations

from dataclasses import dataclass

from harness.nat.headers import residue

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10


def flags(packet: bytes, at: int) -> int:
    return packet[at + 13]


def payload_at(packet: bytes, at: int) -> int:
    """Where the payload begins; the packet's end where the header says that it is longer than the packet, or too short."""
    length = (packet[at + 12] >> 4) * 4
    return min(at + length, len(packet)) if length >= 20 else len(packet)


def with_payload(packet: bytes, at: int, payload: bytes) -> bytes:
    """The whole packet with another payload, of whatever length. A checksum that was wrong stays wrong."""
    start = payload_at(packet, at)
    return _summed(packet, packet[:start] + payload, at)


def with_numbers(packet: bytes, at: int, *, sequence: int = 0, acknowledgement: int = 0) -> bytes:
    """The packet with so much added to its numbers, modulo 2**32."""
    buffer = bytearray(packet)
    for place, more in ((at + 4, sequence), (at + 8, acknowledgement)):
        buffer[place : place + 4] = ((int.from_bytes(packet[place : place + 4]) + more) & 0xFFFF_FFFF).to_bytes(4)
    return _summed(packet, bytes(buffer), at)


def _summed(old: bytes, new: bytes, at: int) -> bytes:
    """`new` with the length of its IP header and both checksums as they follow from those of `old` (RFC 1624)."""
    buffer = bytearray(new)
    buffer[2:4] = len(new).to_bytes(2)
    shorter = len(old) - len(new)
    total = (int.from_bytes(old[10:12]) + shorter) % 0xFFFF
    buffer[10:12] = total.to_bytes(2)
    # The segment's length stands in the pseudo-header too.
    total = (int.from_bytes(old[at + 16 : at + 18]) + residue(old[at:]) - residue(new[at:]) + shorter) % 0xFFFF
    buffer[at + 16 : at + 18] = total.to_bytes(2)
    return bytes(buffer)


@dataclass(slots=True)
class Shift:
    """By how much one direction's bytes have moved: `before` up to the sequence number `place`, `after` behind it."""

    place: int
    before: int = 0
    after: int = 0

    def changed(self, sequence: int, longer: int) -> None:
        """The segment that begins at `sequence` leaves so many bytes longer than it came. One that comes again changes nothing."""
        if _behind(sequence, self.place):
            self.place, self.before, self.after = sequence, self.after, self.after + longer

    def of_sequence(self, sequence: int) -> int:
        return self.after if _behind(sequence, self.place) else self.before

    def of_acknowledgement(self, acknowledgement: int) -> int:
        """What to take from a number with which the other end acknowledges what left."""
        return self.after if _behind((acknowledgement - self.after) & 0xFFFF_FFFF, self.place) else self.before


def _behind(sequence: int, place: int) -> bool:
    """Whether `sequence` comes after `place` (RFC 9293 §3.4)."""
    return 0 < (sequence - place) & 0xFFFF_FFFF < 1 << 31
