"""One simulated network from its first packet to its last: what is where, who chooses by what chance, and who watches.

    clients of site 1 ── link ── NAT 1 ──┐
    clients of site 2 ── link ── NAT 2 ──┼── switch ── gateway ── end host
    clients of site 0 ───────────────────┘

Captured are the link of each site, as the NAT's inside interface sees it, and all that goes through the switch.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.clients import personality
from harness.clients.fleet import BuildStack, simulated
from harness.clients.packet_carrier import PacketCarrier
from harness.clients.personality import Personality
from harness.model import Side, Site
from harness.model.testbed import Testbed
from harness.nat import personality as nats
from harness.nat.core import NatCore
from harness.routers.gateway_configuration import router
from harness.routers.script import GatewayStart
from harness.scenario.bench import Gathered
from harness.scenario.script import Script
from harness.scenario.simulated_captures import GatewayCaptures, SimulatedCapture
from harness.simulation.gateway_box import GatewayBox
from harness.simulation.link import Link
from harness.simulation.loop import SimulatedLoop
from harness.simulation.nat_box import NatBox
from harness.simulation.network import Switch
from harness.virtual import settings as gateways
from harness.virtual.gateway import VirtualGateway
from harness.virtual.ios.router import IosRouter
from harness.wire.config import Entropy
from harness.wire.ip import packed

KERNEL_NAT = "pat"
"""The personality that stands for the kernel's NAT, which has no other in a testbed."""

INSIDE_DELAY_S = 0.0003
NAT_DELAY_S = 0.0004
GATEWAY_DELAY_S = 0.0005
STEP_S = 0.00001
"""Every way of a site takes longer by this than those of the site before it: their packets do not coincide by chance."""

INSIDES = {1: Side.INSIDE, 2: Side.INSIDE_2}


@dataclass(frozen=True, slots=True)
class Makers:
    """What stands at the three places; a fault puts another there."""

    stack: BuildStack = simulated
    look: Callable[[str], Personality] = personality.load
    nat: Callable[..., NatCore] = NatCore
    gateway: Callable[[gateways.Settings, Entropy], VirtualGateway] = VirtualGateway
    router: Callable[[gateways.Settings, Entropy, GatewayStart], IosRouter] = router


def settings_of(testbed: Testbed, variant: str, script: Script) -> gateways.Settings:
    """What the gateway is told: its personality, the testbed's names and secrets, and what the script wants otherwise."""
    clients, gateway = testbed.clients, testbed.gateway
    look = gateways.load(variant)
    settings = gateways.Settings(
        look if script.time_scale == 1.0 else look.scaled(script.time_scale),
        address=gateway.address,
        psk=clients.psk,
        users={clients.user_of(number): clients.password_of(number) for number in range(1, gateway.users + 1)},
        ppp_address=gateway.ppp_address,
        pool_first=gateway.pool_first,
        pool_last=gateway.pool_last,
        lan=None if gateway.lan is None else gateway.lan.address,
        end_host=None if gateway.end_host is None else gateway.end_host.host,
    )
    return settings.changed(**script.gateway)


def sites_of(script: Script) -> tuple[int, ...]:
    """The sites at which a client of that script is; the first NAT is always there."""
    return tuple(sorted({1} | {int(changes.get("site", 1)) for changes in script.overrides.values()}))


class Network:
    """Made for one scenario, inside the loop that it lives on. `seed` decides what chance does."""

    def __init__(
        self, loop: SimulatedLoop, testbed: Testbed, variant: str, script: Script, seed: int, makers: Makers
    ) -> None:
        self.loop = loop
        self.settings = settings_of(testbed, variant, script)
        self.switch = Switch(loop)
        self.carriers: list[PacketCarrier] = []
        self.nats: dict[int, NatBox] = {}
        self._ways: dict[int, Link] = {}  # from the switch to each site's NAT
        self._cut: set[int] = set()  # the sites whose NAT has no link to the switch at present
        self._testbed = testbed
        self._script = script
        self._seed = seed
        entropy = self.entropy("gateway")
        core: IosRouter | VirtualGateway
        if testbed.gateway.os == "ios":
            core = makers.router(self.settings, entropy, script.router or GatewayStart())
        else:
            core = makers.gateway(self.settings, entropy)
        self.gateway = GatewayBox(loop, core, self.switch.send)
        self.switch.attach(packed(self.settings.address), GATEWAY_DELAY_S, self.gateway.receive)
        for site in sites_of(script):
            if site:
                self._behind_nat(site, makers.nat)
            else:
                self._in_the_open()

    def entropy(self, whose: str) -> Entropy:
        """Everybody's own, so that one's draws do not change another's."""
        return random.Random(f"{self._seed} {whose}").randbytes

    def outside_of(self, site: int) -> str:
        """The outside address of a site's NAT: the testbed's, and those that follow it, past the gateway's."""
        first = ipaddress.IPv4Address(self._testbed.nat.outside.host)
        taken = ipaddress.IPv4Address(self._testbed.gateway.address)
        following = [first + number for number in range(site + 1) if first + number != taken]
        return str(following[site - 1])

    def renumber(self, site: int, outside: str) -> None:
        box = self.nats[site]
        core = box.core
        assert isinstance(core, NatCore)
        self.switch.detach(packed(core.outside))
        core.renumber(self.loop.time(), outside)
        self._attach(site)
        box.settle()

    def cut(self, site: int) -> None:
        """Nothing passes between a site's NAT and the switch. The capture is on the NAT's side of the cut: it has what the NAT
        sends, and nothing of what it is sent."""
        self._cut.add(site)
        self._ways[site].up = False

    def mend(self, site: int) -> None:
        self._cut.discard(site)
        self._ways[site].up = True

    @contextmanager
    def captured(self, folder: Path, gathered: Gathered) -> Iterator[None]:
        """Captures into `folder` while inside; afterwards `gathered` has their facts and what the gateway said."""
        kept = self._script.captures
        translated = self.settings.personality.demux
        outside = SimulatedCapture(Side.OUTSIDE, folder, "switch", kept=kept)
        insides = {site: SimulatedCapture(INSIDES[site], folder, f"inside of NAT {site}", kept=kept) for site in self.nats}
        within = GatewayCaptures(folder, translated, kept)
        self.switch.tap = outside.see
        for site, capture in insides.items():
            self.nats[site].tap = capture.see
        self.gateway.tap = within.see
        try:
            yield
        finally:
            self.switch.tap = self.gateway.tap = None
            for box in self.nats.values():
                box.tap = None
            gathered.sites += [Site(site, self.outside_of(site), INSIDES[site]) for site in self.nats if site != 1]
            gathered.captures += [capture.close() for capture in (outside, *insides.values())]
            gathered.captures += within.close()
            gathered.gateway_events += self.gateway.events

    # Within

    def _behind_nat(self, site: int, make: Callable[..., NatCore]) -> None:
        core = make(
            self._nat_personality(),
            outside=self.outside_of(site),
            inside=self._testbed.clients.prefix,
            entropy=self.entropy(f"NAT {site}"),
        )
        delay_s = INSIDE_DELAY_S + site * STEP_S
        up = Link(self.loop, delay_s, lambda packet: box.from_inside(packet))
        carrier = PacketCarrier(up.send, site)
        down = Link(self.loop, delay_s, carrier.receive)
        box = self.nats[site] = NatBox(self.loop, core, down.send, lambda packet: self._from_nat(site, packet))
        self.carriers.append(carrier)
        self._attach(site)
        if core.parts.translator is None:
            network = ipaddress.IPv4Network(self._testbed.clients.prefix)
            self._ways[site] = self.switch.route(network, NAT_DELAY_S + site * STEP_S, box.from_outside)

    def _from_nat(self, site: int, packet: bytes) -> None:
        if site in self._cut:
            self.switch.see(packet)
        else:
            self.switch.send(packet)

    def _in_the_open(self) -> None:
        """Clients with addresses of their own on the switch, which learns them from what they send."""
        known: set[bytes] = set()

        def emit(packet: bytes) -> None:
            if packet[12:16] not in known:
                known.add(packet[12:16])
                self.switch.attach(packet[12:16], NAT_DELAY_S, carrier.receive)
            self.switch.send(packet)

        carrier = PacketCarrier(emit, 0)
        self.carriers.append(carrier)

    def _attach(self, site: int) -> None:
        box = self.nats[site]
        assert isinstance(box.core, NatCore)
        way = self._ways[site] = self.switch.attach(packed(box.core.outside), NAT_DELAY_S + site * STEP_S, box.from_outside)
        way.up = site not in self._cut

    def _nat_personality(self) -> nats.Personality:
        """The script's, else the testbed's; the kernel's NAT with the ports and timers that the testbed gives it."""
        spec = self._testbed.nat
        name = self._script.nat or spec.personality
        if name is not None:
            return nats.load(name)
        look = nats.load(KERNEL_NAT)
        if look.translation is None:
            return look
        ports = replace(look.translation.ports, first=spec.first_port, last=spec.last_port)
        until_answered, answered = float(spec.udp_timeout_s), float(spec.udp_stream_timeout_s)
        translation = replace(look.translation, ports=ports, udp_s=until_answered, udp_stream_s=answered)
        return replace(look, translation=translation)
