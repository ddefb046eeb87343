"""Shared UDP sockets: one for each port, any number of client addresses behind it.

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
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

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


@dataclass(frozen=True, slots=True)
class Arrival:
    """A datagram that came in. `to` is the packed IPv4 address it was sent to, `waited` the seconds it lay in the socket."""

    port: int
    source: str
    sport: int
    to: bytes
    payload: bytes
    waited: float


class Owner(Protocol):
    """Who is told of what happens on the sockets."""

    def arrived(self, arrival: Arrival) -> None: ...

    def lost(self, reason: str, count: int) -> None:
        """`count` datagrams were lost on this machine, on their way in or out."""

    def delayed(self, what: str, seconds: float) -> None:
        """A datagram waited that long on this machine before it was handled or sent."""


@dataclass(slots=True)
class Counters:
    """Datagrams, by what became of them."""

    received: int = 0
    sent: int = 0
    overflowed: int = 0  # dropped by the kernel from a full receive queue
    unsent: int = 0  # refused by the kernel for good
    queued: int = 0  # sent, but not at once


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
                one.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
                one.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
                one.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
                for forced, asked in ((SO_RCVBUFFORCE, socket.SO_RCVBUF), (SO_SNDBUFFORCE, socket.SO_SNDBUF)):
                    try:
                        one.setsockopt(socket.SOL_SOCKET, forced, BUFFER)
                    except PermissionError:  # inside a user namespace: the system's limit then holds
                        one.setsockopt(socket.SOL_SOCKET, asked, BUFFER)
                one.bind((address, port))
    except OSError:
        for one in sockets.values():
            one.close()
        raise
    return {one.getsockname()[1]: one for one in sockets.values()}


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
    number: int
    socket: socket.socket
    overflow: int = 0  # the kernel's running count, as last seen
    backlog: deque[_Waiting] = field(default_factory=deque)


class Transport:
    """The sockets on one event loop. `now` is the clock for waiting times, `realtime` that of the kernel's stamps (seconds)."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sockets: dict[int, socket.socket],
        owner: Owner,
        now: Callable[[], float],
        realtime: Callable[[], float],
    ) -> None:
        self.counters = Counters()
        self._loop = loop
        self._owner = owner
        self._now = now
        self._realtime = realtime
        self._ports = {number: _Port(number, one) for number, one in sockets.items()}
        self._buffer = bytearray(1 << 16)
        self._view = memoryview(self._buffer)
        self._closed = False
        for port in self._ports.values():
            loop.add_reader(port.socket, self._readable, port)

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
            self._loop.remove_reader(port.socket)
            self._loop.remove_writer(port.socket)
            if port.backlog:
                self._owner.lost(f"port {port.number}: still waiting to be sent when the sockets were closed", len(port.backlog))
            port.socket.close()

    def send(self, sport: int, ancillary: list[tuple[int, int, bytes]], to: tuple[str, int], payload: bytes) -> None:
        """Sends, at once or as soon as the socket takes it. Raises KeyError where no socket has that source port."""
        port = self._ports[sport]
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
            self._owner.lost(f"port {port.number}: not sent to {to[0]}: {os.strerror(error.errno or 0)}", 1)
            return 0
        self.counters.sent += 1
        return 0

    def _queue(self, port: _Port, waiting: _Waiting) -> None:
        if len(port.backlog) >= BACKLOG:
            self.counters.unsent += 1
            self._owner.lost(f"port {port.number}: {BACKLOG} datagrams already wait for the socket", 1)
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
                owner.lost(f"port {port.number}: nothing could be read: {error.strerror}", 1)
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
            owner.arrived(Arrival(port.number, source, sport, to, bytes(view[:length]), waited))

    def _overflowed(self, port: _Port, count: int) -> None:
        """The kernel counts in 32 bits since the socket was opened, and tells with the next datagram it delivers."""
        new = (count - port.overflow) & 0xFFFFFFFF
        if new:
            port.overflow = count
            self.counters.overflowed += new
            self._owner.lost(f"port {port.number}: dropped by the kernel from a full receive queue", new)
