"""Endpoints with hosts behind them on the simulated network: between them a wire, a NAT core of some personality, or a capture.

    host 10.1.0.x ── west ── (NAT 192.0.2.1) ── switch ── east ── host 10.2.0.x
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Callable, Coroutine
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from harness.model import GatewayEvent, Secret
from harness.nat import NatCore, load
from harness.nat.personality import Personality
from harness.simulation.loop import SimulatedLoop
from harness.simulation.nat_box import Nat, NatBox
from harness.simulation.network import Switch
from harness.virtual.access_list import access_list
from harness.virtual.crypto_map import CryptoMap, DynamicReference, IsakmpEntry, MapEntry, Policy
from harness.virtual.crypto_map_edits import transform_set
from harness.virtual.nat_transparency import NatTransparency
from harness.virtual.vpn_endpoint import VpnEndpoint
from harness.virtual.vpn_settings import EndpointSettings, IsakmpKey
from harness.wire import ip
from harness.wire.config import IkeProposal
from harness.wire.packet import Packet, from_ip, to_ip

WEST, EAST, NAT = "10.0.0.2", "203.0.113.231", "203.0.113.232"
WEST_LAN, EAST_LAN = "10.1.0.0/16", "10.2.0.0/16"
WEST_HOST, SECOND_HOST, EAST_HOST = "10.1.0.5", "10.3.0.5", "10.2.0.5"
UDP, SPI, OFF = NatTransparency(), NatTransparency(spi_matching=True), NatTransparency(udp_off=True)
FAST = (IkeProposal("aes-128", "sha1", "ecp256"),)
SETS = {
    "aes": transform_set("aes", ["esp-aes", "esp-sha-hmac"]),
    "3des": transform_set("3des", ["esp-3des", "esp-md5-hmac"]),
    "des": transform_set("des", ["esp-des", "esp-sha-hmac"]),
    "ah": transform_set("ah", ["ah-sha-hmac"]),
}
THERE, BACK = f"permit ip {'10.1.0.0 0.0.255.255'} {'10.2.0.0 0.0.255.255'}", "permit ip 10.2.0.0 0.0.255.255 10.1.0.0 0.0.255.255"


def policy(*entries: MapEntry, lists: dict[str, tuple[str, ...]] | None = None, **changes: Any) -> Policy:
    """`lists`: lines of access lists by number or name."""
    made = {name: access_list(name, *lines) for name, lines in (lists or {}).items()}
    return Policy(CryptoMap("mymap", tuple(entries)), made, SETS, **changes)


def settings(address: str, lan: str, rules: Policy, *, key: str = "cisco", **changes: Any) -> EndpointSettings:
    base = EndpointSettings(
        address,
        (IPv4Network(lan),),
        rules,
        (IsakmpKey(IPv4Network("0.0.0.0/0"), Secret(key)),),
        ike_proposals=FAST,
        keepalive_s=0,
    )
    return replace(base, **changes)


def west(peers: tuple[str, ...] = (EAST,), *, lines: tuple[str, ...] = (THERE,), **changes: Any) -> EndpointSettings:
    """The usual one: everything from its network to the other's by entry 10, towards `peers`."""
    entry = IsakmpEntry(10, "101", peers, ("aes",))
    return replace(settings(WEST, WEST_LAN, policy(entry, lists={"101": lines})), **changes)


def east(peers: tuple[str, ...] = (WEST,), *, lines: tuple[str, ...] = (BACK,), **changes: Any) -> EndpointSettings:
    entry = IsakmpEntry(10, "101", peers, ("aes",))
    return replace(settings(EAST, EAST_LAN, policy(entry, lists={"101": lines})), **changes)


def concentrator(how: NatTransparency, **changes: object) -> EndpointSettings:
    """Takes anybody's requests."""
    rules = replace(
        policy(DynamicReference(10, "d"), lists={"101": (BACK, "permit ip 10.2.0.0 0.0.255.255 10.3.0.0 0.0.255.255")}),
        dynamic_maps={"d": (IsakmpEntry(10, "101", (), ("aes",)),)},
    )
    return replace(settings(EAST, EAST_LAN, rules), nat_transparency=how, **changes)  # type: ignore[arg-type]


def second(how: NatTransparency, **changes: object) -> EndpointSettings:
    """Another client behind the same NAT, with a network of its own."""
    made = west(lines=("permit ip 10.3.0.0 0.0.255.255 10.2.0.0 0.0.255.255",))
    return replace(made, address="10.0.0.3", nat_transparency=how, **changes)  # type: ignore[arg-type]


def mark(number: int, src: str = WEST_HOST, dst: str = EAST_HOST, *, sport: int = 9000, dport: int = 9001) -> bytes:
    """A UDP packet of a host's with a number in it."""
    return to_ip(Packet(src, dst, ip.UDP, b"mark %d" % number, sport, dport), identification=number & 0xFFFF)


def number_of(packet: bytes) -> int:
    return int(from_ip(packet).payload.split()[1])


class Site:
    """An endpoint in its box: what came out inside, what was seen outside, what it told."""

    def __init__(self, world: World, name: str, made: EndpointSettings) -> None:
        self.name = name
        self.core = VpnEndpoint(made, random.Random(f"{world.seed} {name}").randbytes)
        self.address = made.address
        self.box = NatBox(world.loop, self.core, self._take, lambda packet: world.sent(self, packet))
        self.got: list[bytes] = []
        self.told: list[GatewayEvent] = []
        self.off = False

    def _take(self, packet: bytes) -> None:
        self.got.append(packet)

    def host(self, packet: bytes) -> None:
        """A host behind it sends."""
        self.box.from_inside(packet)

    def hear(self, packet: bytes) -> None:
        if not self.off:
            self.box.from_outside(packet)

    def order(self, action: Callable[[VpnEndpoint], Any]) -> Any:
        try:
            return action(self.core)
        finally:
            self.box.settle()

    def of(self, *kinds: str) -> list[GatewayEvent]:
        self.told += self.core.take_events()
        return [event for event in self.told if event.kind in kinds]

    @property
    def marks(self) -> list[int]:
        return [number_of(packet) for packet in self.got]

    @property
    def sas(self) -> list[Any]:
        return list(self.core.negotiation.sas)


def _core(nat: str | Personality, seed: int) -> NatCore:
    chosen = load(nat) if isinstance(nat, str) else nat
    return NatCore(chosen, outside=NAT, inside="10.0.0.0/24", entropy=random.Random(seed).randbytes)


class World:
    """Sites on one switch. Those of `behind` sit behind the NAT."""

    def __init__(self, loop: SimulatedLoop, *, nat: str | Personality | Nat | None = None, seed: int = 1) -> None:
        self.loop = loop
        self.seed = seed
        self.sites: dict[str, Site] = {}
        self.behind: set[str] = set()
        self.crossed: list[tuple[float, bytes]] = []  # on the switch: outside the NAT
        self.inside: list[tuple[float, bytes]] = []  # between the sites and the NAT
        self.drop: Callable[[bytes], bool] = lambda packet: False
        self.switch = Switch(loop)
        self.nat: NatBox | None = None
        if nat is not None:
            core = nat if not isinstance(nat, str | Personality) else _core(nat, seed)
            self.nat = NatBox(loop, core, self._from_nat_inside, self._cross)
            self.switch.attach(ip.packed(NAT), 0.005, self.nat.from_outside)

    def add(self, name: str, made: EndpointSettings, *, behind: bool = False) -> Site:
        site = self.sites[name] = Site(self, name, made)
        if behind:
            self.behind.add(name)
        else:
            self.switch.attach(ip.packed(made.address), 0.005, site.hear)
        return site

    def sent(self, site: Site, packet: bytes) -> None:
        if site.name in self.behind:
            assert self.nat is not None
            self.inside.append((self.loop.epoch(), packet))
            self.loop.call_later(0.001, self.nat.from_inside, packet)
        else:
            self._cross(packet)

    def _cross(self, packet: bytes) -> None:
        self.crossed.append((self.loop.epoch(), packet))
        if not self.drop(packet):
            self.switch.send(packet)

    def _from_nat_inside(self, packet: bytes) -> None:
        self.inside.append((self.loop.epoch(), packet))
        for name in self.behind:
            if ip.packed(self.sites[name].address) == packet[16:20]:
                self.loop.call_later(0.001, self.sites[name].hear, packet)

    async def bring_up(self, site: Site, packet: bytes | None = None, seconds: float = 5.0) -> None:
        """The first packet is lost and makes IKE begin."""
        site.host(packet or mark(0))
        await asyncio.sleep(seconds)

    def kinds(self) -> set[str]:
        """Of what crossed the switch: "500", "4500", "esp", "ah", or the protocol's number."""
        return {kind(packet) for _, packet in self.crossed}


async def both_ways(one: Site, two: Site, number: int, host: str = WEST_HOST) -> tuple[bool, bool]:
    """Whether a mark gets from the client's host to the concentrator's, and one back."""
    one.host(mark(number, host))
    await asyncio.sleep(1)
    two.host(mark(number + 1, EAST_HOST, host))
    await asyncio.sleep(1)
    return number in two.marks, number + 1 in one.marks


def kind(packet: bytes) -> str:
    parsed = ip.parse_ipv4(packet)
    if parsed.protocol == ip.UDP:
        ports = struct.unpack("!HH", parsed.payload[:4])
        return next((str(port) for port in (4500, 500) if port in ports), f"udp {ports[1]}")
    return {50: "esp", 51: "ah"}.get(parsed.protocol, str(parsed.protocol))


def write_pcap(path: Path, packets: list[tuple[float, bytes]]) -> None:
    """libpcap's file format, link type 101 (raw IP)."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)]
    for at, packet in packets:
        out.append(struct.pack("<IIII", int(at), int(at % 1 * 1e6), len(packet), len(packet)) + packet)
    path.write_bytes(b"".join(out))


def simulate(scenario: Callable[[SimulatedLoop], Coroutine[Any, Any, None]]) -> None:
    async def inside() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        await scenario(loop)

    with SimulatedLoop.runner() as runner:
        runner.run(inside())
