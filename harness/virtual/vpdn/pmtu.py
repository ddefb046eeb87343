"""Path MTU of a tunnel: what an ICMP "fragmentation needed" says, how much room is left inside, and Don't Fragment outside."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import ProtocolError
from harness.virtual.vpdn.groups import DfBit
from harness.wire import ip
from harness.wire.esp import AUTHENTICATIONS, ENCRYPTIONS
from harness.wire.packet import ESP

LEAST = 68
"""The smallest MTU that IPv4 knows (RFC 791): what claims less is a lie."""
UNREACHABLE, FRAGMENTATION_NEEDED = 3, 4
IP_HEADER, UDP_HEADER = 20, 8
L2TP_HEADER = 12  # with length and, at most, sequence numbers
PPP_HEADER = 4
NATT_PORT = 4500


@dataclass(frozen=True, slots=True)
class Wrap:
    """How IPsec packs: names of ciphers as in a transform set; `udp`: in UDP 4500; `tunnel`: with an inner IP header."""

    encryption: str
    authentication: str
    udp: bool
    tunnel: bool


@dataclass(frozen=True, slots=True)
class Told:
    """An ICMP "fragmentation needed": the next hop's MTU, and the head of the packet that it quotes."""

    mtu: int
    source: str
    destination: str
    protocol: int
    head: bytes  # of what the IP header was followed by

    def quotes_udp(self, destination: str, sport: int, dport: int) -> bool:
        ports = int.from_bytes(self.head[:2]), int.from_bytes(self.head[2:4])
        return self.protocol == ip.UDP and self.destination == destination and ports == (sport, dport)

    def quotes_esp(self, destination: str, spi: int, udp_port: int) -> bool:
        """`udp_port` 0: protocol 50. In UDP the SPI counts where the quotation goes as far as that."""
        if not udp_port:
            return self.protocol == ESP and self.destination == destination and int.from_bytes(self.head[:4]) == spi
        beyond = self.head[UDP_HEADER : UDP_HEADER + 4]
        return self.quotes_udp(destination, NATT_PORT, udp_port) and (len(beyond) < 4 or int.from_bytes(beyond) == spi)


def fragmentation_needed(message: bytes) -> Told | None:
    """None for other ICMP messages. ProtocolError for a wrong checksum, or a quotation that is no packet's head (RFC 792: header
    and 8 bytes; RFC 1191 §4 for the MTU, 0 from those who do not tell it)."""
    if len(message) < 8 or ip.checksum(message):
        raise ProtocolError("icmp", "too short, or a wrong checksum")
    if message[:2] != bytes((UNREACHABLE, FRAGMENTATION_NEEDED)):
        return None
    quoted = message[8:]
    start = (quoted[0] & 15) * 4 if quoted else 0
    if start < IP_HEADER or quoted[0] >> 4 != 4 or len(quoted) < start + 8:
        raise ProtocolError("icmp", "the packet that it quotes cannot be read", 8)
    ends = ip.dotted(quoted[12:16]), ip.dotted(quoted[16:20])
    return Told(int.from_bytes(message[6:8]), *ends, quoted[9], quoted[start:])


def unreachable(own: str, packet: bytes, mtu: int) -> bytes:
    """The ICMP message, as an IP packet, that tells a packet's sender how much would fit."""
    quoted = packet[: (packet[0] & 15) * 4 + 8]
    bare = bytes((UNREACHABLE, FRAGMENTATION_NEEDED, 0, 0, 0, 0)) + mtu.to_bytes(2) + quoted
    message = bare[:2] + ip.checksum(bare).to_bytes(2) + bare[4:]
    return ip.build_ipv4(own, ip.dotted(packet[12:16]), ip.ICMP, message)


def room(mtu: int, wrap: Wrap | None) -> int:
    """The largest IP packet inside PPP inside L2TP that leaves in one packet of `mtu` bytes; `wrap` None: L2TP in the clear."""
    inner = UDP_HEADER + L2TP_HEADER + PPP_HEADER
    if wrap is None:
        return max(0, mtu - IP_HEADER - inner)
    cipher = ENCRYPTIONS[wrap.encryption]
    fixed = IP_HEADER + (UDP_HEADER if wrap.udp else 0) + 8 + cipher.iv + AUTHENTICATIONS[wrap.authentication].icv
    whole = (mtu - fixed) // cipher.block * cipher.block
    return max(0, whole - 2 - (IP_HEADER if wrap.tunnel else 0) - inner)


def dont_fragment(packet: bytes) -> bool:
    return len(packet) >= IP_HEADER and bool(int.from_bytes(packet[6:8]) & ip.DONT_FRAGMENT)


def too_big(packet: bytes, limit: int) -> bool:
    """Larger than fits, and not to be cut."""
    return len(packet) > limit and dont_fragment(packet)


def outer_df(packet: bytes, *, pmtu: bool, df_bit: DfBit) -> bool:
    """Of the packet around it: reflected where the path's MTU is being learnt, else as configured."""
    return df_bit == "set" or (pmtu and dont_fragment(packet))
