"""The world of "NAT support for IPsec ESP" in virtual time: endpoints inside and outside a NAT, every one a virtual IOS router.

esp_sites draws it. Options of a script: `west` and `east`, how many endpoints there are on either side (1 and 1); `nat` False: no
NAT between them, and what is west is on the outside too, by the same addresses; the wire knows the way to everybody's network
then, so that what goes in the clear comes to where it is for; `first_spis`, by an endpoint's name, what chance gives it as its
first SPI; `nat_outside`: the NAT's outside address, where a script configures another; `pool`: further addresses of the outside
wire that lead to the NAT. Both sides of the NAT are captured; without a NAT the one wire is the outside. Hosts without an endpoint
before them: nat_hosts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path

from harness.clients.journal import KEYS_MODE, LineFile
from harness.model import CaptureFacts, Logged, Side
from harness.probes.dissect import Addresses
from harness.routers import esp_sites
from harness.routers.consoles import Consoles
from harness.routers.esp_sites import EAST, NAT, NAT_OUTSIDE, NAT_POOL, WEST, Site
from harness.routers.makers import Makers
from harness.routers.play import Gathered
from harness.routers.script import RouterScript
from harness.routers.terminal import Log, Terminal
from harness.scenario.simulated_captures import SimulatedCapture
from harness.simulation.loop import SimulatedLoop
from harness.simulation.nat_box import NatBox
from harness.simulation.network import Switch
from harness.virtual.ios.endpoint_role import EndpointRole
from harness.virtual.ios.state import State
from harness.wire import ip
from harness.wire.packet import ESP

CONFIGURATION = Path(__file__).parent / "configurations" / "esp-nat.cfg"
INSIDE_DELAY_S, OUTSIDE_DELAY_S = 0.001, 0.005


class SimulatedEsp(Consoles):
    """The wire that is captured and loses packets is the outside one. `arrived` is called with the name of an endpoint and each
    packet that comes out behind it."""

    def __init__(self, loop: SimulatedLoop, script: RouterScript, gathered: Gathered, seed: int, makers: Makers) -> None:
        super().__init__(loop, script, seed)
        self.arrived: Callable[[str, bytes], None] = lambda name, packet: None
        self.inside = Switch(loop)
        self.sites: dict[str, Site] = {}
        self.boxes: dict[str, NatBox] = {}
        self.roles: dict[str, EndpointRole] = {}
        self.sent_inside: dict[str, bytes] = {}  # the last ESP packet that an endpoint before the NAT sent there
        self._insiders: set[str] = set()
        self._gathered = gathered
        self._makers = makers
        self.natted = bool(script.options.get("nat", True))
        self.nat_outside = str(script.options.get("nat_outside", NAT_OUTSIDE))
        west, east = esp_sites.sites_of(script.options)
        if self.natted:
            self._add_nat()
        for site in west:
            self._add_endpoint(site, esp_sites.client(site, east))
        for site in east:
            self._add_endpoint(site, esp_sites.concentrator(site, west))

    def _release(self, device: str) -> str:
        release: str = self._script.options.get("releases", {}).get(device, self._script.release)
        return release

    def _console(self, device: str, state: State, box: NatBox) -> None:
        self.boxes[device] = box
        self.terminals[device] = Terminal(device, state, self.loop.time, box.settle)
        Log(state, lambda line: self._gathered.logged.append(Logged(self.epoch(), device, line)))
        self._type_first(device)

    def _add_nat(self) -> None:
        state = self._state(NAT, CONFIGURATION.read_text(encoding="utf-8"), self._release(NAT))
        role = self._makers.nat(NAT, state, self.entropy(NAT))
        box = NatBox(self.loop, role, self.inside.send, self._cross)
        role.wake = box.settle
        for address in (self.nat_outside, *self._script.options.get("pool", ())):
            self.switch.attach(ip.packed(address), OUTSIDE_DELAY_S, box.from_outside)
        self.switch.route(NAT_POOL, OUTSIDE_DELAY_S, box.from_outside)
        self._console(NAT, state, box)

    def _add_endpoint(self, site: Site, lines: tuple[str, ...]) -> None:
        state = self._state(site.name, "\n".join(lines), self._release(site.name))
        role = self.roles[site.name] = self._makers.endpoint(site.name, state, self.entropy(site.name))
        role.keys = []
        self._give_first_spi(site.name, role)
        behind = self.natted and site.side == WEST
        box = NatBox(
            self.loop,
            role,
            lambda packet: self.arrived(site.name, packet),
            lambda packet: self._sent(site.name, behind, packet),
        )
        role.wake = box.settle
        self.sites[site.name] = site
        place, delay_s = (self.inside, INSIDE_DELAY_S) if behind else (self.switch, OUTSIDE_DELAY_S)
        place.attach(ip.packed(site.address), delay_s, box.from_outside)
        if not self.natted:
            self.switch.route(IPv4Network(f"{site.network}.0/24"), delay_s, box.from_outside)
        self._console(site.name, state, box)

    def _give_first_spi(self, name: str, role: EndpointRole) -> None:
        spi = self._script.options.get("first_spis", {}).get(name)
        if spi is not None and role.core is not None:
            negotiation, left = role.core.negotiation, [spi]
            by_chance = negotiation.draw
            negotiation.draw = lambda: left.pop() if left else by_chance()

    # Packets

    def attach(self, address: str, inside: bool, arrives: Callable[[bytes], None]) -> None:
        """A host of its own on the NAT's inside wire, or on the outside one."""
        place, delay_s = (self.inside, INSIDE_DELAY_S) if inside else (self.switch, OUTSIDE_DELAY_S)
        place.attach(ip.packed(address), delay_s, arrives)
        if inside:
            self._insiders.add(address)

    async def met(self) -> None:
        """Its wires know who is on them."""

    def from_neighbour(self, address: str, packet: bytes) -> None:
        (self.to_nat if address in self._insiders else self.inject)(packet)

    def to_nat(self, packet: bytes) -> None:
        """A host on the inside wire sends."""
        self.loop.call_later(INSIDE_DELAY_S, self.boxes[NAT].from_inside, packet)

    def from_host(self, name: str, packet: bytes) -> None:
        """A host behind that endpoint sends."""
        self.boxes[name].from_inside(packet)

    def _sent(self, name: str, behind: bool, packet: bytes) -> None:
        self._write_keys()
        if behind:
            if packet[9] == ESP:
                self.sent_inside[name] = packet
            self.to_nat(packet)
        else:
            self._cross(packet)

    # A Lab for scripts

    async def reboot(self, device: str) -> None:
        state = self.terminals[device].state
        state.reload("Reload Command")
        self.boxes[device].settle()
        await asyncio.sleep(state.up_at - state.now)
        self.boxes[device].settle()

    # Witnesses

    @property
    def addresses(self) -> Addresses:
        """The endpoints in the west play the clients' part: the keys are their own."""
        clients = {name: site.address for name, site in self.sites.items() if site.side == WEST}
        return Addresses(Site(EAST, 1).address, self.nat_outside, clients)

    @contextmanager
    def captured(self, folder: Path, captures: list[CaptureFacts]) -> Iterator[None]:
        wire = SimulatedCapture(Side.OUTSIDE, folder, "outside the NAT" if self.natted else "the wire")
        inside = SimulatedCapture(Side.INSIDE, folder, "inside the NAT") if self.natted else None
        self._keys = LineFile(folder / "keys.jsonl", KEYS_MODE)
        self.switch.tap = wire.see
        if inside is not None:
            self.boxes[NAT].tap = inside.see
        try:
            yield
        finally:
            self._write_keys()
            self.switch.tap = None
            self._keys.close()
            self._keys = None
            if inside is not None:
                self.boxes[NAT].tap = None
                captures.append(inside.close())
            captures.append(wire.close())

    def _write_keys(self) -> None:
        """Before the packets that they are for are captured."""
        if self._keys is None:
            return
        for name, role in self.roles.items():
            heard, role.keys = role.keys or [], []
            if self.sites[name].side == WEST:
                for event in heard:
                    self._write_key(name, "", event)
