"""A NAT core on the simulated network: two ends, a tap on the inside one, one alarm."""

from __future__ import annotations

from typing import Literal, Protocol

from harness.simulation.link import Alarm, Deliver, Tap
from harness.simulation.loop import SimulatedLoop

Side = Literal["inside", "outside"]

class Nat(Protocol):
    """What the box needs of a core; `harness.nat.core.NatCore` is the real one."""

    @property
    def deadline(self) -> float | None: ...

    def receive(self, now: float, side: Side, packet: bytes) -> None: ...

    def tick(self, now: float) -> None: ...

    def take_packets(self) -> list[tuple[Side, bytes]]: ...


class NatBox:
    """`inside` and `outside` take what the NAT sends there. `tap`, where there is one, sees each packet where a capture on the
    NAT's inside interface would: as it comes in and as it goes out."""

    def __init__(self, loop: SimulatedLoop, core: Nat, inside: Deliver, outside: Deliver) -> None:
        self.core = core
        self.tap: Tap | None = None
        self._loop = loop
        self._ends: dict[Side, Deliver] = {"inside": inside, "outside": outside}
        self._alarm = Alarm(loop, self._ring)

    def from_inside(self, packet: bytes) -> None:
        self._see(packet)
        self._receive("inside", packet)

    def from_outside(self, packet: bytes) -> None:
        self._receive("outside", packet)

    def settle(self) -> None:
        """Sends what the core has to send, and asks for the next waking: after whatever was done to the core directly."""
        for side, packet in self.core.take_packets():
            if side == "inside":
                self._see(packet)
            self._ends[side](packet)
        self._alarm.set(self.core.deadline)

    def _receive(self, side: Side, packet: bytes) -> None:
        self.core.receive(self._loop.time(), side, packet)
        self.settle()

    def _see(self, packet: bytes) -> None:
        if self.tap is not None:
            self.tap(self._loop.nanoseconds(), packet)

    def _ring(self) -> None:
        self.core.tick(self._loop.time())
        self.settle()
