"""Where an IP packet goes that came out of a PPP link or from the LAN."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import ProtocolError
from harness.wire import ip

HERE = "here"
LAN = "lan"
TTL = 64


@dataclass(frozen=True, slots=True)
class Hop:
    """`to`: HERE (the gateway itself), LAN, or the PPP address of a client; `packet` as it goes on from there."""

    to: str
    packet: bytes


class Router:
    """`own` is the gateway's PPP address."""

    def __init__(self, own: str) -> None:
        self.own = own

    def from_client(self, packet: bytes, assigned: str, taken: bool) -> Hop:
        """Of a client that was given `assigned`; `taken`: the destination is an address that some client has. ProtocolError for
        what is malformed, or comes from another address than the client's own (RFC 2827)."""
        parsed = ip.parse_ipv4(packet)
        if parsed.source != assigned:
            raise ProtocolError("ip", f"a packet from {parsed.source} came from the client at {assigned}")
        if parsed.destination == self.own:
            return Hop(HERE, packet)
        return Hop(parsed.destination if taken else LAN, forwarded(packet))

    def from_lan(self, packet: bytes) -> Hop:
        parsed = ip.parse_ipv4(packet)
        if parsed.destination == self.own:
            return Hop(HERE, packet)
        return Hop(parsed.destination, forwarded(packet))


def forwarded(packet: bytes) -> bytes:
    """With one hop less to live (RFC 1812 §5.3.1) and the checksum mended. ProtocolError where none is left."""
    if packet[8] <= 1:
        raise ProtocolError("ip", "its time to live has ended")
    header = (packet[0] & 15) * 4
    bare = packet[:8] + bytes((packet[8] - 1,)) + packet[9:10] + bytes(2) + packet[12:header]
    return bare[:10] + ip.checksum(bare).to_bytes(2) + bare[12:] + packet[header:]


def destination(packet: bytes) -> str:
    """Of a packet with a whole header."""
    return ip.dotted(packet[16:20]) if len(packet) >= 20 else ""


def echo_answer(packet: bytes) -> bytes | None:
    """What a host answers to an echo request that was sent to it; None to anything else. ProtocolError for what is malformed."""
    parsed = ip.parse_ipv4(packet)
    if parsed.protocol != ip.ICMP or parsed.fragment:
        return None
    echo = ip.parse_echo(parsed.payload)
    if echo is None or not echo.request:
        return None
    body = ip.build_echo(ip.Echo(False, echo.identifier, echo.sequence, echo.payload))
    return ip.build_ipv4(parsed.destination, parsed.source, ip.ICMP, body, identification=parsed.identification, ttl=TTL)
