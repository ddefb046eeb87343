"""AH (RFC 2402): one SA a direction, over whole IPv4 packets, since its ICV covers the IP header too.

    IP header (protocol 51) | next header (1) | length (1) | 0 (2) | SPI (4) | sequence (4) | ICV | what was protected

In transport mode the header is the packet's own, in tunnel mode a new one before it (next header 4). A NAT changes addresses that
the ICV covers; nothing here can mend that.
"""

from __future__ import annotations

import struct

from harness.errors import ProtocolError
from harness.wire import ip
from harness.wire.crypto.digest import INTEGRITY, IcvMaker
from harness.wire.esp.replay import ReplayWindow
from harness.wire.packet import AH, IP_IN_IP, TTL

HEADER = struct.Struct("!BBHII")
LAST_SEQUENCE = 0xFFFFFFFF

# IPv4 options that no router changes, and that the ICV so covers as they are (RFC 2402, appendix A1); all others count as zeros.
_IMMUTABLE = frozenset((0, 1, 130, 133, 134, 148, 149))
_SOURCE_ROUTES = frozenset((131, 137))


class AhOutboundSa:
    """Protects packets under `spi`, the number that the receiver chose. `octets` counts bytes that were authenticated."""

    def __init__(self, spi: int, authentication: str, auth_key: bytes) -> None:
        self.spi = spi
        self.sequence = 0
        self.octets = 0
        self._icv = _checker(authentication, auth_key)

    def seal(self, packet: bytes) -> bytes:
        """Transport mode: AH between the packet's header and what it carries. ProtocolError for a fragment, which AH does not take
        (RFC 2402 §3.3.4), for a packet that grows too long, and once the sequence numbers are used up."""
        header, payload = _split(packet)
        return self._protect(header, header[9], payload)

    def seal_tunnel(self, source: str, destination: str, packet: bytes, *, identification: int = 0, ttl: int = TTL) -> bytes:
        """Tunnel mode: AH and `packet` behind a header between the two gateways."""
        header = ip.build_ipv4(source, destination, AH, b"", identification=identification, ttl=ttl)
        return self._protect(header, IP_IN_IP, packet)

    def _protect(self, header: bytes, next_header: int, payload: bytes) -> bytes:
        if self.sequence >= LAST_SEQUENCE:
            raise ProtocolError("ah", f"SA {self.spi:08x} has used up its sequence numbers")
        size = HEADER.size + self._icv.size
        total = len(header) + size + len(payload)
        if total > 0xFFFF:
            raise ProtocolError("ah", f"{total} bytes do not fit one packet")
        self.sequence += 1
        bare = HEADER.pack(next_header, size // 4 - 2, 0, self.spi, self.sequence)
        header = _header(header, total, AH)
        self.octets += total
        icv = self._icv.make(b"".join((_immutable(header), bare, bytes(self._icv.size), payload)))
        return b"".join((header, bare, icv, payload))


class AhInboundSa:
    """Opens the packets sent to `spi`."""

    def __init__(self, spi: int, authentication: str, auth_key: bytes) -> None:
        self.spi = spi
        self.packets = 0
        self.octets = 0
        self.window = ReplayWindow("ah")
        self._icv = _checker(authentication, auth_key)

    def open(self, packet: bytes) -> bytes:
        """The IP packet that was protected: the same without AH (transport mode), or the inner one (tunnel mode). ProtocolError for
        a fragment, another SPI, a length that cannot be, a replay, a wrong ICV; none of these moves the replay window."""
        header, body = _split(packet)
        if header[9] != AH:
            raise ProtocolError("ah", f"IP protocol {header[9]} is not AH", 9)
        end = HEADER.size + self._icv.size
        if len(body) < end:
            raise ProtocolError("ah", f"{len(body)} bytes are shorter than AH", len(header))
        next_header, words, _, spi, sequence = HEADER.unpack_from(body)
        if spi != self.spi:
            raise ProtocolError("ah", f"SPI {spi:08x} came to SA {self.spi:08x}", len(header) + 4)
        if (words + 2) * 4 != end:
            raise ProtocolError("ah", f"a header of {(words + 2) * 4} bytes, where this SA's has {end}", len(header) + 1)
        self.window.check(sequence)
        covered = b"".join((_immutable(header), body[: HEADER.size], bytes(self._icv.size), body[end:]))
        if not self._icv.fits(covered, body[HEADER.size : end]):
            raise ProtocolError("ah", f"wrong ICV on SA {spi:08x}, sequence {sequence}", len(header) + HEADER.size)
        self.window.mark(sequence)
        self.packets += 1
        self.octets += len(packet)
        if next_header == IP_IN_IP:
            return body[end:]
        return _header(header, len(header) + len(body) - end, next_header) + body[end:]


def ah_spi_of(body: bytes) -> int:
    """The SPI of what an IP packet of protocol 51 carries."""
    if len(body) < HEADER.size:
        raise ProtocolError("ah", f"{len(body)} bytes are shorter than an AH header")
    spi: int = HEADER.unpack_from(body)[3]
    return spi


def _checker(authentication: str, auth_key: bytes) -> IcvMaker:
    row = INTEGRITY.get(authentication)
    if row is None:
        raise ProtocolError("ah", f"no transform {authentication}")
    if len(auth_key) != row.key_size:
        raise ProtocolError("ah", f"{authentication} takes a key of {row.key_size} bytes")
    return row.checker(auth_key)


def _split(packet: bytes) -> tuple[bytes, bytes]:
    """(header with its options, payload) of a whole IPv4 packet."""
    parsed = ip.parse_ipv4(packet)
    if parsed.fragment:
        raise ProtocolError("ah", "a fragment, which has to be reassembled first")
    return packet[: (packet[0] & 15) * 4], parsed.payload


def _header(header: bytes, total: int, protocol: int) -> bytes:
    """The header with another total length and protocol, and the checksum to it."""
    bare = header[:2] + total.to_bytes(2) + header[4:9] + bytes((protocol, 0, 0)) + header[12:]
    return bare[:10] + ip.checksum(bare).to_bytes(2) + bare[12:]


def _immutable(header: bytes) -> bytes:
    """The header as the ICV covers it: zeros for TOS, flags, offset, TTL, checksum and mutable options (RFC 2402 §3.3.3.1)."""
    fixed = header[:1] + b"\0" + header[2:6] + b"\0\0\0" + header[9:10] + b"\0\0" + header[12:20]
    return fixed + _immutable_options(header[20:])


def _immutable_options(options: bytes) -> bytes:
    kept = bytearray(options)
    at = 0
    while at < len(options):
        kind = options[at]
        if kind == 0:
            break
        size = 1 if kind == 1 else options[at + 1] if at + 1 < len(options) else 0
        if size < 1 or (kind != 1 and size < 2) or at + size > len(options):
            raise ProtocolError("ah", f"IP option {kind} does not fit its header", 20 + at)
        if kind in _SOURCE_ROUTES:
            raise ProtocolError("ah", "a source route, whose end the ICV would have to foretell", 20 + at)
        if kind not in _IMMUTABLE:
            kept[at : at + size] = bytes(size)
        at += size
    return bytes(kept)
