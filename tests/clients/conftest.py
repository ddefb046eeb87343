"""A stack that follows a script and a peer on loopback, so that the fleet is tried without any protocol above UDP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.clients.clock import RunClock
from harness.clients.fleet import Fleet
from harness.clients.journal import Journal
from harness.clients.transport import Transport, open_ports
from harness.model import ClientPlan, Secret
from harness.wire import events as wire
from harness.wire.config import Entropy, StackConfig

GATEWAY = "127.0.0.77"
NONCE = bytes(range(8))


def plan(number: int, **changes: Any) -> ClientPlan:
    address = f"127.1.{number >> 8}.{number & 255}"
    values: dict[str, Any] = {"address": address, "gateway": GATEWAY, "user": f"user{number}", "personality": "linux"} | changes
    return ClientPlan(number=number, psk=Secret("sharedsecret"), password=Secret(f"pw{number}"), **values)


@dataclass
class Scripted:
    """Does with each call what a test tells it to; by default says hello and is up as soon as anything answers."""

    config: StackConfig
    ports: tuple[int, ...]
    peer_port: int
    on_receive: Callable[[Scripted, float, bytes], None] | None = None
    on_tick: Callable[[Scripted, float], None] | None = None
    deadline: float | None = None
    datagrams: list[wire.Datagram] = field(default_factory=list)
    events: list[wire.Event] = field(default_factory=list)
    heard: list[tuple[int, bytes]] = field(default_factory=list)
    sent_ip: list[bytes] = field(default_factory=list)
    called: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        assert self.config.ike is not None
        return self.config.ike.address

    def say(self, payload: bytes, port: int = 0) -> None:
        self.datagrams.append(wire.Datagram(self.ports[port], self.peer_port, payload))

    def start(self, now: float) -> None:
        self.say(b"hello " + self.address.encode())

    def receive(self, now: float, local_port: int, payload: bytes, protocol: int = 17) -> None:
        self.heard.append((local_port, payload))
        if self.on_receive is not None:
            self.on_receive(self, now, payload)
        else:
            self.events.append(wire.PppUp("172.16.1.10", "172.16.1.1", ()))

    def tick(self, now: float) -> None:
        self.called.append("tick")
        if self.on_tick is not None:
            self.on_tick(self, now)
        else:
            self.deadline = None

    def take_datagrams(self) -> list[wire.Datagram]:
        taken, self.datagrams = self.datagrams, []
        return taken

    def take_events(self) -> list[wire.Event]:
        taken, self.events = self.events, []
        return taken

    def send_ip(self, now: float, packet: bytes) -> bool:
        self.sent_ip.append(packet)
        return True

    def close(self, now: float) -> None:
        self.called.append("close")
        self.events.append(wire.TunnelDown(False, 1, "hung up"))

    def delete_ipsec(self, now: float) -> None:
        self.called.append("delete_ipsec")

    def rekey_ipsec(self, now: float) -> None:
        self.called.append("rekey_ipsec")

    def rekey_ike(self, now: float) -> None:
        self.called.append("rekey_ike")

    def vanish(self) -> None:
        self.called.append("vanish")
        self.deadline = None


class Peer(asyncio.DatagramProtocol):
    """Answers each datagram as its test says: by default with the payload it got."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int, bytes]] = []
        self.reply: Callable[[bytes], bytes | None] = lambda payload: payload
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)  # asyncio's own class does not derive from it
        one = transport.get_extra_info("socket")
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard.append((addr[0], addr[1], data))
        answer = self.reply(data)
        if answer is not None and self.transport is not None:
            self.transport.sendto(answer, addr)

    @property
    def port(self) -> int:
        assert self.transport is not None
        return int(self.transport.get_extra_info("sockname")[1])


@dataclass
class Bench:
    """Two shared sockets on loopback, a scripted peer, and a fleet whose clients run scripted stacks."""

    folder: Path
    clock: RunClock
    journal: Journal
    sockets: dict[int, socket.socket]
    peer: Peer = field(default_factory=Peer)
    stacks: dict[str, Scripted] = field(default_factory=dict)
    shape: Callable[[Scripted], None] = lambda stack: None

    gateway = GATEWAY
    plan = staticmethod(plan)

    @property
    def ports(self) -> tuple[int, ...]:
        return tuple(self.sockets)

    def build(self, config: StackConfig, entropy: Entropy) -> Scripted:
        stack = Scripted(config, self.ports, self.peer.port)
        self.shape(stack)
        self.stacks[stack.address] = stack
        return stack

    async def fleet(self, **options: float) -> Fleet:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self.peer, local_addr=(GATEWAY, 0))
        return Fleet(carriers=[Transport(self.sockets)], journal=self.journal, nonce=NONCE, build=self.build, **options)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    clock = RunClock.fix()
    with Journal(tmp_path, clock) as journal:
        yield Bench(tmp_path, clock, journal, open_ports((0, 0), address="0.0.0.0"))


@pytest.fixture
def kit() -> SimpleNamespace:
    """What a fleet without a bench is made of."""
    return SimpleNamespace(gateway=GATEWAY, nonce=NONCE, plan=plan, stack=Scripted)
