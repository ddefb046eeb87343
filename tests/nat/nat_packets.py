"""Packets for the NAT's tests, and a judge of their checksums that shares nothing with the code under test."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

CLIENT, SECOND, GATEWAY, OTHER, NAT = "10.0.0.2", "10.0.0.3", "203.0.113.231", "203.0.113.9", "203.0.113.232"


def sum_of(data: bytes) -> int:
    """RFC 1071 word by word, with end-around carry."""
    total = 0
    for (word,) in struct.iter_unpack("!H", data + bytes(len(data) % 2)):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def raw(address: str) -> bytes:
    return ipaddress.IPv4Address(address).packed


def ip(src: str, dst: str, protocol: int, payload: bytes, *, ident=7, flags=0, ttl=64, options=b"", tos=0) -> bytes:
    length = 20 + len(options)
    first = 0x40 | length // 4
    header = struct.pack("!BBHHHBBH", first, tos, length + len(payload), ident, flags, ttl, protocol, 0)
    header += raw(src) + raw(dst) + options
    return header[:10] + struct.pack("!H", sum_of(header)) + header[12:] + payload


def udp_part(src: str, dst: str, sport: int, dport: int, payload: bytes = b"words", *, summed=True) -> bytes:
    length = 8 + len(payload)
    bare = struct.pack("!HHHH", sport, dport, length, 0) + payload
    total = sum_of(raw(src) + raw(dst) + struct.pack("!HH", 17, length) + bare) or 0xFFFF
    return bare[:6] + struct.pack("!H", total if summed else 0) + payload


def udp(src: str, sport: int, dst: str, dport: int, payload: bytes = b"words", *, summed=True, **header) -> bytes:
    return ip(src, dst, 17, udp_part(src, dst, sport, dport, payload, summed=summed), **header)


def tcp(src: str, sport: int, dst: str, dport: int, payload: bytes = b"", *, flags=0x02, seq=0, ack=0, **header) -> bytes:
    bare = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 8192, 0, 0) + payload
    total = sum_of(raw(src) + raw(dst) + struct.pack("!HH", 6, len(bare)) + bare)
    return ip(src, dst, 6, bare[:16] + struct.pack("!H", total) + bare[18:], **header)


def esp(src: str, dst: str, spi: int, payload: bytes = b"\0\0\0\1" + bytes(32)) -> bytes:
    return ip(src, dst, 50, struct.pack("!I", spi) + payload)


def icmp(src: str, dst: str, kind: int, rest: bytes, code: int = 0) -> bytes:
    bare = struct.pack("!BBH", kind, code, 0) + rest
    return ip(src, dst, 1, bare[:2] + struct.pack("!H", sum_of(bare)) + bare[4:])


def echo(src: str, dst: str, kind: int, ident: int, text: bytes = b"abcde") -> bytes:
    return icmp(src, dst, kind, struct.pack("!HH", ident, 1) + text)


@dataclass(frozen=True)
class Seen:
    src: str
    dst: str
    protocol: int
    ttl: int
    ident: int
    flags: int
    payload: bytes

    @property
    def ports(self) -> tuple[int, int]:
        return struct.unpack("!HH", self.payload[:4])

    @property
    def flow(self) -> tuple[str, int, str, int]:
        return self.src, self.ports[0], self.dst, self.ports[1]


def seen(packet: bytes, *, sums=True) -> Seen:
    """The packet taken apart; where it is whole, every checksum in it is computed anew and has to fit."""
    length = (packet[0] & 15) * 4
    _, _, total, ident, flags, ttl, protocol, _, src, dst = struct.unpack("!BBHHHBBH4s4s", packet[:20])
    assert sum_of(packet[:length]) == 0, "IP checksum"
    assert total == len(packet)
    payload = packet[length:]
    if sums and not flags & 0x3FFF and protocol == 17:
        (given,) = struct.unpack("!H", payload[6:8])
        if given:
            assert sum_of(src + dst + struct.pack("!HH", 17, len(payload)) + payload) == 0, "UDP checksum"
    if sums and not flags & 0x3FFF and protocol == 6:
        assert sum_of(src + dst + struct.pack("!HH", 6, len(payload)) + payload) == 0, "TCP checksum"
    if sums and not flags & 0x3FFF and protocol == 1:
        assert sum_of(payload) == 0, "ICMP checksum"
    return Seen(str(ipaddress.IPv4Address(src)), str(ipaddress.IPv4Address(dst)), protocol, ttl, ident, flags, payload)
