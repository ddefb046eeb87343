"""Callers that come by PPPoE over a card of this machine, in the time of the wall."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from harness.lab.ethernet import EthernetCard
from harness.lab.namespaces import Netns
from harness.virtual.vpdn.ethernet_caller import EthernetCaller
from harness.wire.config import Entropy, PppConfig
from harness.wire.pppoe import packet as pppoe


class Pace:
    """Lets at most so many frames out in any second; the others wait their turn, in order."""

    def __init__(self, send: Callable[[bytes], None], per_s: int) -> None:
        self._send = send
        self._per_s = per_s
        self._loop = asyncio.get_running_loop()
        self._sent: deque[float] = deque(maxlen=per_s)
        self._waiting: deque[bytes] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def send(self, frame: bytes) -> None:
        self._waiting.append(frame)
        if self._timer is None:
            self._go_on()

    def close(self) -> None:
        """What waits is not sent any more."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go_on(self) -> None:
        self._timer = None
        while self._waiting:
            now = self._loop.time()
            if len(self._sent) == self._per_s and now < self._sent[0] + 1:
                self._timer = self._loop.call_at(self._sent[0] + 1, self._go_on)
                return
            self._sent.append(now)
            self._send(self._waiting.popleft())


class FieldCaller:
    """A caller at the card, with the doors of one on a simulated line (simulation.access_box.CallerBox)."""

    def __init__(self, send: Callable[[bytes], None], core: EthernetCaller) -> None:
        self.core = core
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def dial(self) -> None:
        self.core.dial(self._loop.time())
        self.settle()

    def hang_up(self) -> None:
        """Without a word of PPP's: the PPPoE session ends."""
        self.core.hang_up(self._loop.time())
        self.settle()

    def close(self) -> None:
        self.core.close(self._loop.time())
        self.settle()

    def send(self, frame: bytes | None) -> None:
        """A PPP frame that the caller has made."""
        if frame is not None:
            self.core.host.send(frame)
            self.settle()

    def arrive(self, frame: bytes) -> None:
        self.core.receive_ethernet(self._loop.time(), frame)
        self.settle()

    def settle(self) -> None:
        for frame in self.core.take_ethernet():
            self._send(frame)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (due := self.core.deadline) is not None:
            self._timer = self._loop.call_at(due, self._due)

    def end(self) -> None:
        """Nothing more comes of it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self._timer = None
        self.core.tick(self._loop.time())
        self.settle()


class FieldCallers:
    """All of a script's callers on one card, which send at most `per_s` frames in a second. LabError where there is no such
    interface."""

    def __init__(self, where: Netns, card: str, per_s: int) -> None:
        self._callers: list[FieldCaller] = []
        self.card = EthernetCard(where, card, (pppoe.DISCOVERY, pppoe.SESSION), self._hear)
        self._pace = Pace(self.card.send, per_s)

    def add(self, config: PppConfig, entropy: Entropy) -> FieldCaller:
        caller = FieldCaller(self._pace.send, EthernetCaller(config, entropy, self.card.address))
        self._callers.append(caller)
        return caller

    async def meet(self) -> list[str]:
        """Nobody: a LAC answers who dials."""
        return []

    @property
    def unsent(self) -> int:
        return self.card.unsent

    def close(self) -> None:
        """Those that are still up hang up."""
        for caller in self._callers:
            caller.hang_up()
            caller.end()
        self._callers.clear()
        self._pace.close()
        self.card.close()

    def _hear(self, frame: bytes) -> None:
        for caller in tuple(self._callers):
            caller.arrive(frame)
