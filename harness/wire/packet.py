"""What one IP datagram carries between two hosts: the unit that gateways take in and give out, and its form on a link."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import ProtocolError
from harness.wire import ip

IP_IN_IP = 4
ESP = 50
AH = 51
TTL = 64


@dataclass(frozen=True, slots=True)
class Packet:
    """Addresses are dotted; `protocol` is 17 (UDP, with ports and the UDP payload), 50 (ESP) or 51 (AH), both without ports. `df`:
    Don't Fragment is set in the header."""

    src: str
    dst: str
    protocol: int
    payload: bytes
    sport: int = 0
    dport: int = 0
    df: bool = False


def to_ip(packet: Packet, *, identification: int = 0, ttl: int = TTL) -> bytes:
    """The packet as an IPv4 packet without options (RFC 791), its UDP checksum filled in."""
    payload = packet.payload
    if packet.protocol == ip.UDP:
        payload = ip.build_udp(ip.packed(packet.src), ip.packed(packet.dst), packet.sport, packet.dport, payload)
    return ip.build_ipv4(packet.src, packet.dst, packet.protocol, payload, identification=identification, ttl=ttl, df=packet.df)


def from_ip(data: bytes) -> Packet:
    """A whole IPv4 packet. ProtocolError where it is a fragment (to be reassembled first), malformed, or its UDP checksum is wrong
    (0, none computed, is right)."""
    parsed = ip.parse_ipv4(data)
    if parsed.fragment:
        raise ProtocolError("ip", "a fragment, which has to be reassembled first")
    if parsed.protocol != ip.UDP:
        return Packet(parsed.source, parsed.destination, parsed.protocol, parsed.payload, df=parsed.df)
    if not ip.udp_checksum_good(ip.packed(parsed.source), ip.packed(parsed.destination), parsed.payload):
        raise ProtocolError("udp", "wrong checksum", 6)
    datagram = ip.parse_udp(parsed.payload)
    return Packet(parsed.source, parsed.destination, ip.UDP, datagram.payload, datagram.sport, datagram.dport, parsed.df)
