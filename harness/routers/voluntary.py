"""Clients of the L2TP world that tunnel for themselves, without a LAC: L2TP and IPsec of their own, behind a NAT."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.nat.core import NatCore
from harness.nat.personality import load
from harness.simulation.link import Alarm, Deliver, Link
from harness.simulation.loop import SimulatedLoop
from harness.simulation.nat_box import NatBox
from harness.wire import events, ip
from harness.wire.config import Entropy, EspProposal, IkeConfig, IkeProposal, L2tpConfig, PppConfig, StackConfig
from harness.wire.packet import Packet, from_ip, to_ip
from harness.wire.stack import ClientStack, State

NAT_OUTSIDE = "10.0.0.20"
INSIDE = "192.168.5.0/24"
FIRST_INSIDE = 2
"""The last byte of the first client's address."""
NEAR_S = 0.001
"""How far clients and NAT are from each other."""
RFC_3947 = bytes.fromhex("4a131c81070358455c5728f20e95452f")
"""The vendor ID of whoever can do NAT traversal."""
KEY = b"cisco"

Hear = Callable[[events.Event], None]


def config(inside: str, gateway: str, user: str, password: str) -> StackConfig:
    """A client that offers what the document's example takes: DES, SHA, transport mode."""
    ike = IkeConfig(
        inside, gateway, KEY, (IkeProposal("des", "sha1", "modp768"),), (EspProposal("des", "sha1"),), (RFC_3947,)
    )  # fmt: skip
    ppp = PppConfig(user, password, mru=1500, accept=("chap-md5",), echo_s=None)
    return StackConfig(ike, L2tpConfig("voluntary", correlation_id=bytes(16)), ppp)


class VoluntaryClient:
    """`told` is all that its stack said, `hear` is told of each; a packet of it comes out at `outside`."""

    def __init__(
        self, loop: SimulatedLoop, inside: str, gateway: str, stack: ClientStack, outside: Deliver, hear: Hear
    ) -> None:
        self.inside = inside
        self.told: list[events.Event] = []
        self._loop = loop
        self._gateway = gateway
        self._stack = stack
        self._outside = Link(loop, NEAR_S, outside)
        self._hear = hear
        self._alarm = Alarm(loop, self._ring)
        self._identification = 0

    @property
    def address(self) -> str | None:
        """That of its PPP."""
        return self._stack.address

    @property
    def down(self) -> bool:
        return self._stack.state in (State.ENDED, State.SILENT)

    @property
    def packets(self) -> list[bytes]:
        """The IP packets that it was sent through the tunnel."""
        return [event.packet for event in self.told if isinstance(event, events.IpPacket)]

    def dial(self) -> None:
        self._stack.start(self._loop.time())
        self._settle()

    def close(self) -> None:
        self._stack.close(self._loop.time())
        self._settle()

    def receive(self, data: bytes) -> None:
        packet = from_ip(data)
        self._stack.receive(self._loop.time(), packet.dport, packet.payload, packet.protocol)
        self._settle()

    def _settle(self) -> None:
        for event in self._stack.take_events():
            self.told.append(event)
            self._hear(event)
        for one in self._stack.take_datagrams():
            self._identification = (self._identification + 1) & 0xFFFF
            packet = Packet(self.inside, self._gateway, one.protocol, one.payload, one.sport, one.dport)
            self._outside.send(to_ip(packet, identification=self._identification))
        self._alarm.set(self._stack.deadline)

    def _ring(self) -> None:
        self._stack.tick(self._loop.time())
        self._settle()


class NattedClients:
    """A NAT with its clients. `outside` takes what it sends to the world, `hear` (name, event) what clients tell."""

    def __init__(
        self, loop: SimulatedLoop, entropy: Entropy, outside: Deliver, hear: Callable[[str, events.Event], None]
    ) -> None:
        core = NatCore(load("timer-30"), outside=NAT_OUTSIDE, inside=INSIDE, entropy=entropy)
        self.box = NatBox(loop, core, self._deliver, outside)
        self._loop = loop
        self._hear = hear
        self._clients: dict[str, VoluntaryClient] = {}
        self._names: dict[str, str] = {}

    @property
    def addresses(self) -> Mapping[str, str]:
        """By name, inside."""
        return self._names

    def add(self, name: str, gateway: str, user: str, password: str, entropy: Entropy) -> VoluntaryClient:
        inside = f"{INSIDE.rpartition('.')[0]}.{FIRST_INSIDE + len(self._clients)}"
        stack = ClientStack(config(inside, gateway, user, password), entropy)
        client = VoluntaryClient(self._loop, inside, gateway, stack, self.box.from_inside, lambda event: self._hear(name, event))
        self._clients[inside], self._names[name] = client, inside
        return client

    def _deliver(self, data: bytes) -> None:
        client = self._clients.get(ip.dotted(data[16:20]))
        if client is not None:
            client.receive(data)
