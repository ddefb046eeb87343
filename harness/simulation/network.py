"""Places on a simulated network: a switch that knows who has which address."""

from __future__ import annotations

import asyncio
from collections import Counter

from harness.simulation.link import Deliver, Link


class Switch:
    """A network in the middle of which every packet finds its way by its destination address.

    `strays` counts packets for addresses that nobody has, by address: on a real network they would be lost as well.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.strays: Counter[str] = Counter()
        self._loop = loop
        self._links: dict[bytes, Link] = {}

    def attach(self, address: bytes, delay_s: float, deliver: Deliver) -> None:
        """Packets to `address` (packed) come to `deliver`, `delay_s` after they were sent. A later owner takes it over."""
        self._links[address] = Link(self._loop, delay_s, deliver)

    def detach(self, address: bytes) -> None:
        del self._links[address]

    def send(self, packet: bytes) -> None:
        link = self._links.get(packet[16:20])
        if link is None:
            self.strays[".".join(map(str, packet[16:20]))] += 1
        else:
            link.send(packet)
