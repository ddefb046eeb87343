"""One frame in, one observation out, as the dictionary that travels as a JSON line. No bytes of any kind make it raise."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from socket import inet_aton
from typing import Any

from harness.errors import ProtocolError
from harness.probes import pcap
from harness.probes.dissector import headers
from harness.probes.dissector.decrypted import masked, replaced
from harness.probes.dissector.esp import EspPacket, read_esp
from harness.probes.dissector.fragments import Reassembler
from harness.probes.dissector.ike import IkeReader
from harness.probes.dissector.inner import L2TP_PORT, InnerDatagram, read_inner
from harness.probes.dissector.l2tp import looks_like_control
from harness.probes.dissector.ppp import read_icmp
from harness.probes.keyring import Keyring

IKE_PORT, NATT_PORT = 500, 4500
_MARKER = bytes(4)
_REMEMBERED = 20_000  # opened ESP packets, so that the second side of the NAT costs nothing


@dataclass(frozen=True, slots=True)
class Addresses:
    """Who is who, as far as it is known beforehand. All may be empty: the ports then tell which end is the gateway."""

    gateway: str = ""
    nat_outside: str = ""
    clients: dict[str, str] = field(default_factory=dict)  # name → inside address


@dataclass(frozen=True, slots=True)
class _Opened:
    """`before`: of tunnel mode, the inner IP packet's header, which stands before the datagram; `ends` are its addresses."""

    esp: EspPacket
    inner: InnerDatagram | None
    problem: str | None
    before: bytes = b""
    ends: tuple[str, str] | None = None


class FrameDissector:
    """Feed it the frames of all sides in the order of their time stamps."""

    def __init__(
        self,
        keys: Keyring,
        addresses: Addresses,
        interfaces: Mapping[str, Mapping[int, str]] | None = None,
        *,
        null_esp: bool = False,
    ) -> None:
        """`interfaces` has, for a side whose capture names only the numbers of its interfaces, their names. `null_esp`: what is in
        ESP without a key may not be encrypted."""
        self._keys = keys
        self._null_esp = null_esp
        self._interfaces = interfaces or {}
        self._addresses = addresses
        self._ike = IkeReader(keys)
        self._reassemblers: dict[str, Reassembler] = {}
        self._opened: OrderedDict[bytes, _Opened] = OrderedDict()
        self._pairs: dict[str, dict[tuple[str, str], tuple[bytes, bytes]]] = {}

    def dissect(self, side: str, frame: pcap.RawFrame) -> tuple[dict[str, Any], bytes]:
        """(the observation, the frame for the decrypted copy)."""
        seen: dict[str, Any] = {
            "side": side,
            "frame": frame.number,
            "t": frame.t,
            "src": "",
            "dst": "",
            "sport": None,
            "dport": None,
            "ttl": 0,
            "kind": "other",
            "length": len(frame.data),
            "payload_digest": "",
        }
        if frame.cut:
            seen["problem"] = "the capture kept only a part of this frame"
        copy = frame.data
        try:
            ethertype, data = headers.network_layer(frame.link, frame.data)
            if headers.is_ipv4(ethertype):
                copy = self._ip(side, seen, frame.data[: len(frame.data) - len(data)], data) or copy
            else:
                seen["headers"] = {"ethertype": ethertype}
                seen["payload_digest"] = _digest(data).hex()
        except ProtocolError as error:
            _note(seen, str(error))
            if not seen["payload_digest"]:
                seen["payload_digest"] = _digest(frame.data).hex()
        self._cooked(side, seen, frame)
        return seen, copy

    def _cooked(self, side: str, seen: dict[str, Any], frame: pcap.RawFrame) -> None:
        facts: dict[str, Any] = dict(headers.cooked(frame.link, frame.data))
        name = self._interfaces.get(side, {}).get(facts.get("interface_index", 0))
        if name is not None:
            facts["interface"] = name
        if facts:
            seen["headers"] = seen.get("headers", {}) | facts

    def _ip(self, side: str, seen: dict[str, Any], link: bytes, data: bytes) -> bytes | None:
        ip = headers.ip_packet(data)
        facts = seen["headers"] = ip.facts()
        # The link is not the packet: Ethernet pads what is short, and a tag of a VLAN may be on one side of a NAT alone.
        seen.update(src=ip.src, dst=ip.dst, ttl=ip.ttl, length=facts["ip_length"], payload_digest=_digest(ip.payload).hex())
        payload = ip.payload
        if ip.is_fragment:
            whole = self._reassemblers.setdefault(side, Reassembler()).add(ip)
            facts["fragment"] = "part" if whole is None else "last"
            if whole is None:
                return None
            payload = whole
        if ip.protocol == headers.UDP:
            return self._udp(side, seen, link, ip, payload)
        if ip.protocol == headers.ESP:
            seen["kind"] = "esp"
            facts["encapsulation"] = "none"
            return self._esp(seen, link, ip, payload)
        if ip.protocol == headers.AH:
            facts["ah"] = headers.ah_facts(payload)
        if ip.protocol == headers.ICMP:
            self._icmp(seen, payload, len(ip.header) + len(payload))
        return None

    def _udp(self, side: str, seen: dict[str, Any], link: bytes, ip: headers.IpPacket, data: bytes) -> bytes | None:
        udp = headers.udp_datagram(data)
        payload = udp.payload
        seen.update(sport=udp.sport, dport=udp.dport, payload_digest=_digest(payload).hex())
        right = udp.fits(inet_aton(ip.src), inet_aton(ip.dst)) if udp.checksum else None
        seen["headers"].update(udp_checksum=udp.checksum, udp_checksum_ok=right, udp_length=len(udp.segment))
        service = self._service(ip, udp)
        if service == NATT_PORT:
            if payload == b"\xff":
                seen["kind"] = "keepalive"
            elif payload[:4] == _MARKER and len(payload) >= 4:
                self._isakmp(side, seen, payload[4:], ip, marker=True)
            else:
                seen["kind"] = "esp"
                seen["headers"]["encapsulation"] = "udp"
                return self._esp(seen, link, ip, payload)
        elif service == IKE_PORT:
            marker = payload[:4] == _MARKER and len(payload) >= 32
            self._isakmp(side, seen, payload[4:] if marker else payload, ip, marker)
        elif service == L2TP_PORT:
            seen["kind"] = "l2tp-clear"
            inner = read_inner(udp.segment)
            seen["inner"] = inner.facts | {"checksum_fits": [[ip.src, ip.dst]] if right else []}
            _note(seen, inner.problem)
            return replaced(link, ip, headers.UDP, masked(udp.segment, inner.secret)) if inner.secret else None
        elif looks_like_control(payload):
            seen["headers"]["looks_like"] = "l2tp"
        return None

    def _service(self, ip: headers.IpPacket, udp: headers.UdpDatagram) -> int | None:
        """The gateway's port, which names the service: a NAT may well give a client 4500 or 1701 as its outside port."""
        known = (IKE_PORT, NATT_PORT, L2TP_PORT)
        if self._addresses.gateway == ip.dst:
            port = udp.dport
        elif self._addresses.gateway == ip.src:
            port = udp.sport
        else:
            port = udp.dport if udp.dport in known else udp.sport
        if port not in known and L2TP_PORT in (udp.sport, udp.dport):
            return L2TP_PORT
        return port if port in known else None

    def _isakmp(self, side: str, seen: dict[str, Any], message: bytes, ip: headers.IpPacket, marker: bool) -> None:
        seen["kind"] = "ike"
        facts, problem = self._ike.read(side, message, ip.src, ip.dst)
        seen["ike"] = facts | {"marker": marker}
        _note(seen, problem)

    def _icmp(self, seen: dict[str, Any], data: bytes, packet_length: int) -> None:
        seen["kind"] = "icmp"
        seen["mark"] = read_icmp(data, packet_length, seen["headers"])
        if data[0] in (3, 4, 5, 11, 12) and len(data) >= 8 + 28 and data[8] == 0x45:
            quoted = data[8:]
            seen["headers"]["quoted"] = {
                "protocol": quoted[9],
                "src": ".".join(map(str, quoted[12:16])),
                "dst": ".".join(map(str, quoted[16:20])),
                "sport": int.from_bytes(quoted[20:22]),
                "dport": int.from_bytes(quoted[22:24]),
            }

    def _esp(self, seen: dict[str, Any], link: bytes, ip: headers.IpPacket, packet: bytes) -> bytes | None:
        opened = self._open(packet)
        seen["esp"] = opened.esp.facts
        _note(seen, opened.problem)
        if opened.esp.facts["icv_ok"] is None and packet[8:12] == L2TP_PORT.to_bytes(2) * 2:
            seen["headers"]["looks_like"] = "l2tp in null encryption"
        if opened.esp.payload is None or opened.esp.next_header is None:
            return None
        segment = opened.esp.payload
        if opened.inner is not None:
            fits = self._fits(opened.inner.datagram, opened.esp.facts, opened.ends or (ip.src, ip.dst))
            seen["inner"] = opened.inner.facts | {"checksum_fits": fits}
            segment = opened.before + masked(segment[len(opened.before) :], opened.inner.secret)
        return replaced(link, ip, opened.esp.next_header, segment)

    def _open(self, packet: bytes) -> _Opened:
        digest = _digest(packet)
        known = self._opened.get(digest)
        if known is None:
            known = self._opened[digest] = _opened(read_esp(packet, self._keys, null=self._null_esp))
            if len(self._opened) > _REMEMBERED:
                self._opened.popitem(last=False)
        return known

    def _fits(self, inner: headers.UdpDatagram, esp: dict[str, Any], seen: tuple[str, str]) -> list[list[str]]:
        """The address pairs of either side of the NAT, and the one that is `seen` around the datagram, for which the inner checksum
        is right; none where no checksum was sent."""
        pairs = self._pairs.get(esp["spi"])
        if pairs is None:
            pairs = self._pairs[esp["spi"]] = {}
            for address in (self._client(esp["spi"]), self._addresses.nat_outside):
                if address and self._addresses.gateway:
                    ends = (address, self._addresses.gateway)
                    _remember(pairs, ends if esp["direction"] == "out" else ends[::-1])
        if seen not in pairs:
            _remember(pairs, seen)
        return [list(names) for names, (src, dst) in pairs.items() if inner.fits(src, dst)]

    def _client(self, spi: str) -> str:
        clients = self._addresses.clients
        return next((clients[key.client] for key in self._keys.esp.get(spi, ()) if key.client in clients), "")


def _opened(esp: EspPacket) -> _Opened:
    """What ESP held: a UDP datagram (transport mode), or an IP packet with one in it (tunnel mode). In a tunnel other datagrams
    than L2TP's are not read."""
    if esp.payload is None:
        return _Opened(esp, None, esp.problem)
    before, ends, segment = b"", None, esp.payload
    try:
        if esp.next_header == headers.IP_IN_IP:
            packet = headers.ip_packet(segment)
            before, ends, segment = packet.header, (packet.src, packet.dst), packet.payload
            esp.facts.update(inner_src=packet.src, inner_dst=packet.dst)
            if packet.protocol != headers.UDP or packet.is_fragment:
                what = "a fragment" if packet.is_fragment else f"protocol {packet.protocol}"
                return _Opened(esp, None, f"esp: the inner IP packet holds {what}; tunnel mode for L2TP carries UDP (17)")
            datagram = headers.udp_datagram(segment)
            if L2TP_PORT not in (datagram.sport, datagram.dport):  # a host's behind the peer, and no business of L2TP's
                return _Opened(esp, None, None, before, ends)
        elif esp.next_header != headers.UDP:
            return _Opened(esp, None, f"esp: next header {esp.next_header}; transport mode for L2TP carries UDP (17)")
        inner = read_inner(segment)
    except ProtocolError as error:
        return _Opened(esp, None, str(error))
    return _Opened(esp, inner, inner.problem, before, ends)


def _remember(pairs: dict[tuple[str, str], tuple[bytes, bytes]], ends: tuple[str, str]) -> None:
    if len(pairs) < 16:  # a NAT that renumbers leaves a few; a forged source leaves any number
        pairs[ends] = (inet_aton(ends[0]), inet_aton(ends[1]))


def _note(seen: dict[str, Any], problem: str | None) -> None:
    """Adds to the frame's problem; the first one stays in front."""
    if problem:
        seen["problem"] = f"{seen['problem']}; {problem}" if seen.get("problem") else problem


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
