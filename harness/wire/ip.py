"""As much of IPv4 (RFC 791), UDP (RFC 768) and ICMP echo (RFC 792) as a dial-in client needs: build, parse, checksum.

Addresses are dotted strings at the edges and 4 bytes inside. Every refusal is a ProtocolError of layer "ip", "udp" or "icmp".
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from functools import lru_cache

from harness.errors import ProtocolError

ICMP = 1
UDP = 17
ECHO_REPLY = 0
ECHO_REQUEST = 8
DONT_FRAGMENT = 0x4000

_IP = struct.Struct("!BBHHHBBH4s4s")
_UDP = struct.Struct("!HHHH")
_ICMP_ECHO = struct.Struct("!BBHHH")


def checksum(data: bytes) -> int:
    """The Internet checksum of RFC 1071 over `data`, padded with a zero byte when its length is odd.

    2**16 is 1 modulo 0xffff, so the ones' complement sum of 16-bit words is the whole number modulo 0xffff; the sum of anything
    but zeros is never +0, which is what the two cases of a remainder of 0 tell apart.
    """
    number = int.from_bytes(data)
    if len(data) % 2:
        number <<= 8
    remainder = number % 0xFFFF
    if remainder == 0 and number:
        return 0
    return 0xFFFF - remainder


@lru_cache(maxsize=1 << 16)
def packed(address: str) -> bytes:
    """The 4 bytes of a dotted address. ProtocolError where it is none."""
    try:
        return ipaddress.IPv4Address(address).packed
    except ValueError as error:
        raise ProtocolError("ip", f"{address!r} is no IPv4 address") from error


@lru_cache(maxsize=1 << 16)
def dotted(address: bytes) -> str:
    if len(address) != 4:
        raise ProtocolError("ip", f"an IPv4 address has 4 bytes, not {len(address)}")
    return ".".join(map(str, address))


@dataclass(frozen=True, slots=True)
class Ipv4:
    """A parsed IPv4 packet; `payload` is as long as the header's total length says."""

    source: str
    destination: str
    protocol: int
    ttl: int
    identification: int
    fragment: bool  # more fragments follow, or this is not the first
    payload: bytes
    df: bool = False  # Don't Fragment


def build_ipv4(
    source: str, destination: str, protocol: int, payload: bytes, *, identification: int = 0, ttl: int = 128, df: bool = False
) -> bytes:
    """A packet without options."""
    total = 20 + len(payload)
    if total > 0xFFFF:
        raise ProtocolError("ip", f"{total} bytes do not fit one packet")
    ends = packed(source), packed(destination)
    bare = _IP.pack(0x45, 0, total, identification, DONT_FRAGMENT if df else 0, ttl, protocol, 0, *ends)
    return bare[:10] + checksum(bare).to_bytes(2) + bare[12:] + payload


def parse_ipv4(packet: bytes) -> Ipv4:
    if len(packet) < 20:
        raise ProtocolError("ip", f"{len(packet)} bytes are shorter than a header")
    first, _, total, identification, fragment, ttl, protocol, _, source, destination = _IP.unpack_from(packet)
    header = (first & 15) * 4
    if first >> 4 != 4:
        raise ProtocolError("ip", f"version {first >> 4} is not 4", 0)
    if not 20 <= header <= total <= len(packet):
        raise ProtocolError("ip", f"header {header}, total length {total} and {len(packet)} bytes present contradict each other", 2)
    if checksum(packet[:header]):
        raise ProtocolError("ip", "wrong header checksum", 10)
    ends, in_pieces, df = (dotted(source), dotted(destination)), bool(fragment & 0x3FFF), bool(fragment & DONT_FRAGMENT)
    return Ipv4(*ends, protocol, ttl, identification, in_pieces, packet[header:total], df)


def build_udp(source: bytes, destination: bytes, sport: int, dport: int, payload: bytes, *, checksummed: bool = True) -> bytes:
    """A UDP datagram; `source` and `destination` (4 bytes each) enter the checksum only. A computed 0 is sent as 0xffff; where
    none is wanted, 0 says so (RFC 768)."""
    length = 8 + len(payload)
    if length > 0xFFFF:
        raise ProtocolError("udp", f"{length} bytes do not fit one datagram")
    if not checksummed:
        return _UDP.pack(sport, dport, length, 0) + payload
    pseudo = source + destination + struct.pack("!HH", UDP, length)
    total = checksum(pseudo + _UDP.pack(sport, dport, length, 0) + payload)
    return _UDP.pack(sport, dport, length, total or 0xFFFF) + payload


@dataclass(frozen=True, slots=True)
class Udp:
    sport: int
    dport: int
    checksum: int
    payload: bytes


def parse_udp(datagram: bytes) -> Udp:
    """The checksum is returned, not judged: behind a NAT it covers addresses that are no longer there, and RFC 3948 §3.1.2 lets
    the receiver of authenticated ESP pass it over. `udp_checksum_good` judges it where the addresses are known."""
    if len(datagram) < 8:
        raise ProtocolError("udp", f"{len(datagram)} bytes are shorter than a header")
    sport, dport, length, total = _UDP.unpack_from(datagram)
    if not 8 <= length <= len(datagram):
        raise ProtocolError("udp", f"length {length} of {len(datagram)} bytes present", 4)
    return Udp(sport, dport, total, datagram[8:length])


def udp_checksum_good(source: bytes, destination: bytes, datagram: bytes) -> bool:
    """Whether the checksum fits these addresses; 0 means that the sender computed none (RFC 768)."""
    parsed = parse_udp(datagram)
    if parsed.checksum == 0:
        return True
    length = 8 + len(parsed.payload)
    return checksum(source + destination + struct.pack("!HH", UDP, length) + datagram[:length]) == 0


@dataclass(frozen=True, slots=True)
class Echo:
    """An ICMP echo request or reply."""

    request: bool
    identifier: int
    sequence: int
    payload: bytes


def build_echo(echo: Echo) -> bytes:
    kind = ECHO_REQUEST if echo.request else ECHO_REPLY
    bare = _ICMP_ECHO.pack(kind, 0, 0, echo.identifier, echo.sequence) + echo.payload
    return bare[:2] + checksum(bare).to_bytes(2) + bare[4:]


def parse_echo(message: bytes) -> Echo | None:
    """None for ICMP messages of other types; ProtocolError for what is too short or has a wrong checksum."""
    if len(message) < 8:
        raise ProtocolError("icmp", f"{len(message)} bytes are shorter than a header")
    if checksum(message):
        raise ProtocolError("icmp", "wrong checksum", 2)
    kind, _, _, identifier, sequence = _ICMP_ECHO.unpack_from(message)
    if kind not in (ECHO_REQUEST, ECHO_REPLY):
        return None
    return Echo(kind == ECHO_REQUEST, identifier, sequence, message[8:])
