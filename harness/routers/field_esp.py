"""The world of "NAT support for IPsec ESP" in the time of the wall: a NAT and endpoints about it that are there, known by SSH, and
a card of this machine, on which the hosts behind all endpoints are.

Both sides of the NAT are captured, by whoever the testbed names. Where it has cards on the NAT's wires, hosts are there too
(field_neighbours.py). Nothing on the wires between the routers can be lost or forged, and no router gives away the keys of its SAs:
what rests on that is skipped (wants.py, verdict/obtainable.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from harness.lab.field_routers import FieldRouters
from harness.model.router_lab import ON_CARD, ON_INSIDE, ON_OUTSIDE, ON_WIRE, RouterSpec
from harness.probes.dissect import Addresses
from harness.routers import esp_sites, field_neighbours, wants
from harness.routers.esp_lab import CONFIGURATION
from harness.routers.esp_sites import EAST, NAT, NAT_OUTSIDE, WEST, Site
from harness.routers.field_consoles import names_of
from harness.routers.field_hosts import FieldHosts
from harness.routers.field_lab import FieldLab, Together
from harness.routers.field_neighbours import Neighbours
from harness.routers.play import Gathered
from harness.routers.script import RouterScript

_UNREACHED = re.compile(r"^Success rate is 0 percent", re.MULTILINE)
NAT_NAMES = {"FastEthernet0/0": ON_INSIDE, "FastEthernet0/1": ON_OUTSIDE}
ENDPOINT_NAMES = {esp_sites.OUTSIDE: ON_WIRE, esp_sites.INSIDE: ON_CARD}
"""What the scripts call a router's interfaces, and what those are for."""


class FieldEsp(FieldLab):
    """`lab` is up."""

    natted = True

    def __init__(self, lab: FieldRouters, script: RouterScript, gathered: Gathered) -> None:
        super().__init__(lab, {role: _names(spec) for role, spec in lab.testbed.by_role.items()}, script, gathered)
        self.arrived: Callable[[str, bytes], None] = lambda name, packet: None
        self._west, self._east = esp_sites.sites_of(script.options)
        self.sites: Mapping[str, Site] = {site.name: site for site in (*self._west, *self._east)}
        self._hosts: FieldHosts | None = None
        self._neighbours: Neighbours | None = None

    async def begin(self) -> None:
        await super().begin()
        self._gathered.trouble += await self._look_around()
        await self._lab.clear(NAT)  # pings that went through it

    async def _look_around(self) -> list[str]:
        """Has every router ping those it is to talk to: IOS drops a packet whose neighbour it does not know yet, and IKE sends that
        again only after ten seconds. A sentence for each that does not answer; a router that has no `ping` is not asked."""
        east = [site.address for site in self._east]
        asked = {site.name: east for site in self._west}
        asked[NAT] = [site.address for site in self.sites.values()]
        vrf = field_neighbours.vrf_in(self._startup(NAT))

        def ping(by: str, to: str) -> str:
            inside = by == NAT and vrf and to not in east
            return f"ping vrf {vrf} {to}" if inside else f"ping {to}"

        said = [(by, to, await self.routers[by].ask(ping(by, to))) for by, found in asked.items() for to in found]
        return [f"{by} does not reach {to}: look at the wire between them" for by, to, text in said if _UNREACHED.search(text)]

    def from_host(self, name: str, packet: bytes) -> None:
        assert self._hosts is not None
        self._hosts.send(name, packet)

    @property
    def addresses(self) -> Addresses:
        """The endpoints in the west play the clients' part."""
        outside = str(self._script.options.get("nat_outside", NAT_OUTSIDE))
        return Addresses(Site(EAST, 1).address, outside, {site.name: site.address for site in self._west})

    def attach(self, address: str, inside: bool, arrives: Callable[[bytes], None]) -> None:
        self._theirs.attach(address, inside, arrives)

    async def met(self) -> None:
        self._gathered.trouble += await self._theirs.meet()

    def from_neighbour(self, address: str, packet: bytes) -> None:
        self._theirs.send(address, packet)

    # What no such lab has

    @property
    def sent_inside(self) -> Mapping[str, bytes]:
        self._unable("look back at the NAT's inside")

    def to_nat(self, packet: bytes) -> None:
        self._unable("send on the NAT's inside")

    # --- within ---

    def _roles(self) -> tuple[str, ...]:
        return (NAT, *self.sites)

    def _startup(self, role: str) -> Sequence[str]:
        if role in self._script.instead:
            return self._script.instead[role]
        if role == NAT:
            return CONFIGURATION.read_text(encoding="utf-8").splitlines()
        site = self.sites[role]
        return esp_sites.client(site, self._east) if site.side == WEST else esp_sites.concentrator(site, self._west)

    async def _beyond(self, role: str) -> Sequence[str]:
        """The NAT's ways to hosts on its wires."""
        return field_neighbours.routes(self._startup(role)) if role == NAT and self._has_neighbours else ()

    @property
    def _has_neighbours(self) -> bool:
        return wants.NEIGHBOURS in self._script.wants and bool(self._testbed.neighbours)

    @property
    def _theirs(self) -> Neighbours:
        if self._neighbours is None:
            self._unable("have a host on a wire of the NAT")
        return self._neighbours

    def _on_card(self) -> Together:
        testbed, clients = self._testbed, self._lab.clients
        per_s = testbed.allowance.packets_per_s
        if self._has_neighbours:
            per_s = max(1, per_s // len(testbed.cards))  # all cards share what is allowed
            cards = {side: card.name for side, card in testbed.neighbours.items()}
            nat = field_neighbours.addresses_in(self._startup(NAT))
            self._neighbours = Neighbours(clients, cards, per_s, nat)
        try:
            arrived = lambda name, packet: self.arrived(name, packet)  # noqa: E731
            self._hosts = FieldHosts(clients, testbed.card, per_s, self.sites.values(), arrived)
        except BaseException:
            if self._neighbours is not None:
                self._neighbours.close()
            raise
        return Together(self._hosts, self._neighbours)  # neighbours meet the NAT when a script names them


def _names(spec: RouterSpec) -> dict[str, str]:
    known = NAT_NAMES if spec.role == NAT else ENDPOINT_NAMES
    return names_of({documents: spec.ports[use].name for documents, use in known.items()})
