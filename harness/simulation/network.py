"""Places on a simulated network: a switch that knows who has which address."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address, IPv4Network

from harness.simulation.link import Deliver, Link, Tap
from harness.simulation.loop import SimulatedLoop


class Switch:
    """A network in the middle of which every packet finds its way by its destination address.

    `tap`, where there is one, sees all that is sent, but for what a link that is down would have to carry. `strays` counts packets
    for addresses that nobody has, by address: on a real network they would be lost as well.
    """

    def __init__(self, loop: SimulatedLoop) -> None:
        self.tap: Tap | None = None
        self.strays: Counter[str] = Counter()
        self._loop = loop
        self._links: dict[bytes, Link] = {}
        self._routes: list[tuple[IPv4Network, Link]] = []

    def attach(self, address: bytes, delay_s: float, deliver: Deliver) -> Link:
        """Packets to `address` (packed) come to `deliver`, `delay_s` after they were sent. A later owner takes it over."""
        link = self._links[address] = Link(self._loop, delay_s, deliver)
        return link

    def route(self, network: IPv4Network, delay_s: float, deliver: Deliver) -> Link:
        """Packets to any address of `network` that has not its own place here come to `deliver`, a router."""
        link = Link(self._loop, delay_s, deliver)
        self._routes.append((network, link))
        return link

    def detach(self, address: bytes) -> None:
        del self._links[address]

    def send(self, packet: bytes) -> None:
        link = self._links.get(packet[16:20]) or self._way(IPv4Address(packet[16:20]))
        if link is not None and not link.up:
            return
        self.see(packet)
        if link is not None:
            link.send(packet)

    def see(self, packet: bytes) -> None:
        """The tap alone has it."""
        if self.tap is not None:
            self.tap(self._loop.nanoseconds(), packet)

    def _way(self, to: IPv4Address) -> Link | None:
        for network, link in self._routes:
            if to in network:
                return link
        self.strays[str(to)] += 1
        return None
