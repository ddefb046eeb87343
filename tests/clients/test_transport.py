"""The shared sockets: what the kernel refuses, drops or delays is told, in order and once."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "lab"))
from enclosed import enclosed

from harness.clients import transport
from harness.clients.carrier import Arrival
from harness.clients.clock import RunClock
from harness.clients.transport import Transport, open_ports, open_raw
from harness.wire.events import Datagram

ONE = socket.inet_aton("127.3.0.1")


class Owner:
    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.losses: list[tuple[str, int]] = []
        self.delays: list[str] = []
        self.something = asyncio.Event()

    def arrived(self, arrival: Arrival) -> None:
        self.arrivals.append(arrival)
        self.something.set()

    def lost(self, reason: str, count: int) -> None:
        self.losses.append((reason, count))
        self.something.set()

    def delayed(self, what: str, seconds: float) -> None:
        self.delays.append(what)
        self.something.set()


class Grudging:
    """A socket that refuses what it is told to, and counts on a real one for the rest."""

    def __init__(self, one: socket.socket, errors: list[int]) -> None:
        self.one = one
        self.errors = errors

    def sendmsg(self, *arguments: Any) -> int:
        if self.errors:
            raise OSError(self.errors.pop(0), "refused")
        return self.one.sendmsg(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.one, name)


def to(port: int, peer: socket.socket, payload: bytes) -> tuple[str, Datagram]:
    address, number = peer.getsockname()
    return address, Datagram(port, number, payload)


def play(scenario: Callable[[Transport, Owner, int, socket.socket], Any], errors: list[int]) -> Owner:
    """A transport on one grudging socket, and a plain socket to send to."""

    async def run() -> Owner:
        loop, owner = asyncio.get_running_loop(), Owner()
        sockets = open_ports((0,))
        (port,) = sockets
        sockets[port] = Grudging(sockets[port], errors)  # type: ignore[assignment]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.3.0.2", 0))
            peer.settimeout(5)
            moved = Transport(sockets)
            moved.open(owner, RunClock(0.0, loop.time, loop.time))
            await scenario(moved, owner, port, peer)
            moved.close()
            moved.close()
        return owner

    return asyncio.run(run())


@pytest.mark.parametrize("refusal", [errno.EAGAIN, errno.ENOBUFS])
def test_a_full_socket_keeps_datagrams_in_order(refusal: int) -> None:
    heard: list[bytes] = []

    async def scenario(moved: Transport, owner: Owner, port: int, peer: socket.socket) -> None:
        for payload in (b"1", b"2", b"3"):
            moved.send(ONE, *to(port, peer, payload))
        assert moved.unsent == 3
        while moved.unsent:
            owner.something.clear()
            await asyncio.wait_for(owner.something.wait(), 5)
        moved.send(ONE, *to(port, peer, b"4"))
        heard.extend(peer.recv(10) for _ in range(4))

    owner = play(scenario, [refusal, refusal])
    assert heard == [b"1", b"2", b"3", b"4"]
    assert owner.losses == []
    assert len(owner.delays) == 3


def test_what_is_refused_for_good_or_never_sent_is_told() -> None:
    async def scenario(moved: Transport, owner: Owner, port: int, peer: socket.socket) -> None:
        moved.send(ONE, *to(port, peer, b"1"))
        assert moved.counters.unsent == 1
        moved.send(ONE, *to(port, peer, b"2"))
        moved.send(ONE, *to(port, peer, b"3"))

    (refused, left) = play(scenario, [errno.EPERM, errno.EAGAIN]).losses
    assert refused[0].endswith("not sent to 127.3.0.2: Operation not permitted")
    assert left[0].endswith("still waiting to be sent when the sockets were closed")
    assert left[1] == 2


def test_a_backlog_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "BACKLOG", 2)

    async def scenario(moved: Transport, owner: Owner, port: int, peer: socket.socket) -> None:
        for payload in (b"1", b"2", b"3"):
            moved.send(ONE, *to(port, peer, payload))
        assert moved.unsent == 2
        assert "already wait" in owner.losses[0][0]

    play(scenario, [errno.EAGAIN])


def test_what_the_kernel_drops_from_a_full_queue_is_counted() -> None:
    """The queue is made tiny and overfilled before anybody reads."""

    async def scenario(moved: Transport, owner: Owner, port: int, peer: socket.socket) -> None:
        moved._ports[17, port].socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(100):
            peer.sendto(bytes(1000), ("127.3.0.1", port))
        # The count comes with the next datagram that finds room.
        await asyncio.wait_for(owner.something.wait(), 5)
        peer.sendto(b"last", ("127.3.0.1", port))
        while not owner.losses:
            owner.something.clear()
            await asyncio.wait_for(owner.something.wait(), 5)
        received = len(owner.arrivals)
        while owner.arrivals[-1].payload != b"last":
            owner.something.clear()
            await asyncio.wait_for(owner.something.wait(), 5)
        assert received
        assert sum(count for _, count in owner.losses) == 101 - len(owner.arrivals)
        assert moved.counters.overflowed == 101 - len(owner.arrivals)

    owner = play(scenario, [])
    assert "dropped by the kernel" in owner.losses[0][0]


def test_an_arrival_tells_all_that_is_known_of_it() -> None:
    async def scenario(moved: Transport, owner: Owner, port: int, peer: socket.socket) -> None:
        peer.sendto(b"hi", ("127.3.4.5", port))
        await asyncio.wait_for(owner.something.wait(), 5)
        arrival = owner.arrivals[0]
        assert (arrival.port, arrival.source, arrival.sport) == (port, "127.3.0.2", peer.getsockname()[1])
        assert (socket.inet_ntoa(arrival.to), arrival.payload) == ("127.3.4.5", b"hi")

    play(scenario, [])


@enclosed
def test_protocol_50_goes_by_a_raw_socket() -> None:
    """Both ways without the IP header, from and to any of the addresses that are local."""

    async def scenario() -> tuple[Owner, bytes, str]:
        loop, owner = asyncio.get_running_loop(), Owner()
        moved = Transport(open_ports((0,)), open_raw())
        moved.open(owner, RunClock(0.0, loop.time, loop.time))
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, 50) as peer:
            peer.bind(("127.3.0.2", 0))
            peer.settimeout(5)
            peer.sendto(b"\0\0\x10\0 up", ("127.3.0.1", 0))
            await asyncio.wait_for(owner.something.wait(), 5)
            moved.send(ONE, "127.3.0.2", Datagram(0, 0, b"\0\0\x10\1 down", 50))
            packet, (source, _) = peer.recvfrom(100)
        moved.close()
        return owner, packet[20:], source

    owner, payload, source = asyncio.run(scenario())
    (arrival,) = owner.arrivals
    assert (arrival.protocol, arrival.port, arrival.sport, arrival.source) == (50, 0, 0, "127.3.0.2")
    assert (arrival.to, arrival.payload) == (ONE, b"\0\0\x10\0 up")
    assert (payload, source) == (b"\0\0\x10\1 down", "127.3.0.1")
    assert not owner.losses
