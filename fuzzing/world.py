"""The virtual gateway and clients on one clock, with a NAT's eye view between them; everything in one process and in one order."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fuzzing.life import Violation
from fuzzing.pair import Core, passed
from harness.model import Secret
from harness.virtual import settings as virtual
from harness.virtual.gateway import VirtualGateway
from harness.virtual.settings import Settings
from harness.wire import events, ip
from harness.wire.config import EspProposal, IkeConfig, IkeProposal, L2tpConfig, PppConfig, StackConfig
from harness.wire.packet import Packet
from harness.wire.stack import ClientStack, State

GATEWAY, NAT, PPP, HOST = "203.0.113.231", "203.0.113.232", "172.16.1.1", "198.18.0.10"
RFC_3947 = bytes.fromhex("4a131c81070358455c5728f20e95452f")
USERS = 2000
REMEMBERED = 200


def settings(personality: str, **changes: Any) -> Settings:
    users = {f"user{number}": Secret(f"pw{number}") for number in range(1, USERS)}
    return Settings(virtual.load(personality), users=users).changed(**changes)


@dataclass(eq=False)
class Client:
    """`hostile`: what it sends is remembered apart from what others send. `held` are packets to and from it that a slow link keeps,
    while it is `stopped`."""

    number: int
    stack: ClientStack
    address: str
    stopped: bool = False
    held: deque[Callable[[], None]] = field(default_factory=deque)
    pongs: int = 0

    @property
    def up(self) -> bool:
        return self.stack.state is State.UP

    def spi(self) -> int | None:
        """Of its newest SA, inbound here: what the gateway sends to."""
        pairs = getattr(self.stack._ipsec, "pairs", None)
        return next(reversed(pairs)) if pairs else None


class World:
    """Client `n` has address 10.0.x.y inside, and behind the NAT a port of its own for each of its own ports."""

    def __init__(self, settings: Settings, draw: random.Random) -> None:
        self.now = 1000.0
        self.draw = draw
        self.ipsec = settings.personality.ipsec
        self.gateway = VirtualGateway(settings, draw.randbytes)
        self.clients: dict[str, Client] = {}
        self.sent: deque[Packet] = deque(maxlen=REMEMBERED)  # what the gateway got from clients
        self.received: deque[Packet] = deque(maxlen=REMEMBERED)
        self._outside: dict[tuple[str, int], int] = {}
        self._inside: dict[int, tuple[str, int]] = {}

    def add(self, number: int) -> Client:
        address = f"10.0.{number >> 8}.{number & 0xFF or 255}"
        ike = IkeConfig(
            address, GATEWAY, b"sharedsecret", (IkeProposal("aes-256", "sha1", "ecp256"),), (EspProposal("aes-256", "sha1"),),
            (RFC_3947,),
        )  # fmt: skip
        ppp = PppConfig(f"user{number}", f"pw{number}")
        config = StackConfig(ike if self.ipsec else None, L2tpConfig(f"client{number}", correlation_id=bytes(16)), ppp)
        client = Client(number, ClientStack(config, random.Random(self.draw.random()).randbytes), address)
        self.clients[address] = client
        client.stack.start(self.now)
        return client

    def forget(self, client: Client) -> None:
        """It is gone for good, and the NAT's mappings with it."""
        self.clients.pop(client.address, None)
        for key in [key for key in self._outside if key[0] == client.address]:
            del self._inside[self._outside.pop(key)]

    def dial(self, number: int) -> Client:
        client = self.add(number)
        self.run(20.0, until=lambda: client.stack.state in (State.UP, State.ENDED))
        if not client.up:
            raise Violation(f"a new client does not come up: {client.stack.state.value}")
        return client

    def outside(self, address: str, sport: int) -> tuple[str, int]:
        key = address, sport
        if key not in self._outside:
            port = 20000 + len(self._inside)
            while port in self._inside:
                port += 1
            self._outside[key], self._inside[port] = port, key
        return NAT, self._outside[key]

    # Packets

    def settle(self) -> None:
        for _ in range(500):
            moved = False
            for client in list(self.clients.values()):
                for datagram in client.stack.take_datagrams():
                    moved = True
                    src, sport = self.outside(client.address, datagram.sport)
                    packet = Packet(src, GATEWAY, datagram.protocol, datagram.payload, sport, datagram.dport)
                    self._carry(client, packet)
                for event in client.stack.take_events():
                    client.pongs += isinstance(event, events.IpPacket) and _is_pong(event.packet)
            for packet in self.gateway.take_packets():
                moved = True
                address, port = self._inside.get(packet.dport, ("", 0)) if packet.dst == NAT else ("", 0)
                client_there = self.clients.get(address)
                if client_there is not None:
                    self.received.append(packet)
                    self._bring(client_there, port, packet)
            self.drain()
            if not moved:
                return
        raise Violation("clients and gateway never fall quiet")

    def drain(self) -> None:
        self.gateway.take_events()
        self.gateway.take_taps()
        self.gateway.take_lan()

    def _carry(self, client: Client, packet: Packet) -> None:
        def arrive() -> None:
            self.sent.append(packet)
            self.gateway.receive(self.now, packet)

        client.held.append(arrive) if client.stopped else arrive()

    def _bring(self, client: Client, port: int, packet: Packet) -> None:
        def arrive() -> None:
            client.stack.receive(self.now, port, packet.payload, packet.protocol)

        client.held.append(arrive) if client.stopped else arrive()

    def release(self, client: Client, most: int | None = None) -> None:
        """Lets what was held for a client go its way; with `most`, so many packets, and it stays stopped."""
        for _ in range(most or 1000):
            client.stopped = most is not None
            if client.held:
                client.held.popleft()()
            self.settle()
            if not client.held:
                return

    # Time

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        end = self.now + seconds
        self.settle()
        for _ in range(20_000):
            cores: list[Core] = [self.gateway, *(client.stack for client in self.clients.values())]
            due = min((core.deadline for core in cores if core.deadline is not None), default=None)
            if until():
                return
            if due is None or due > end:
                self.now = end
                return
            self.now = max(self.now, due)
            for core in cores:
                if core.deadline is not None and core.deadline <= self.now:
                    passed(core, self.now)
            self.settle()
        raise Violation(f"twenty thousand deadlines in {seconds} s")

    def ping(self, client: Client) -> bool:
        before, address = client.pongs, client.stack.address
        if address is None:
            return False
        echo = ip.build_echo(ip.Echo(True, 1, before & 0xFFFF, b"marked"))
        client.stack.send_ip(self.now, ip.build_ipv4(address, PPP, ip.ICMP, echo))
        self.settle()
        return client.pongs == before + 1


def _is_pong(packet: bytes) -> bool:
    return packet[9:10] == b"\1" and packet[-6:] == b"marked" and packet[20:21] == b"\0"
