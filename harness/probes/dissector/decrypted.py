"""The decrypted copy: the same frames, ESP replaced by what it held, so that a reader can open the file without keys.

PAP passwords are overwritten with asterisks, the UDP checksum adjusted by the difference, so that
it stays as right or as wrong as it was.
"""

from __future__ import annotations

import struct

from harness.probes import pcap
from harness.probes.dissector.headers import IpPacket, ones_sum

_MASK = ord("*")


def masked(segment: bytes, secret: tuple[int, int] | None) -> bytes:
    """A UDP segment whose bytes `secret` (offset, length) are overwritten."""
    if secret is None or secret[1] == 0:
        return segment
    at, size = secret
    changed = segment[:at] + bytes([_MASK]) * size + segment[at + size :]
    old = int.from_bytes(segment[6:8])
    if old == 0:
        return changed
    # Both sums contain the old checksum field; the new one makes up for the difference (RFC 1624).
    new = (old + ones_sum(segment) - ones_sum(changed)) % 0xFFFF or 0xFFFF
    return changed[:6] + struct.pack("!H", new) + changed[8:]


def replaced(link_header: bytes, ip: IpPacket, protocol: int, payload: bytes) -> bytes:
    """The frame with `payload` of `protocol` in the place of the IP payload; the header's length and checksum follow."""
    size = len(ip.header) + len(payload)
    head = bytearray(ip.header)
    struct.pack_into("!H", head, 2, size)
    struct.pack_into("!H", head, 6, (ip.flags & 2) << 13)
    head[9] = protocol
    head[10:12] = b"\0\0"
    struct.pack_into("!H", head, 10, ~(ones_sum(bytes(head)) or 0xFFFF) & 0xFFFF)
    return link_header + bytes(head) + payload


class DecryptedCopy:
    """Writes the copy of one side, whose frames all have the link type of its capture."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._writer: pcap.PcapWriter | None = None

    def write(self, frame: pcap.RawFrame, data: bytes) -> None:
        if self._writer is None:
            self._writer = pcap.PcapWriter(self._path, frame.link)
        self._writer.write(frame.nanoseconds, data)

    def close(self) -> None:
        if self._writer is None:  # an empty capture has an empty copy, not none
            self._writer = pcap.PcapWriter(self._path, pcap.ETHERNET)
        self._writer.close()


