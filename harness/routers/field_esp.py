"""The world of "NAT support for IPsec ESP" in the time of the wall: a NAT and endpoints about it that are there, known by SSH, and
a card of this machine, on which the hosts behind all endpoints are.

Both sides of the NAT are captured, by whoever the testbed names. Nothing on the wires between the routers can be lost or forged, no
host stands on them, and no router gives away the keys of its SAs: what rests on that is skipped (wants.py, verdict/obtainable.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from harness.lab.field_routers import FieldRouters
from harness.model.router_lab import ON_CARD, ON_INSIDE, ON_OUTSIDE, ON_WIRE, RouterSpec
from harness.probes.dissect import Addresses
from harness.routers import esp_sites
from harness.routers.esp_lab import CONFIGURATION
from harness.routers.esp_sites import EAST, NAT, NAT_OUTSIDE, WEST, Site
from harness.routers.field_consoles import names_of
from harness.routers.field_hosts import FieldHosts
from harness.routers.field_lab import FieldLab
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

    async def begin(self) -> None:
        await super().begin()
        self._gathered.trouble += await self._neighbours()
        await self._lab.clear(NAT)  # pings that went through it

    async def _neighbours(self) -> list[str]:
        """Has every router ping those it is to talk to: IOS drops a packet whose neighbour it does not know yet, and IKE sends that
        again only after ten seconds. A sentence for each that does not answer; a router that has no `ping` is not asked."""
        east = [site.address for site in self._east]
        asked = {site.name: east for site in self._west}
        asked[NAT] = [site.address for site in self.sites.values()]
        said = [(by, to, await self.routers[by].ask(f"ping {to}")) for by, found in asked.items() for to in found]
        return [f"{by} does not reach {to}: look at the wire between them" for by, to, text in said if _UNREACHED.search(text)]

    def from_host(self, name: str, packet: bytes) -> None:
        assert self._hosts is not None
        self._hosts.send(name, packet)

    @property
    def addresses(self) -> Addresses:
        """The endpoints in the west play the clients' part."""
        return Addresses(Site(EAST, 1).address, NAT_OUTSIDE, {site.name: site.address for site in self._west})

    # What no such lab has

    @property
    def sent_inside(self) -> Mapping[str, bytes]:
        self._unable("look back at the NAT's inside")

    def to_nat(self, packet: bytes) -> None:
        self._unable("send on the NAT's inside")

    def attach(self, address: str, inside: bool, arrives: Callable[[bytes], None]) -> None:
        self._unable(f"have a host {address} on a wire of the NAT")

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

    def _on_card(self) -> FieldHosts:
        testbed = self._testbed
        per_s, arrived = testbed.allowance.packets_per_s, lambda name, packet: self.arrived(name, packet)
        self._hosts = FieldHosts(self._lab.clients, testbed.card, per_s, self.sites.values(), arrived)
        return self._hosts


def _names(spec: RouterSpec) -> dict[str, str]:
    known = NAT_NAMES if spec.role == NAT else ENDPOINT_NAMES
    return names_of({documents: spec.ports[use].name for documents, use in known.items()})
