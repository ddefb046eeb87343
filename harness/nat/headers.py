"""IPv4, UDP and ICMP headers as far as a NAT changes them: fixed offsets, checksums brought up to date and not computed anew.

Ones' complement sums of 16-bit words are sums modulo 0xffff. With RFC 1624, equation 3, a checksum after words `old` became `new`
is `(checksum + old - new) mod 0xffff`: it leaves a wrong checksum wrong, which tells the receiver what happened before the NAT.
"""

from __future__ import annotations

import ipaddress

ICMP, TCP, UDP, ESP, AH = 1, 6, 17, 50, 51

ECHO_REPLY, UNREACHABLE, ECHO_REQUEST, TIME_EXCEEDED, PARAMETER_PROBLEM = 0, 3, 8, 11, 12
ICMP_ERRORS = frozenset({UNREACHABLE, TIME_EXCEEDED, PARAMETER_PROBLEM})
"""RFC 5508 §4: those that quote the packet that they are about (source quench is obsolete, RFC 6633; a NAT ignores redirects)."""

MORE_FRAGMENTS, DONT_FRAGMENT, OFFSET = 0x2000, 0x4000, 0x1FFF
IKE = b"\x01\xf4\x01\xf4"
"""Source and destination port of IKE before it floats, as they stand in the packet."""


def packed(address: str) -> bytes:
    """The 4 bytes of a dotted address; ValueError where it is none."""
    return ipaddress.IPv4Address(address).packed


def dotted(address: bytes) -> str:
    return ".".join(map(str, address))


def residue(data: bytes) -> int:
    """The ones' complement sum of the 16-bit words, modulo 0xffff; an odd last byte is padded with zero (RFC 1071)."""
    number = int.from_bytes(data)
    return (number << 8 if len(data) & 1 else number) % 0xFFFF


def checksum(data: bytes) -> int:
    """RFC 1071, computed from scratch."""
    left = residue(data)
    return 0 if left == 0 and any(data) else 0xFFFF - left


def change(old: bytes, new: bytes) -> int:
    """What to add to a checksum, modulo 0xffff, when `old` (of even length and at an even place) becomes `new`."""
    return (residue(old) - residue(new)) % 0xFFFF


def header_length(packet: bytes) -> int:
    """The IPv4 header's length in bytes, or 0 where this is no whole IPv4 packet with a good header checksum."""
    present = len(packet)
    if present < 20:
        return 0
    header = (packet[0] & 15) << 2
    total = packet[2] << 8 | packet[3]
    if packet[0] >> 4 != 4 or header < 20 or header > total or total > present:
        return 0
    # A good header adds up to -0; all zeros cannot be, the version is 4.
    return header if int.from_bytes(packet[:header]) % 0xFFFF == 0 else 0
