"""A gateway core on the simulated network: whole IP packets outside, an end host on its LAN, what it tells and shows, one alarm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeVar

from harness.errors import ProtocolError
from harness.model import GatewayEvent
from harness.simulation.link import Alarm, Deliver, Link
from harness.simulation.loop import EPOCH, SimulatedLoop
from harness.virtual.journal import Tap
from harness.virtual.router import echo_answer
from harness.wire.packet import Packet, from_ip, to_ip
from harness.wire.reassembly import Reassembly

LAN_DELAY_S = 0.0002

T = TypeVar("T")


class Gateway(Protocol):
    """What the box needs of a core; `harness.virtual.gateway.VirtualGateway` is the real one."""

    @property
    def deadline(self) -> float | None: ...

    def receive(self, now: float, packet: Packet) -> None: ...

    def receive_lan(self, now: float, packet: bytes) -> None: ...

    def tick(self, now: float) -> None: ...

    def take_packets(self) -> list[Packet]: ...

    def take_lan(self) -> list[bytes]: ...

    def take_taps(self) -> list[Tap]: ...

    def take_events(self) -> list[GatewayEvent]: ...


class GatewayBox:
    """`outside` takes what the gateway sends to its peers. `tap`, where there is one, sees what passes the boundaries inside it;
    `events` keeps what it says of itself, in seconds since 1970. While `off` it is a box without power, though its core may think
    that it lives. An end host on its LAN answers every ping, and sends what it is given by `from_host`; `heard` is told of each
    packet that comes to it."""

    def __init__(self, loop: SimulatedLoop, core: Gateway, outside: Deliver) -> None:
        self.core = core
        self.tap: Callable[[int, Tap], None] | None = None
        self.events: list[GatewayEvent] = []
        self.heard: Callable[[bytes], None] = lambda packet: None
        self.off = False
        self.unreadable = 0  # packets with wrong checksums, which a kernel would have dropped
        self._loop = loop
        self._outside = outside
        self._fragments = Reassembly()
        self._identification = 0
        self._alarm = Alarm(loop, lambda: self.order(core.tick))
        self._to_host = Link(loop, LAN_DELAY_S, self._host)
        self._from_host = Link(loop, LAN_DELAY_S, lambda packet: self.order(lambda now: self.core.receive_lan(now, packet)))

    def receive(self, data: bytes) -> None:
        """One IP packet from the wire, a fragment perhaps."""
        if self.off:
            return
        whole = self._fragments.add(self._loop.time(), data)
        if whole is None:
            return
        try:
            packet = from_ip(whole)
        except ProtocolError:
            self.unreadable += 1
            return
        self.core.receive(self._loop.time(), packet)
        self._settle()

    def from_host(self, packet: bytes) -> None:
        """A packet of the end host's own."""
        self._from_host.send(packet)

    def order(self, action: Callable[[float], T]) -> T:
        """Does something to the core, `now` in hand, and lets out what comes of it."""
        try:
            return action(self._loop.time())
        finally:
            self._settle()

    def _settle(self) -> None:
        core = self.core
        if self.off:
            self._alarm.set(None)
            return
        for packet in core.take_packets():
            self._identification = (self._identification + 1) & 0xFFFF
            self._outside(to_ip(packet, identification=self._identification))
        for data in core.take_lan():
            self._to_host.send(data)
        for tap in core.take_taps():
            if self.tap is not None:
                self.tap(self._loop.nanoseconds(), tap)
        self.events += (replace(event, t=EPOCH + event.t) for event in core.take_events())
        self._alarm.set(core.deadline)

    def _host(self, data: bytes) -> None:
        self.heard(data)
        try:
            answer = echo_answer(data)
        except ProtocolError:
            self.unreadable += 1
            return
        if answer is not None:
            self._from_host.send(answer)
