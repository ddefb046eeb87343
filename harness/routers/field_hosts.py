"""The hosts behind routers that are there: each with a hardware address of its own, and all on one lent card."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from harness.lab.ethernet import EthernetCard
from harness.lab.namespaces import Netns
from harness.model.sites import HostBehind, Site
from harness.routers.field_callers import Pace
from harness.wire import ip
from harness.wire.arp import BROADCAST, ETH_P_ARP, ETH_P_IP, TRIES, WAIT_S, EthernetNode

LOOK_S = 0.05


def hardware(card: bytes, number: int) -> bytes:
    """Of host `number`, from 1 on: administered here, and never the card's own."""
    return bytes((card[0] & ~1 | 2,)) + card[1:5] + bytes(((card[5] + number) % 256,))


def _is(own: bytes) -> Callable[[bytes, bytes], bool]:
    return lambda by, wanted: wanted == own


class FieldHosts:
    """They send at most `per_s` frames in a second, all together. `arrived` is given the router's name and each packet that comes
    to its host. LabError where there is no such interface."""

    def __init__(
        self, where: Netns, card: str, per_s: int, sites: Iterable[Site | HostBehind], arrived: Callable[[str, bytes], None]
    ) -> None:
        self.card = EthernetCard(where, card, (ETH_P_IP, ETH_P_ARP), self._hear, promiscuous=True)
        self._pace = Pace(self.card.send, per_s)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._arrived = arrived
        self._sites: dict[str, Site | HostBehind] = {}
        self._nodes: dict[str, EthernetNode] = {}
        for site in sites:
            self.add(site)

    def add(self, site: Site | HostBehind) -> None:
        """One more, unless it is there."""
        if site.name not in self._sites:
            self._sites[site.name] = site
            self._nodes[site.name] = EthernetNode(hardware(self.card.address, len(self._sites)), _is(ip.packed(site.host)))

    def send(self, name: str, packet: bytes, hop: bytes | None = None) -> None:
        """The host behind that router sends, whatever the packet's destination, to the router, or to a neighbour `hop`."""
        host, gateway = self._ends(name)
        self._nodes[name].send(self._loop.time(), host, hop or gateway, packet)
        self._settle()

    async def meet(self) -> list[str]:
        """A sentence for each router that does not answer its host."""
        return [
            f"{name} does not answer ARP for {self._sites[name].gateway} on the hosts' card: look at its LAN's cable and switch"
            for name in await self.unanswered()
        ]

    async def unanswered(self) -> list[str]:
        """Every host that does not know it asks for its router's hardware address: routers learn the hosts' from that, and drop no
        packet while they ask. The names of those whose router does not answer."""
        for name in self._unknown():
            self._nodes[name].ask(self._loop.time(), *self._ends(name))
        self._settle()
        end = self._loop.time() + TRIES * WAIT_S
        while (missing := self._unknown()) and self._loop.time() < end:
            await asyncio.sleep(LOOK_S)
        return missing

    @property
    def unsent(self) -> int:
        return self.card.unsent

    def close(self) -> None:
        self._pace.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.card.close()

    def _unknown(self) -> list[str]:
        return [name for name, node in self._nodes.items() if self._ends(name)[1] not in node.neighbours]

    def _ends(self, name: str) -> tuple[bytes, bytes]:
        """The host's own address, and its gateway's."""
        site = self._sites[name]
        return ip.packed(site.host), ip.packed(site.gateway)

    def _hear(self, frame: bytes) -> None:
        for name, node in self._nodes.items():
            if frame[:6] in (node.hardware, BROADCAST):
                packet = node.receive(self._loop.time(), frame)
                if packet is not None:
                    self._arrived(name, packet)
        self._settle()

    def _settle(self) -> None:
        for node in self._nodes.values():
            for frame in node.take_frames():
                self._pace.send(frame)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = min((one.deadline for one in self._nodes.values() if one.deadline is not None), default=None)
        if due is not None:
            self._timer = self._loop.call_at(due, self._due)

    def _due(self) -> None:
        self._timer = None
        for node in self._nodes.values():
            node.tick(self._loop.time())
        self._settle()
