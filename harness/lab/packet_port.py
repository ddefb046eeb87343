"""One Ethernet interface, below the kernel's IP: packets addressed to it come out, packets put in leave it byte for byte.

A raw IP socket would fill in an identification of its own where there is 0; on a packet socket nothing is changed. Its price is
that neighbours have to be resolved here (RFC 826). The kernel goes on answering ARP for the interface's addresses.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import LabError

# Linux numbers that Python 3.11's socket module does not name (linux/if_packet.h, linux/if_ether.h, asm-generic/socket.h).
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_RCVBUFFORCE, SO_SNDBUFFORCE = 33, 32
ETH_P_IP, ETH_P_ARP = 0x0800, 0x0806

BUFFER = 16 << 20  # bytes asked for in each direction
BATCH = 64  # packets read at one waking, so that the other side and the timers get their turn
BROADCAST = b"\xff" * 6
ARP_TRIES, ARP_WAIT_S = 3, 1.0
DESTINATIONS = 1 << 16  # remembered at once
WAITING = 4096  # packets that wait for one neighbour: a storm's burst, where this process is woken late

_ARP = struct.Struct("!HHBBH6s4s6s4s")
_REQUEST, _REPLY = 1, 2


@dataclass(frozen=True, slots=True)
class Route:
    """Network and mask as numbers; `gateway` is the packed next hop, None where the network is on the link."""

    network: int
    mask: int
    gateway: bytes | None


@dataclass(slots=True)
class Counters:
    """Packets. `overflowed`: dropped by the kernel from a full receive queue; `unsent`: refused by the kernel, or too many waited
    for their neighbour; `unresolved`: their neighbour did not answer, or they have no route; `passed_by`: not addressed to this
    interface."""

    received: int = 0
    sent: int = 0
    overflowed: int = 0
    unsent: int = 0
    unresolved: int = 0
    passed_by: int = 0

    @property
    def lost(self) -> int:
        """What this machine has lost. That a neighbour does not answer is no fault of it."""
        return self.overflowed + self.unsent


@dataclass(slots=True)
class _Asked:
    """A neighbour who has been asked for and has not answered yet."""

    again: float
    tries: int = 1
    packets: list[bytes] = field(default_factory=list)


class PacketPort:
    """Interface `name` of this process's network namespace, where it has the address `address`. Needs CAP_NET_RAW."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.counters = Counters()
        self.incoming = packet_socket(socket.SOCK_DGRAM, name, ETH_P_IP)
        self.arp = packet_socket(socket.SOCK_RAW, name, ETH_P_ARP)
        self._outgoing = packet_socket(socket.SOCK_RAW, name, 0)  # protocol 0: it receives nothing
        self.hardware: bytes = self._outgoing.getsockname()[4]
        self._buffer = bytearray(1 << 16)
        self._view = memoryview(self._buffer)
        self._headers: dict[bytes, bytes] = {}  # destination → Ethernet header
        self._neighbours: dict[bytes, bytes] = {}  # next hop → hardware address
        self._asked: dict[bytes, _Asked] = {}
        self.configure(address)

    def configure(self, address: str) -> None:
        """Takes note of the interface's address and of the routes over it, as they are now; neighbours are asked for again."""
        self._address = socket.inet_aton(address)
        self._routes = routes(Path("/proc/net/route").read_text(encoding="ascii"), self.name)
        self.flush()

    def flush(self) -> None:
        """Forgets who has which hardware address. What waits for an answer goes on waiting."""
        self._headers.clear()
        self._neighbours.clear()

    # --- in ---

    def read(self) -> Iterator[bytes]:
        """Up to BATCH packets that were sent to this interface's hardware address."""
        incoming, buffer, view, counters = self.incoming, self._buffer, self._view, self.counters
        for _ in range(BATCH):
            try:
                length, sender = incoming.recvfrom_into(buffer)
            except BlockingIOError:
                return
            counters.received += 1
            if sender[2] != socket.PACKET_HOST:
                counters.passed_by += 1
                continue
            yield bytes(view[:length])

    def count_drops(self) -> None:
        """Asks the kernel what it has dropped from the receive queue since the last time (packet(7), PACKET_STATISTICS)."""
        _, dropped = struct.unpack("=II", self.incoming.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        self.counters.overflowed += dropped

    def read_arp(self) -> None:
        """Learns from ARP who has been asked for, or is known."""
        for _ in range(BATCH):
            try:
                frame = self.arp.recv(256)
            except BlockingIOError:
                return
            if len(frame) < 14 + _ARP.size:
                continue
            kind, protocol, _, _, _, hardware, address, _, _ = _ARP.unpack_from(frame, 14)
            if (kind, protocol) != (1, ETH_P_IP) or hardware == self.hardware:
                continue
            if address in self._asked:
                self._neighbours[address] = hardware
                for packet in self._asked.pop(address).packets:
                    self._leave(self._header(packet[16:20], hardware), packet)
            elif self._neighbours.get(address, hardware) != hardware:
                self._neighbours[address] = hardware
                self._headers.clear()

    # --- out ---

    def send(self, now: float, packet: bytes) -> None:
        header = self._headers.get(packet[16:20])
        if header is None:
            self._resolve(now, packet)
        else:
            self._leave(header, packet)

    def _leave(self, header: bytes, packet: bytes) -> None:
        try:
            self._outgoing.send(header + packet)
        except OSError:  # no room (ENOBUFS, EAGAIN), too long for the link (EMSGSIZE), the link is down: each is told as a loss
            self.counters.unsent += 1
        else:
            self.counters.sent += 1

    def _resolve(self, now: float, packet: bytes) -> None:
        destination = packet[16:20]
        hop = next_hop(self._routes, destination)
        if hop is None:
            self.counters.unresolved += 1
            return
        hardware = self._neighbours.get(hop)
        if hardware is not None:
            self._leave(self._header(destination, hardware), packet)
            return
        asked = self._asked.get(hop)
        if asked is None:
            asked = self._asked[hop] = _Asked(now + ARP_WAIT_S)
            self._ask(hop)
        if len(asked.packets) < WAITING:
            asked.packets.append(packet)
        else:
            self.counters.unsent += 1

    def _header(self, destination: bytes, hardware: bytes) -> bytes:
        header = hardware + self.hardware + ETH_P_IP.to_bytes(2)
        if len(self._headers) >= DESTINATIONS:
            self._headers.clear()
        self._headers[destination] = header
        return header

    def _ask(self, hop: bytes) -> None:
        request = _ARP.pack(1, ETH_P_IP, 6, 4, _REQUEST, self.hardware, self._address, bytes(6), hop)
        with suppress(OSError):  # asked again in a second; what waits is counted if that fails, too
            self._outgoing.send(BROADCAST + self.hardware + ETH_P_ARP.to_bytes(2) + request)

    # --- time ---

    @property
    def deadline(self) -> float | None:
        return min((asked.again for asked in self._asked.values()), default=None)

    def tick(self, now: float) -> None:
        """Asks again for those who have not answered, and gives up after ARP_TRIES."""
        for hop, asked in list(self._asked.items()):
            if asked.again > now:
                continue
            if asked.tries == ARP_TRIES:
                self.counters.unresolved += len(asked.packets)
                del self._asked[hop]
            else:
                asked.tries += 1
                asked.again = now + ARP_WAIT_S
                self._ask(hop)


def packet_socket(kind: int, interface: str, protocol: int) -> socket.socket:
    """What of that protocol passes an interface of the namespace that the caller is in; it never blocks. LabError."""
    # Made with protocol 0 it receives nothing before it is bound: nothing of another interface either.
    one = socket.socket(socket.AF_PACKET, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0)
    for forced, asked in ((SO_RCVBUFFORCE, socket.SO_RCVBUF), (SO_SNDBUFFORCE, socket.SO_SNDBUF)):
        try:
            one.setsockopt(socket.SOL_SOCKET, forced, BUFFER)
        except PermissionError:  # inside a user namespace: the system's limit then holds
            one.setsockopt(socket.SOL_SOCKET, asked, BUFFER)
    try:
        one.bind((interface, protocol))
    except OSError as error:
        one.close()
        raise LabError(f"open interface {interface}", error.strerror or str(error)) from error
    return one


def routes(table: str, interface: str) -> tuple[Route, ...]:
    """The routes over `interface` out of /proc/net/route, the most special first."""
    found = []
    for line in table.splitlines()[1:]:
        name, network, gateway, flags, _, _, _, mask, *_ = line.split()
        if name == interface and int(flags, 16) & 1:  # RTF_UP
            hop = _kernel(gateway)
            found.append(Route(int.from_bytes(_kernel(network)), int.from_bytes(_kernel(mask)), hop if any(hop) else None))
    return tuple(sorted(found, key=lambda route: -route.mask))


def _kernel(digits: str) -> bytes:
    """An address as the kernel prints it: the number that its bytes make on this machine."""
    return int(digits, 16).to_bytes(4, sys.byteorder)


def next_hop(known: tuple[Route, ...], destination: bytes) -> bytes | None:
    number = int.from_bytes(destination)
    for route in known:
        if number & route.mask == route.network:
            return destination if route.gateway is None else route.gateway
    return None
