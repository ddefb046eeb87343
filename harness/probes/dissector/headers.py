"""Link, IPv4 and UDP headers, read with struct: they are on the path of every frame, where scapy would cost milliseconds."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from socket import inet_ntoa
from typing import Any

from harness.errors import ProtocolError
from harness.probes import pcap

ICMP, IP_IN_IP, TCP, UDP, ESP, AH = 1, 4, 6, 17, 50, 51
_IPV4, _IPV6 = 0x0800, 0x86DD
_TAGS = frozenset({0x8100, 0x88A8})  # of VLANs: as a SPAN port may leave them on (IEEE 802.1Q, 802.1ad)
_AF_INET = 2
_IP = struct.Struct("!BBHHHBBH4s4s")
_UDP = struct.Struct("!HHHH")


def ones_sum(data: bytes) -> int:
    """The sum of the 16-bit words modulo 0xffff (RFC 1071): 0 over data that carries its right checksum."""
    return int.from_bytes(data if len(data) % 2 == 0 else data + b"\0") % 0xFFFF


@dataclass(slots=True)
class IpPacket:
    """An IPv4 packet. `payload` is cut to the header's total length; `header` keeps the options."""

    src: str
    dst: str
    ttl: int
    protocol: int
    tos: int
    ident: int
    flags: int  # 3 bits: reserved, DF, MF
    offset: int  # in bytes
    checksum: int
    header: bytes
    payload: bytes

    @property
    def more(self) -> bool:
        return bool(self.flags & 1)

    @property
    def is_fragment(self) -> bool:
        return self.more or self.offset > 0

    def facts(self) -> dict[str, Any]:
        return {
            "protocol": self.protocol,
            "tos": self.tos,
            "dscp": self.tos >> 2,
            "ecn": self.tos & 3,
            "ip_id": self.ident,
            "df": bool(self.flags & 2),
            "mf": self.more,
            "flags": self.flags,
            "fragment_offset": self.offset,
            "ip_options": self.header[20:].hex(),
            "ip_length": len(self.header) + len(self.payload),
            "ip_checksum": self.checksum,
            "ip_checksum_ok": ones_sum(self.header) == 0,
        }


@dataclass(slots=True)
class UdpDatagram:
    sport: int
    dport: int
    checksum: int
    payload: bytes
    segment: bytes  # header and payload

    def fits(self, src: bytes, dst: bytes) -> bool:
        """Whether the checksum is right for these two addresses (4 bytes each). Never for 0, which means that none was sent."""
        pseudo = src + dst + struct.pack("!HH", UDP, len(self.segment))
        return self.checksum != 0 and ones_sum(pseudo + self.segment) == 0


def network_layer(link: int, frame: bytes) -> tuple[int, bytes]:
    """(EtherType, the bytes after the link header). ProtocolError where the frame is too short or the link type is strange."""
    if link == pcap.ETHERNET:
        offset, start = 12, 14
    elif link == pcap.RAW_IP:
        return (_IPV4 if frame[:1] and frame[0] >> 4 == 4 else _IPV6), frame
    elif link in (pcap.NULL, pcap.LOOP):
        if len(frame) < 4:
            raise ProtocolError("link", f"a frame of {len(frame)} bytes, its link header takes 4")
        # The address family, in the byte order of whoever captured (LOOP: in the network's); IPv4 is 2 with everybody.
        family = min(int.from_bytes(frame[:4], "little"), int.from_bytes(frame[:4]))
        return (_IPV4 if family == _AF_INET else _IPV6), frame[4:]
    elif link == pcap.LINUX_SLL:
        offset, start = 14, 16
    elif link == pcap.LINUX_SLL2:
        offset, start = 0, 20
    elif link == pcap.PPP:
        skip = 2 if frame[:2] == b"\xff\x03" else 0
        if len(frame) < skip + 2:
            raise ProtocolError("link", f"a PPP frame of {len(frame)} bytes")
        protocol = int.from_bytes(frame[skip : skip + 2])
        return (_IPV4 if protocol == 0x0021 else protocol), frame[skip + 2 :]
    else:
        raise ProtocolError("link", f"link type {link} is not read here")
    if len(frame) < start:
        raise ProtocolError("link", f"a frame of {len(frame)} bytes, its link header takes {start}")
    ethertype = int.from_bytes(frame[offset : offset + 2])
    while ethertype in _TAGS and len(frame) >= start + 4:
        ethertype, start = int.from_bytes(frame[start + 2 : start + 4]), start + 4
    return ethertype, frame[start:]


def cooked(link: int, frame: bytes) -> dict[str, int]:
    """What a Linux cooked header of version 2 says of a frame's interface (https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html).

    `interface_index`, and `packet_type`: 0 to this host, 1 broadcast, 2 multicast, 3 to another host, 4 sent by this host.
    """
    if link != pcap.LINUX_SLL2 or len(frame) < 20:
        return {}
    return {"interface_index": int.from_bytes(frame[4:8]), "packet_type": frame[10]}


def is_ipv4(ethertype: int) -> bool:
    return ethertype == _IPV4


def ip_packet(data: bytes) -> IpPacket:
    """ProtocolError (layer "ip") where the header is damaged or the packet was cut short."""
    if len(data) < 20:
        raise ProtocolError("ip", f"{len(data)} bytes, the header alone takes 20")
    first, tos, total, ident, fragment, ttl, protocol, checksum, src, dst = _IP.unpack_from(data)
    size = (first & 0x0F) * 4
    if first >> 4 != 4:
        raise ProtocolError("ip", f"version {first >> 4}", 0)
    if size < 20 or size > total:
        raise ProtocolError("ip", f"a header of {size} bytes in a packet of {total}", 0)
    if total > len(data):
        raise ProtocolError("ip", f"the header says {total} bytes, {len(data)} were captured", 2)
    header = data[:size]
    offset = (fragment & 0x1FFF) * 8
    ends = inet_ntoa(src), inet_ntoa(dst)
    return IpPacket(*ends, ttl, protocol, tos, ident, fragment >> 13, offset, checksum, header, data[size:total])


def ah_facts(data: bytes) -> dict[str, int | str]:
    """The header of AH (RFC 4302 §2): next_header, spi (8 hex digits), sequence, and esp_spi where ESP is what follows it.
    ProtocolError (layer "ah") where it is cut short."""
    if len(data) < 12:
        raise ProtocolError("ah", f"{len(data)} bytes, the header alone takes 12")
    size = (data[1] + 2) * 4
    if size < 12 or size > len(data):
        raise ProtocolError("ah", f"the header says {size} bytes, {len(data)} are there", 1)
    facts: dict[str, int | str] = {"next_header": data[0], "spi": data[4:8].hex(), "sequence": int.from_bytes(data[8:12])}
    if data[0] == ESP and len(data) >= size + 4:
        facts["esp_spi"] = data[size : size + 4].hex()
    return facts


def udp_datagram(data: bytes) -> UdpDatagram:
    """ProtocolError (layer "udp") where the length field and the bytes disagree."""
    if len(data) < 8:
        raise ProtocolError("udp", f"{len(data)} bytes, the header takes 8")
    sport, dport, length, checksum = _UDP.unpack_from(data)
    if length < 8 or length > len(data):
        raise ProtocolError("udp", f"the header says {length} bytes, {len(data)} are there", 4)
    return UdpDatagram(sport, dport, checksum, data[8:length], data[:length])
