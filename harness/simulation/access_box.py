"""A router with VPDN groups on the simulated network, and callers on its lines."""

from __future__ import annotations

from typing import Protocol

from harness.simulation.gateway_box import Gateway, GatewayBox
from harness.simulation.link import Alarm, Deliver
from harness.simulation.loop import SimulatedLoop
from harness.virtual.vpdn.caller import Caller

LINE_DELAY_S = 0.005


class LineGateway(Gateway, Protocol):
    """A gateway with callers' lines: `harness.virtual.vpdn.router.VpdnRouter`, or an IOS router around it."""

    def dial_in(self, now: float) -> int: ...

    def lose_carrier(self, now: float, line: int) -> None: ...

    def receive_line(self, now: float, line: int, frame: bytes) -> None: ...

    def take_frames(self) -> list[tuple[int, bytes | None]]: ...


class CallerBox:
    """A caller at the far end of a line, which takes LINE_DELAY_S each way."""

    def __init__(self, loop: SimulatedLoop, core: Caller, router: AccessBox) -> None:
        self.core = core
        self.number = 0
        self._loop = loop
        self._router = router
        self._alarm = Alarm(loop, self._ring)

    def dial(self) -> None:
        self.number = self._router.dial_in(self)
        self.core.dial(self._loop.time())
        self.settle()

    def hang_up(self) -> None:
        """Without a word: the carrier goes."""
        self.core.down = True
        self._router.order(lambda now: self._router.core.lose_carrier(now, self.number))

    def close(self) -> None:
        self.core.close(self._loop.time())
        self.settle()

    def send(self, frame: bytes | None) -> None:
        """One that the caller has made."""
        if frame is not None:
            self._loop.call_later(LINE_DELAY_S, self._router.from_line, self.number, frame)

    def arrive(self, frame: bytes | None) -> None:
        self.core.receive(self._loop.time(), frame)
        self.settle()

    def settle(self) -> None:
        for frame in self.core.take_frames():
            self.send(frame)
        self._alarm.set(self.core.deadline)

    def _ring(self) -> None:
        self.core.tick(self._loop.time())
        self.settle()


class AccessBox(GatewayBox):
    """A gateway box whose core has lines."""

    core: LineGateway

    def __init__(self, loop: SimulatedLoop, core: LineGateway, outside: Deliver) -> None:
        super().__init__(loop, core, outside)
        self.callers: dict[int, CallerBox] = {}
        self._time = loop

    def dial_in(self, caller: CallerBox) -> int:
        number = self.core.dial_in(self._time.time())
        self.callers[number] = caller
        self._settle()
        return number

    def from_line(self, number: int, frame: bytes) -> None:
        if not self.off:
            self.order(lambda now: self.core.receive_line(now, number, frame))

    def _settle(self) -> None:
        super()._settle()
        for number, frame in self.core.take_frames():
            self._time.call_later(LINE_DELAY_S, self.callers[number].arrive, frame)
