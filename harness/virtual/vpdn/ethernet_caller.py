"""A caller that comes to its LAC by Ethernet: PPPoE below a caller's PPP, as a customer's modem has it."""

from __future__ import annotations

from dataclasses import replace

from harness.errors import ProtocolError
from harness.virtual.vpdn.caller import Caller
from harness.wire.config import Entropy, PppConfig
from harness.wire.pppoe import Host
from harness.wire.pppoe.host import State


class EthernetCaller(Caller):
    """As a caller on a line, with Ethernet frames in the place of a line's: `receive_ethernet` and `take_ethernet`. `address` of
    `host` is the card's. `why`: what ended it, where it was not PPP."""

    def __init__(self, config: PppConfig, entropy: Entropy, card: bytes, *, service: str = "", concentrator: str = "") -> None:
        super().__init__(replace(config, ethernet=True), entropy)
        self.host = Host(card, entropy, service=service, concentrator=concentrator)
        self.malformed = 0
        self._dialled = False

    @property
    def why(self) -> str:
        return self.host.reason

    @property
    def deadline(self) -> float | None:
        return min((time for time in (super().deadline, self.host.deadline) if time is not None), default=None)

    def dial(self, now: float) -> None:
        self.host.open(now)

    def tick(self, now: float) -> None:
        self.host.tick(now)
        super().tick(now)
        self._settle(now)

    def receive_ethernet(self, now: float, frame: bytes) -> None:
        """Any frame of the card's segment."""
        try:
            self.host.receive(now, frame)
        except ProtocolError:
            self.malformed += 1
        self._settle(now)

    def hang_up(self, now: float) -> None:
        """The session ends without a word of PPP's, as where a carrier goes."""
        self.host.close(now)
        self._settle(now)

    def take_ethernet(self) -> list[bytes]:
        for frame in self.take_frames():
            self.host.send(frame)
        return self.host.take_frames()

    def _settle(self, now: float) -> None:
        if self.host.state is State.OPEN and not self._dialled:
            self._dialled = True
            super().dial(now)
        for frame in self.host.take_ppp():
            self.receive(now, frame)
        if self.host.state is State.OVER:
            self.receive(now, None)
