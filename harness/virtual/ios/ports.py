"""The Ethernets of a router that stands between two sides, as a NAT or a VPN endpoint does. Sans-IO: frames in and out.

What its configuration says of interfaces counts at any time: addresses (the router answers ARP for them), the side, `shutdown`,
static routes, and proxy ARP (RFC 1027), which IOS does unless it is told `no ip proxy-arp`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Protocol

from harness.virtual.ios.configuration import Entry
from harness.virtual.ios.endpoint_sides import addresses, routes
from harness.virtual.ios.state import State
from harness.virtual.vpn_endpoint import Side
from harness.wire.arp import EthernetNode


class TwoSided(Protocol):
    """What is between the sides: nat_role.NatRole, endpoint_role.EndpointRole."""

    state: State
    wake: Callable[[], None]

    @property
    def deadline(self) -> float | None: ...

    def receive(self, now: float, side: Side, packet: bytes) -> None: ...

    def tick(self, now: float) -> None: ...

    def take_packets(self) -> list[tuple[Side, bytes]]: ...

    def side_of(self, interface: str) -> Side | None: ...

    def stands_for(self, side: Side, address: bytes) -> bool: ...


@dataclass(frozen=True, slots=True)
class Way:
    """Over which interface packets to a network go, and by which neighbour: None where all of it is on the link."""

    network: IPv4Network
    interface: str
    hop: str | None = None


@dataclass(frozen=True, slots=True)
class Roads:
    """What a configuration says of the interfaces that a router has ports for. Those that are shut down are not there; `ways` has
    the most special network first."""

    own: Mapping[str, tuple[IPv4Interface, ...]]
    silent: frozenset[str]
    ways: tuple[Way, ...]

    def way(self, to: IPv4Address, among: frozenset[str]) -> Way | None:
        return next((one for one in self.ways if one.interface in among and to in one.network), None)


def roads(tree: Entry, ports: frozenset[str]) -> Roads:
    up = [one for one in tree.find("interface") if one.words[1] in ports and not one.has("shutdown")]
    own = {one.words[1]: tuple(addresses(one)) for one in up}
    ways = [Way(address.network, name) for name, found in own.items() for address in found]
    for network, via in routes(tree):
        if via in own:
            ways.append(Way(network, via))
        elif via[0].isdigit():
            hop = IPv4Address(via)
            ways += (Way(network, name, via) for name, found in own.items() if any(hop in one.network for one in found))
    silent = frozenset(one.words[1] for one in up if one.has("no ip proxy-arp"))
    return Roads(own, silent, tuple(sorted(ways, key=lambda one: -one.network.prefixlen)))


class Ports:
    """`hardware`: the Ethernet address of each port, by the router's name of the interface. `counts`: aside (packets that came by
    an interface on neither side), no-way (to where no interface leads)."""

    def __init__(self, role: TwoSided, hardware: Mapping[str, bytes]) -> None:
        self.role = role
        self.counts: Counter[str] = Counter()
        self.nodes = {name: EthernetNode(address, partial(self._answers, name)) for name, address in hardware.items()}
        self._names = frozenset(hardware)
        self._roads = roads(role.state.configuration.tree, self._names)
        role.state.configuration.listeners.append(self._configured)

    def receive(self, now: float, name: str, frame: bytes) -> None:
        """A frame that came to that interface. Any bytes may come."""
        packet = self.nodes[name].receive(now, frame) if name in self._roads.own and now >= self.role.state.up_at else None
        if packet is None:
            return
        side = self.role.side_of(name)
        if side is None:
            self.counts["aside"] += 1
        else:
            self.role.receive(now, side, packet)

    def take_frames(self, now: float) -> Iterator[tuple[str, bytes]]:
        """(interface, frame)"""
        for side, packet in self.role.take_packets():
            self._send(now, side, packet)
        for name, node in self.nodes.items():
            for frame in node.take_frames():
                if name in self._roads.own:
                    yield name, frame

    def tick(self, now: float) -> None:
        self.role.tick(now)
        for node in self.nodes.values():
            node.tick(now)

    @property
    def deadline(self) -> float | None:
        times = (self.role.deadline, *(node.deadline for node in self.nodes.values()))
        return min((one for one in times if one is not None), default=None)

    def _send(self, now: float, side: Side, packet: bytes) -> None:
        among = frozenset(name for name in self._roads.own if self.role.side_of(name) == side)
        way = self._roads.way(IPv4Address(packet[16:20]), among)
        own = () if way is None else self._roads.own[way.interface]
        if way is None or not own:
            self.counts["no-way"] += 1
            return
        hop = packet[16:20] if way.hop is None else IPv4Address(way.hop).packed
        by = next((one for one in own if IPv4Address(hop) in one.network), own[0])
        self.nodes[way.interface].send(now, by.ip.packed, hop, packet)

    def _answers(self, name: str, by: bytes, packed: bytes) -> bool:
        own, address = self._roads.own.get(name, ()), IPv4Address(packed)
        if not any(IPv4Address(by) in one.network for one in own):
            return False  # "wrong cable": IOS hears nobody of another network, though it be on the same switch
        if any(one.ip == address for one in own):
            return True
        side = self.role.side_of(name)
        if side is not None and self.role.stands_for(side, packed):
            return True
        if name in self._roads.silent or any(address in one.network for one in own):
            return False
        way = self._roads.way(address, self._names)
        return way is not None and way.interface != name

    def _configured(self, old: Entry, new: Entry) -> None:
        self._roads = roads(new, self._names)
