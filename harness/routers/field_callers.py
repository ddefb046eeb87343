"""Callers that come by PPPoE over a card of this machine, in the time of the wall."""

from __future__ import annotations

import asyncio

from harness.lab.ethernet import EthernetCard
from harness.lab.namespaces import Netns
from harness.virtual.vpdn.ethernet_caller import EthernetCaller
from harness.wire.config import Entropy, PppConfig
from harness.wire.pppoe import packet as pppoe


class FieldCaller:
    """A caller at the card, with the doors of one on a simulated line (simulation.access_box.CallerBox)."""

    def __init__(self, card: EthernetCard, core: EthernetCaller) -> None:
        self.core = core
        self._card = card
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
            self._card.send(frame)
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
    """All of a script's callers on one card. LabError where there is no such interface."""

    def __init__(self, where: Netns, card: str) -> None:
        self._callers: list[FieldCaller] = []
        self.card = EthernetCard(where, card, (pppoe.DISCOVERY, pppoe.SESSION), self._hear)

    def add(self, config: PppConfig, entropy: Entropy) -> FieldCaller:
        caller = FieldCaller(self.card, EthernetCaller(config, entropy, self.card.address))
        self._callers.append(caller)
        return caller

    def close(self) -> None:
        """Those that are still up hang up."""
        for caller in self._callers:
            caller.hang_up()
            caller.end()
        self._callers.clear()
        self.card.close()

    def _hear(self, frame: bytes) -> None:
        for caller in tuple(self._callers):
            caller.arrive(frame)
