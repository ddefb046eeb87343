"""The sockets of a gateway's process: UDP 500, 4500 and 1701, IP protocol 50, and packets of the LAN without the kernel's help;
frames of an Ethernet that has other protocols than IP."""

from __future__ import annotations

import errno
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from harness.errors import LabError, ProtocolError
from harness.wire import ip
from harness.wire.arp import BROADCAST, ETH_P_ARP, ETH_P_IP, Arp, build, parse
from harness.wire.packet import ESP, Packet

UDP_PORTS = (500, 4500, 1701)
BUFFER = 32 << 20  # bytes a socket may hold; what the kernel grants is less where this is not root's namespace
DRAIN = 256  # datagrams taken from one socket before the others have their turn
SO_RXQ_OVFL = 40
IP_MTU_DISCOVER, IP_PMTUDISC_DONT, IP_PMTUDISC_PROBE = 10, 0, 3  # linux/in.h; the last one marks, whatever the path's MTU
SO_RCVBUFFORCE, SO_SNDBUFFORCE = 33, 32
_ROOM = socket.CMSG_SPACE(4)

WAITING = 64
"""Packets kept for an end host whose hardware address is not known yet."""


def grow(one: socket.socket) -> None:
    for forced, asked in ((SO_RCVBUFFORCE, socket.SO_RCVBUF), (SO_SNDBUFFORCE, socket.SO_SNDBUF)):
        try:
            one.setsockopt(socket.SOL_SOCKET, forced, BUFFER)
        except PermissionError:  # inside a user namespace: the system's limit then holds
            one.setsockopt(socket.SOL_SOCKET, asked, BUFFER)


class Wire:
    """Towards the peers, from and to `address` and its UDP `ports`. Don't Fragment is as each packet says with `marks_df`, else as
    the kernel has it. `counters`: "received", "sent", "unsent" (refused by the kernel), "overflowed" (lost in the kernel because
    this process was too slow), "malformed"."""

    def __init__(self, address: str, ports: tuple[int, ...] = UDP_PORTS, *, marks_df: bool = False) -> None:
        self.address = address
        self._marked: dict[int, bool] | None = {} if marks_df else None  # by port, how its socket marks now
        self.counters: Counter[str] = Counter()
        self._overflow: dict[int, int] = {}
        self._sockets: dict[int, socket.socket] = {}
        try:
            for port in ports:
                self._sockets[port] = self._open(socket.SOCK_DGRAM, 0, port)
            self._sockets[0] = self._open(socket.SOCK_RAW, ESP, 0)
        except OSError as error:
            self.close()
            raise LabError("open the gateway's sockets", error.strerror or str(error)) from error

    def _open(self, kind: int, protocol: int, port: int) -> socket.socket:
        one = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK, protocol)
        grow(one)
        one.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
        one.bind((self.address, port))
        return one

    def filenos(self) -> dict[int, int]:
        """Descriptor → port; protocol 50 has 0."""
        return {one.fileno(): port for port, one in self._sockets.items()}

    def read(self, port: int) -> Iterator[Packet]:
        one = self._sockets[port]
        for _ in range(DRAIN):
            try:
                data, ancillary, _, (source, sport) = one.recvmsg(0xFFFF, _ROOM)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error of some peer's, told to whoever reads next
                self.counters["errors"] += 1
                continue
            self._note(port, ancillary)
            self.counters["received"] += 1
            if port:
                yield Packet(source, self.address, ip.UDP, data, sport, port)
                continue
            try:
                parsed = ip.parse_ipv4(data)
            except ProtocolError:
                self.counters["malformed"] += 1
            else:
                yield Packet(parsed.source, self.address, ESP, parsed.payload)

    def _note(self, port: int, ancillary: list[tuple[int, int, bytes]]) -> None:
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, SO_RXQ_OVFL):
                count = int.from_bytes(data, sys.byteorder)
                self.counters["overflowed"] += (count - self._overflow.get(port, 0)) & 0xFFFFFFFF
                self._overflow[port] = count

    def send(self, packet: Packet) -> None:
        port = packet.sport if packet.protocol == ip.UDP else 0
        one = self._sockets.get(port)
        if one is None:
            self.counters["unsent"] += 1
            self.counters[f"unsent: from port {packet.sport}"] += 1
            return
        if self._marked is not None and self._marked.get(port) is not packet.df:
            one.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE if packet.df else IP_PMTUDISC_DONT)
            self._marked[port] = packet.df
        try:
            one.sendto(packet.payload, (packet.dst, packet.dport))
        except OSError as error:
            self.counters["unsent"] += 1
            self.counters[f"unsent: {errno.errorcode.get(error.errno or 0, str(error))}"] += 1
        else:
            self.counters["sent"] += 1

    def close(self) -> None:
        for one in self._sockets.values():
            one.close()


class Lan:
    """The link to the end host, whole IP packets. The kernel has no address there: ARP for `address` is asked and answered here."""

    def __init__(self, interface: str, address: str, end_host: str) -> None:
        self.counters: Counter[str] = Counter()
        self._interface = interface
        self._address = ip.packed(address)
        self._end_host = ip.packed(end_host)
        self._hardware: bytes | None = None
        self._waiting: list[bytes] = []
        self.incoming = self._open(ETH_P_IP)
        self.arp = self._open(ETH_P_ARP)
        self._own = self.arp.getsockname()[4]

    def _open(self, protocol: int) -> socket.socket:
        # With protocol 0 it receives nothing before it is bound: nothing of another interface either.
        one = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, 0)
        grow(one)
        try:
            one.bind((self._interface, protocol))
        except OSError as error:
            one.close()
            raise LabError(f"open interface {self._interface}", error.strerror or str(error)) from error
        return one

    def read(self) -> Iterator[bytes]:
        for _ in range(DRAIN):
            try:
                packet, (_, _, kind, _, hardware) = self.incoming.recvfrom(0xFFFF)
            except BlockingIOError:
                return
            if kind != socket.PACKET_HOST:
                continue
            self._learn(hardware)
            self.counters["received"] += 1
            yield packet

    def read_arp(self) -> None:
        for _ in range(DRAIN):
            try:
                message = self.arp.recv(0xFFFF)
            except BlockingIOError:
                return
            try:
                heard = parse(message)
            except ProtocolError:
                continue
            if heard.sender == self._end_host:
                self._learn(heard.hardware)
            if heard.request and heard.target == self._address:
                self._say(Arp(False, self._own, self._address, heard.sender, heard.hardware), heard.hardware)

    def send(self, packet: bytes) -> None:
        """For the end host, whatever its destination: there is nobody else."""
        if self._hardware is None:
            if len(self._waiting) < WAITING:
                self._waiting.append(packet)
            else:
                self.counters["unsent"] += 1
            self._say(Arp(True, self._own, self._address, self._end_host), BROADCAST)
            return
        try:
            self.incoming.sendto(packet, (self._interface, ETH_P_IP, 0, 0, self._hardware))
        except OSError:
            self.counters["unsent"] += 1
        else:
            self.counters["sent"] += 1

    def _learn(self, hardware: bytes) -> None:
        self._hardware = hardware
        waiting, self._waiting = self._waiting, []
        for packet in waiting:
            self.send(packet)

    def _say(self, message: Arp, to: bytes) -> None:
        with suppress(OSError):  # asked again with the next packet
            self.arp.sendto(build(message), (self._interface, ETH_P_ARP, 0, 0, to))

    def close(self) -> None:
        self.incoming.close()
        self.arp.close()


class Ethernet:
    """Whole frames of these ethertypes on an interface, byte for byte: those for its own hardware `address` or for everybody. It
    answers nothing by itself. LabError where there is no such interface, or no right to it."""

    def __init__(self, interface: str, kinds: tuple[int, ...]) -> None:
        self.counters: Counter[str] = Counter()
        self._sockets: list[socket.socket] = []
        try:
            for kind in kinds:
                self._sockets.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0))
                grow(self._sockets[-1])
                self._sockets[-1].bind((interface, kind))
        except OSError as error:
            self.close()
            raise LabError(f"open interface {interface}", error.strerror or str(error)) from error
        self.address: bytes = self._sockets[0].getsockname()[4]

    def filenos(self) -> tuple[int, ...]:
        return tuple(one.fileno() for one in self._sockets)

    def read(self) -> Iterator[bytes]:
        for one in self._sockets:
            for _ in range(DRAIN):
                try:
                    frame, (_, _, kind, _, _) = one.recvfrom(0xFFFF)
                except BlockingIOError:
                    break
                except OSError:  # the link went down: told once
                    self.counters["errors"] += 1
                    break
                if kind in (socket.PACKET_HOST, socket.PACKET_BROADCAST):
                    self.counters["received"] += 1
                    yield frame

    def send(self, frame: bytes) -> None:
        try:
            self._sockets[0].send(frame)
        except OSError:
            self.counters["unsent"] += 1
        else:
            self.counters["sent"] += 1

    def close(self) -> None:
        for one in self._sockets:
            one.close()
