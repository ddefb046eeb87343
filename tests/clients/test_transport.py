"""The shared sockets: what the kernel refuses, drops or delays is told, in order and once."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

import pytest

from harness.clients import transport
from harness.clients.transport import Arrival, Transport, open_ports, source_address

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
            moved = Transport(loop, sockets, owner, loop.time, loop.time)
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
            moved.send(port, source_address(ONE), peer.getsockname(), payload)
        assert moved.unsent == 3
        while moved.unsent:
            owner.something.clear()
            await asyncio.wait_for(owner.something.wait(), 5)
        moved.send(port, source_address(ONE), peer.getsockname(), b"4")
        heard.extend(peer.recv(10) for _ in range(4))

    owner = play(scenario, [refusal, refusal])
    assert heard == [b"1", b"2", b"3", b"4"]
    assert owner.losses == []
    assert len(owner.delays) == 3


def test_what_is_refused_for_good_or_never_sent_is_told() -> None:
    async def scenario(moved: Transport, owner: Owner, port: int, peer: socket.socket) -> None:
        moved.send(port, source_address(ONE), peer.getsockname(), b"1")
        assert moved.counters.unsent == 1
        moved.send(port, source_address(ONE), peer.getsockname(), b"2")
        moved.send(port, source_address(ONE), peer.getsockname(), b"3")

    (refused, left) = play(scenario, [errno.EPERM, errno.EAGAIN]).losses
    assert refused[0].endswith("not sent to 127.3.0.2: Operation not permitted")
    assert left[0].endswith("still waiting to be sent when the sockets were closed")
    assert left[1] == 2


def test_a_backlog_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "BACKLOG", 2)

    async def scenario(moved: Transport, owner: Owner, port: int, peer: socket.socket) -> None:
        for payload in (b"1", b"2", b"3"):
            moved.send(port, source_address(ONE), peer.getsockname(), payload)
        assert moved.unsent == 2
        assert "already wait" in owner.losses[0][0]

    play(scenario, [errno.EAGAIN])


def test_what_the_kernel_drops_from_a_full_queue_is_counted() -> None:
    """The queue is made tiny and overfilled before anybody reads."""

    async def scenario(moved: Transport, owner: Owner, port: int, peer: socket.socket) -> None:
        moved._ports[port].socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
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
