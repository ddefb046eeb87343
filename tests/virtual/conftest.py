"""Clients and a virtual gateway in memory, on one clock, with a toy NAT between them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from harness.model import GatewayEvent, Secret
from harness.virtual import settings as virtual
from harness.virtual.gateway import VirtualGateway
from harness.virtual.journal import Tap
from harness.virtual.parts import Parts
from harness.virtual.settings import Settings
from harness.wire import events, ip
from harness.wire.config import EspProposal, IkeConfig, IkeProposal, L2tpConfig, PppConfig, StackConfig
from harness.wire.esp import OutboundSa
from harness.wire.packet import Packet
from harness.wire.stack import ClientStack, State

GATEWAY, OUTSIDE, PPP = "203.0.113.231", "203.0.113.232", "172.16.1.1"
RFC_3947 = bytes.fromhex("4a131c81070358455c5728f20e95452f")
FIRST_OUTSIDE_PORT = 20000


def client_config(number: int, **changes: Any) -> StackConfig:
    """`changes` are of the StackConfig, or, with a prefix (ike_, l2tp_, ppp_), of what is in it."""
    ike = IkeConfig(
        f"10.0.{number >> 8}.{number % 256 + 1}",
        GATEWAY,
        b"sharedsecret",
        (IkeProposal("aes-256", "sha1", "ecp256"),),
        (EspProposal("aes-256", "sha1"),),
        (RFC_3947,),
    )
    config = StackConfig(ike, L2tpConfig(f"win7-{number}", correlation_id=bytes(16)), PppConfig(f"user{number}", f"pw{number}"))
    for name in ("ike", "l2tp", "ppp"):
        inner = {key.removeprefix(f"{name}__"): value for key, value in changes.items() if key.startswith(f"{name}__")}
        if inner:
            config = replace(config, **{name: replace(getattr(config, name), **inner)})
    return replace(config, **{key: value for key, value in changes.items() if "__" not in key})


def gateway_settings(personality: str, **changes: Any) -> Settings:
    users = {f"user{number}": Secret(f"pw{number}") for number in range(1, 60)}
    return Settings(virtual.load(personality), users=users).changed(**changes)


@dataclass
class Client:
    name: str
    stack: ClientStack
    address: str
    told: list[events.Event] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)  # echo answers' payloads
    received: list[Packet] = field(default_factory=list)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]

    @property
    def up(self) -> bool:
        return self.stack.state is State.UP


class World:
    """`nat`: whether clients are behind one address. Time goes from deadline to deadline."""

    def __init__(self, settings: Settings, *, nat: bool = True, parts: Parts | None = None, seed: int = 1) -> None:
        self.now = 1000.0
        self.nat = nat
        self.random = random.Random(seed)
        self.gateway = VirtualGateway(settings, self.random.randbytes, parts)
        self.clients: dict[str, Client] = {}
        self.events: list[GatewayEvent] = []
        self.taps: list[Tap] = []
        self.lan: list[bytes] = []
        self.crossed: list[Packet] = []  # on the gateway's side of the NAT
        self.drop: Callable[[Packet], bool] = lambda packet: False
        self.outside: dict[tuple[str, int], int] = {}
        self.inside: dict[int, tuple[str, int]] = {}

    def dial(self, number: int, *, name: str | None = None, wait: float = 30.0, **changes: Any) -> Client:
        config = client_config(number, **changes)
        address = f"10.0.{number >> 8}.{number % 256 + 1}"
        client = Client(name or f"c{number}", ClientStack(config, random.Random(self.random.random()).randbytes), address)
        self.clients[client.name] = client
        client.stack.start(self.now)
        self.run(wait, until=lambda: client.stack.state in (State.UP, State.ENDED))
        return client

    # The network

    def translated(self, client: Client, sport: int, protocol: int) -> tuple[str, int]:
        if not self.nat:
            return client.address, sport
        assert protocol == ip.UDP
        key = client.address, sport
        if key not in self.outside:
            port = FIRST_OUTSIDE_PORT + len(self.inside)
            self.outside[key], self.inside[port] = port, key
        return OUTSIDE, self.outside[key]

    def forget(self, client: Client) -> None:
        """The NAT loses a client's mappings."""
        for key in [key for key in self.outside if key[0] == client.address]:
            self.inside[self.outside.pop(key)] = ("", 0)

    def settle(self) -> None:
        for _ in range(2000):
            moved = False
            for client in self.clients.values():
                for datagram in client.stack.take_datagrams():
                    moved = True
                    src, sport = self.translated(client, datagram.sport, datagram.protocol)
                    self.carry(Packet(src, GATEWAY, datagram.protocol, datagram.payload, sport, datagram.dport))
                for event in client.stack.take_events():
                    client.told.append(event)
                    if isinstance(event, events.IpPacket):
                        echo = ip.parse_echo(ip.parse_ipv4(event.packet).payload)
                        assert echo is not None
                        client.heard.append(echo.payload)
            for packet in self.gateway.take_packets():
                moved = True
                self.crossed.append(packet)
                if not self.drop(packet):
                    self.deliver(packet)
            self.events += self.gateway.take_events()
            self.taps += self.gateway.take_taps()
            self.lan += self.gateway.take_lan()
            if not moved:
                return
        raise AssertionError("clients and gateway never fall quiet")

    def carry(self, packet: Packet) -> None:
        self.crossed.append(packet)
        if not self.drop(packet):
            self.gateway.receive(self.now, packet)

    def deliver(self, packet: Packet) -> None:
        address, port = packet.dst, packet.dport
        if self.nat:
            address, port = self.inside.get(packet.dport, ("", 0)) if packet.dst == OUTSIDE else ("", 0)
        for client in self.clients.values():
            if client.address == address:
                client.received.append(packet)
                client.stack.receive(self.now, port, packet.payload, packet.protocol)

    # Time

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        end = self.now + seconds
        self.settle()
        while not until():
            parts = [self.gateway, *(client.stack for client in self.clients.values())]
            due = min((part.deadline for part in parts if part.deadline is not None), default=None)
            if due is None or due > end:
                self.now = end
                return until()
            self.now = max(self.now, due)
            for part in parts:
                part.tick(self.now)
            self.settle()
        return True

    # What is asked of it

    def ping(self, client: Client, to: str = PPP, payload: bytes = b"marked") -> bool:
        """Whether the answer comes, with nothing else happening meanwhile."""
        before = len(client.heard)
        address = client.stack.address
        assert address is not None
        request = ip.build_echo(ip.Echo(True, 1, len(client.heard), payload))
        client.stack.send_ip(self.now, ip.build_ipv4(address, to, ip.ICMP, request))
        self.settle()
        return client.heard[before:] == [payload]

    def of(self, kind: str) -> list[GatewayEvent]:
        return [event for event in self.events if event.kind == kind]

    def view(self) -> Any:
        return self.gateway.view(self.now, "test")

    def spi(self, client: Client) -> str:
        """Of the newest SA that the client has, outbound from the gateway."""
        return f"{client.of(events.EspUp)[-1].spi_in:08x}"


MakeWorld = Callable[..., World]


@pytest.fixture
def world() -> MakeWorld:
    def make(personality: str = "demux", *, nat: bool = True, parts: Parts | None = None, seed: int = 1, **changes: Any) -> World:
        return World(gateway_settings(personality, **changes), nat=nat, parts=parts, seed=seed)

    return make


def sealed(sa: OutboundSa, sport: int, dport: int, payload: bytes) -> bytes:
    return sa.seal(ip.UDP, ip.build_udp(ip.packed(OUTSIDE), ip.packed(GATEWAY), sport, dport, payload))
