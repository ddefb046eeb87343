"""Hosts that stand on the NAT's wires without an endpoint before them, and speak a little UDP, ICMP and TCP through it.

Each packet has a number, which is its IP identification: a NAT leaves it as it is. Both ends tell of it, with what they saw in it.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from harness.errors import ProtocolError
from harness.wire import ip

if TYPE_CHECKING:
    from harness.routers.esp_play import EspPlay

TCP = 6
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
ARRIVAL_S = 1.0
FIRST_SEQUENCE = 1000
NO_NUMBERS: Mapping[str, int] = {}
_NAMES = {ip.UDP: "udp", TCP: "tcp", ip.ICMP: "icmp"}
_TCP = struct.Struct("!HHIIBBHHH")


@dataclass(slots=True)
class End:
    """One end of a TCP connection, as it sees it. `seq` is its next number, `ack` the other's next."""

    address: str
    port: int
    peer: str
    peer_port: int
    seq: int = FIRST_SEQUENCE
    ack: int = 0


@dataclass(frozen=True, slots=True)
class Connection:
    client: End
    server: End


class NatHosts:
    """`inside` and `outside` are addresses. Who is inside sends to the NAT, whatever it sends."""

    def __init__(self, play: EspPlay, inside: tuple[str, ...], outside: tuple[str, ...]) -> None:
        self._play = play
        self._came: dict[int, dict[str, Any]] = {}
        for address in (*inside, *outside):
            play.lab.attach(address, address in inside, self._arrived)

    @classmethod
    async def placed(cls, play: EspPlay, inside: tuple[str, ...], outside: tuple[str, ...]) -> Self:
        """Once the NAT and they know each other."""
        hosts = cls(play, inside, outside)
        await play.lab.met()
        return hosts

    # What they do

    async def udp(self, src: str, sport: int, dst: str, dport: int, said: bytes = b"words") -> dict[str, Any] | None:
        """What its receiver saw of it (src, sport, dst, dport, said), None where it came to nobody."""
        datagram = ip.build_udp(ip.packed(src), ip.packed(dst), sport, dport, said)
        return await self._send(ip.UDP, src, sport, dst, dport, datagram, said)

    async def answer(self, seen: Mapping[str, Any], said: bytes = b"words") -> dict[str, Any] | None:
        """What received that UDP packet answers, to where it saw it come from."""
        return await self.udp(seen["dst"], seen["dport"], seen["src"], seen["sport"], said)

    async def ping(self, src: str, dst: str, identifier: int) -> dict[str, Any] | None:
        """An echo request; `sport` is its identifier. Nobody answers by itself."""
        message = ip.build_echo(ip.Echo(True, identifier, 1, b"words"))
        return await self._send(ip.ICMP, src, identifier, dst, 0, message, b"words")

    async def tcp(self, end: End, said: bytes = b"", flags: int = ACK) -> dict[str, Any] | None:
        """One segment of that end."""
        segment = _segment(end, said, flags)
        numbers = {"seq": end.seq, "ack": end.ack if flags & ACK else 0, "flags": flags}
        end.seq += len(said) + bool(flags & (SYN | FIN))
        return await self._send(TCP, end.address, end.port, end.peer, end.peer_port, segment, said, numbers)

    async def say(self, by: End, to: End, said: bytes = b"", flags: int = ACK) -> dict[str, Any] | None:
        """One segment, which the other end takes account of where it comes to it."""
        seen = await self.tcp(by, said, flags)
        if seen is not None:
            to.ack = seen["seq"] + len(seen["said"]) + bool(flags & (SYN | FIN))
        return seen

    async def connect(self, src: str, sport: int, dst: str, dport: int) -> Connection | None:
        """The three segments that open a connection; None where one of them did not come."""
        client = End(src, sport, dst, dport)
        asked = await self.tcp(client, flags=SYN)
        if asked is None:
            return None
        server = End(asked["dst"], asked["dport"], asked["src"], asked["sport"], FIRST_SEQUENCE * 5, asked["seq"] + 1)
        done = await self.say(server, client, flags=SYN | ACK) and await self.say(client, server)
        return Connection(client, server) if done else None

    @asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[None]:
        async with self._play.step(name):
            yield

    # On the way

    async def _send(
        self,
        protocol: int,
        src: str,
        sport: int,
        dst: str,
        dport: int,
        payload: bytes,
        said: bytes,
        numbers: Mapping[str, int] = NO_NUMBERS,
    ) -> dict[str, Any] | None:
        number = self._play.next_number()
        packet = ip.build_ipv4(src, dst, protocol, payload, identification=number & 0xFFFF)
        ends = {"src": src, "dst": dst, "protocol": _NAMES[protocol], "sport": sport, "dport": dport, **numbers}
        self._play.tell(f"host {src}", "sent", number=number, said=said.decode("latin-1"), size=len(packet), **ends)
        self._play.lab.from_neighbour(src, packet)
        await self._play.until(lambda: number in self._came, ARRIVAL_S)
        return self._came.get(number)

    def _arrived(self, packet: bytes) -> None:
        """What a host would not take for its checksums has not come to it."""
        try:
            read = ip.parse_ipv4(packet)
            told = _read(read)
        except (ProtocolError, struct.error):
            return
        number = int.from_bytes(packet[4:6])
        told = {"number": number, "src": read.source, "dst": read.destination, "size": len(packet), **told}
        self._came[number] = told
        self._play.tell(f"host {read.destination}", "got", **told)


def _segment(end: End, said: bytes, flags: int) -> bytes:
    """RFC 9293 section 3.1, without options."""
    ack = end.ack if flags & ACK else 0
    bare = _TCP.pack(end.port, end.peer_port, end.seq, ack, 0x50, flags, 8192, 0, 0) + said
    total = ip.checksum(_pseudo(end.address, end.peer, len(bare)) + bare)
    return bare[:16] + total.to_bytes(2) + bare[18:]


def _pseudo(src: str, dst: str, length: int) -> bytes:
    return ip.packed(src) + ip.packed(dst) + bytes((0, TCP)) + length.to_bytes(2)


def _read(packet: ip.Ipv4) -> dict[str, Any]:
    """What a host sees. ProtocolError where a checksum is wrong."""
    payload = packet.payload
    if packet.protocol == ip.UDP:
        if not ip.udp_checksum_good(ip.packed(packet.source), ip.packed(packet.destination), payload):
            raise ProtocolError("udp", "wrong checksum", 6)
        read = ip.parse_udp(payload)
        return {"protocol": "udp", "sport": read.sport, "dport": read.dport, "said": read.payload.decode("latin-1")}
    if packet.protocol == TCP:
        if ip.checksum(_pseudo(packet.source, packet.destination, len(payload)) + payload):
            raise ProtocolError("tcp", "wrong checksum", 16)
        sport, dport, seq, ack, _, flags, *_ = _TCP.unpack_from(payload)
        said = payload[_TCP.size :].decode("latin-1")
        return {"protocol": "tcp", "sport": sport, "dport": dport, "said": said, "seq": seq, "ack": ack, "flags": flags}
    echo = ip.parse_echo(payload) if packet.protocol == ip.ICMP else None
    if echo is None:
        raise ProtocolError("ip", "nothing that a host here takes")
    return {"protocol": "icmp", "sport": echo.identifier, "dport": 0, "said": echo.payload.decode("latin-1")}
