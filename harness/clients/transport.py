"""Shared sockets: one for each UDP port and one for each other protocol, any number of client addresses behind it.

The address a client sends from travels with each datagram (IP_PKTINFO), and so does the address a datagram was sent to, so that
two sockets on 0.0.0.0:500 and 0.0.0.0:4500 serve a whole prefix that a route has made local to the namespace. A socket stays in
the namespace in which it was opened, whoever uses it later.

Nothing is lost unseen: what the kernel dropped from a receive queue (SO_RXQ_OVFL), what could not be sent and what waited too
long is told to the owner, who must then not blame the device.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from harness.clients.carrier import Arrival, Counters, Owner
from harness.clients.clock import RunClock
from harness.wire.events import Datagram
from harness.wire.ip import UDP
from harness.wire.packet import ESP

IKE_PORT, NATT_PORT = 500, 4500

# Linux numbers that Python 3.11's socket module does not name (asm-generic/socket.h, linux/in.h).
IP_PKTINFO = 8
SO_RCVBUFFORCE, SO_SNDBUFFORCE = 33, 32
SO_TIMESTAMPNS = 35
SO_RXQ_OVFL = 40

BUFFER = 8 << 20  # bytes asked for in each direction: seconds of a storm's traffic
DRAIN = 128  # datagrams read at one waking, so that timers get their turn in a flood
BACKLOG = 20_000  # datagrams that wait for a full socket, per port
RETRY_S = 0.005  # after ENOBUFS, of whose end the kernel gives no sign

_PKTINFO = struct.Struct("=i4s4s")
_TIMESPEC = struct.Struct("@ll")
_ROOM = sum(socket.CMSG_SPACE(size) for size in (_PKTINFO.size, _TIMESPEC.size, 4))


def open_ports(
    ports: Iterable[int] = (IKE_PORT, NATT_PORT),
    enter: Callable[[], AbstractContextManager[object]] = nullcontext,
    address: str = "0.0.0.0",
) -> dict[int, socket.socket]:
    """Opens the shared sockets, each in the namespace that `enter()` enters. `address` is what they are bound to.

    A port of 0 is given a number by the kernel; the result's keys are the numbers bound. Raises OSError where a port is taken or
    needs a right that is missing.
    """
    sockets: dict[int, socket.socket] = {}
    try:
        with enter():
            for port in ports:
                one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
                sockets[-len(sockets) - 1] = one  # found by the clean-up below until it has its number
                _prepare(one)
                one.bind((address, port))
    except OSError:
        for one in sockets.values():
            one.close()
        raise
    return {one.getsockname()[1]: one for one in sockets.values()}


def open_raw(
    protocols: Iterable[int] = (ESP,), enter: Callable[[], AbstractContextManager[object]] = nullcontext
) -> dict[int, socket.socket]:
    """Opens a raw socket for each IP protocol, which is the result's key. Raises OSError without the right to (CAP_NET_RAW)."""
    sockets: dict[int, socket.socket] = {}
    try:
        with enter():
            for protocol in protocols:
                one = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
                sockets[protocol] = one
                _prepare(one)
    except OSError:
        for one in sockets.values():
            one.close()
        raise
    return sockets


def _prepare(one: socket.socket) -> None:
    """Asks for addresses, time stamps and losses with each datagram, and for room."""
    one.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    one.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
    one.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    for forced, asked in ((SO_RCVBUFFORCE, socket.SO_RCVBUF), (SO_SNDBUFFORCE, socket.SO_SNDBUF)):
        try:
            one.setsockopt(socket.SOL_SOCKET, forced, BUFFER)
        except PermissionError:  # inside a user namespace: the system's limit then holds
            one.setsockopt(socket.SOL_SOCKET, asked, BUFFER)


def source_address(packed: bytes) -> list[tuple[int, int, bytes]]:
    """The ancillary data that makes a datagram leave from this address."""
    return [(socket.IPPROTO_IP, IP_PKTINFO, _PKTINFO.pack(0, packed, bytes(4)))]


@dataclass(slots=True)
class _Waiting:
    since: float
    payload: bytes
    ancillary: list[tuple[int, int, bytes]]
    to: tuple[str, int]


@dataclass(slots=True)
class _Port:
    """One socket: of a UDP port, or (`number` 0) of another protocol."""

    protocol: int
    number: int
    socket: socket.socket
    overflow: int = 0  # the kernel's running count, as last seen
    backlog: deque[_Waiting] = field(default_factory=deque)

    def __str__(self) -> str:
        return f"port {self.number}" if self.protocol == UDP else f"protocol {self.protocol}"


class Transport:
    """A carrier (`carrier.Carrier`). `sockets` are UDP's, by port, `raw` those of other protocols; it closes them."""

    def __init__(
        self, sockets: Mapping[int, socket.socket], raw: Mapping[int, socket.socket] | None = None, site: int = 1
    ) -> None:
        self.counters = Counters()
        self.site = site
        self._ports = {(UDP, number): _Port(UDP, number, one) for number, one in sockets.items()}
        self._ports |= {(protocol, 0): _Port(protocol, 0, one) for protocol, one in (raw or {}).items()}
        self._ancillary: dict[bytes, list[tuple[int, int, bytes]]] = {}
        self._buffer = bytearray(1 << 16)
        self._view = memoryview(self._buffer)
        self._opened = self._closed = False

    def open(self, owner: Owner, clock: RunClock) -> None:
        self._loop = asyncio.get_running_loop()
        self._owner = owner
        self._now = clock.monotonic  # for waiting times
        self._realtime = clock.realtime  # that of the kernel's stamps
        self._opened = True
        for port in self._ports.values():
            self._loop.add_reader(port.socket, self._readable, port)

    @property
    def unsent(self) -> int:
        """Datagrams that still wait for a socket to take them."""
        return sum(len(port.backlog) for port in self._ports.values())

    def close(self) -> None:
        """Stops; the sockets are closed too. What still waited to be sent is reported lost."""
        if self._closed:
            return
        self._closed = True
        for port in self._ports.values():
            if self._opened:
                self._loop.remove_reader(port.socket)
                self._loop.remove_writer(port.socket)
            if port.backlog:
                self._owner.lost(f"{port}: still waiting to be sent when the sockets were closed", len(port.backlog))
            port.socket.close()

    def send(self, source: bytes, to: str, datagram: Datagram) -> None:
        """At once, or as soon as the socket takes it."""
        port = self._ports[datagram.protocol, datagram.sport]
        ancillary = self._ancillary.get(source)
        if ancillary is None:
            ancillary = self._ancillary[source] = source_address(source)
        self._send(port, datagram.payload, ancillary, (to, datagram.dport))

    def _send(self, port: _Port, payload: bytes, ancillary: list[tuple[int, int, bytes]], to: tuple[str, int]) -> None:
        if port.backlog:
            self._queue(port, _Waiting(self._now(), payload, ancillary, to))
            return
        refused = self._try(port, payload, ancillary, to)
        if refused:
            self._queue(port, _Waiting(self._now(), payload, ancillary, to))
            self._await_room(port, refused)

    def _try(self, port: _Port, payload: bytes, ancillary: list[tuple[int, int, bytes]], to: tuple[str, int]) -> int:
        """0 where it was sent or is lost for good; else the error that says to try again."""
        try:
            port.socket.sendmsg((payload,), ancillary, 0, to)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.EINTR):
                return error.errno
            self.counters.unsent += 1
            self._owner.lost(f"{port}: not sent to {to[0]}: {os.strerror(error.errno or 0)}", 1)
            return 0
        self.counters.sent += 1
        return 0

    def _queue(self, port: _Port, waiting: _Waiting) -> None:
        if len(port.backlog) >= BACKLOG:
            self.counters.unsent += 1
            self._owner.lost(f"{port}: {BACKLOG} datagrams already wait for the socket", 1)
            return
        port.backlog.append(waiting)

    def _await_room(self, port: _Port, refused: int) -> None:
        if refused == errno.EAGAIN:
            self._loop.add_writer(port.socket, self._writable, port)
        else:
            self._loop.call_later(RETRY_S, self._writable, port)

    def _writable(self, port: _Port) -> None:
        if self._closed:
            return
        self._loop.remove_writer(port.socket)
        while port.backlog:
            first = port.backlog[0]
            refused = self._try(port, first.payload, first.ancillary, first.to)
            if refused:
                self._await_room(port, refused)
                return
            port.backlog.popleft()
            self.counters.queued += 1
            self._owner.delayed("a datagram was sent late", self._now() - first.since)

    def _readable(self, port: _Port) -> None:
        one, view, owner = port.socket, self._view, self._owner
        for _ in range(DRAIN):
            if self._closed:
                return
            try:
                length, ancillary, _, (source, sport) = one.recvmsg_into((self._buffer,), _ROOM)
            except BlockingIOError:
                return
            except OSError as error:
                owner.lost(f"{port}: nothing could be read: {error.strerror}", 1)
                return
            to, waited = b"", 0.0
            for level, kind, data in ancillary:
                if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
                    to = data[8:12]
                elif level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                    seconds, nanoseconds = _TIMESPEC.unpack(data)
                    waited = self._realtime() - seconds - nanoseconds * 1e-9
                elif level == socket.SOL_SOCKET and kind == SO_RXQ_OVFL:
                    self._overflowed(port, int.from_bytes(data, sys.byteorder))
            self.counters.received += 1
            # Of a raw socket comes the whole IP packet, its header too (raw(7)).
            start = 0 if port.protocol == UDP else (view[0] & 15) * 4
            payload = bytes(view[start:length])
            owner.arrived(Arrival(port.number, source, sport, to, payload, waited, port.protocol, self.site))

    def _overflowed(self, port: _Port, count: int) -> None:
        """The kernel counts in 32 bits since the socket was opened, and tells with the next datagram it delivers."""
        new = (count - port.overflow) & 0xFFFFFFFF
        if new:
            port.overflow = count
            self.counters.overflowed += new
            self._owner.lost(f"{port}: dropped by the kernel from a full receive queue", new)
