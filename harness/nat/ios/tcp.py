"""TCP through the NAT: how far a connection is, and the gateways that read what it carries (RFC 5382; ESN-70…73).

Any outward segment but a reset makes an entry, as on a router whose table was cleared amid a connection; from outside nothing
makes one that no gateway has announced.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from harness.nat.headers import OFFSET
from harness.nat.ios.segment import ACK, FIN, RST, SYN, flags
from harness.nat.state import State
from harness.nat.table import Binding, Phase

_PIECE = 0x2000 | OFFSET


@dataclass(frozen=True, slots=True)
class Flow:
    """A connection as both sides know it. `keeps_ports`: addresses alone are translated."""

    inside: bytes
    inside_port: int
    remote: bytes
    remote_port: int
    outside: bytes
    keeps_ports: bool


class Gateway(Protocol):
    """Reads and changes what connections carry. Packets are as the inside knows them."""

    def check(self, flow: Flow) -> None:
        """`Dropped` where connections of this kind must not be."""

    def outward(self, state: State, flow: Flow, packet: bytes, at: int) -> bytes: ...

    def inward(self, state: State, flow: Flow, packet: bytes, at: int) -> bytes: ...

    def reset(self) -> None:
        """Forgets what it holds beside the table."""


class Tracker:
    """What a segment says of its connection."""

    def segment(self, binding: Binding, packet: bytes, at: int, *, inward: bool) -> None:
        said = flags(packet, at)
        if said & (FIN | RST):
            binding.phase = Phase.CLOSING
        elif said & SYN and not said & ACK and not inward:
            if binding.phase is Phase.CLOSING:
                binding.phase = Phase.OPENING  # the ports are used again
        elif inward and binding.phase is Phase.OPENING:
            binding.phase = Phase.ESTABLISHED


@dataclass(slots=True)
class Tcp:
    tracker: Tracker = field(default_factory=Tracker)
    gateways: list[Gateway] = field(default_factory=list)

    def check(self, flow: Flow) -> None:
        for gateway in self.gateways:
            gateway.check(flow)

    def outward(self, state: State, flow: Flow, packet: bytes, at: int) -> bytes:
        if not (packet[6] << 8 | packet[7]) & _PIECE:
            for gateway in self.gateways:
                packet = gateway.outward(state, flow, packet, at)
        return packet

    def inward(self, state: State, flow: Flow, packet: bytes, at: int) -> bytes:
        if not (packet[6] << 8 | packet[7]) & _PIECE:
            for gateway in self.gateways:
                packet = gateway.inward(state, flow, packet, at)
        return packet

    def reset(self) -> None:
        for gateway in self.gateways:
            gateway.reset()
