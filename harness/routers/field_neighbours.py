"""Hosts on the wires of a NAT that is there, without an endpoint before them: on two lent cards, one on each of its sides.

    host 10.0.0.50 ──┐                    ┌── host 203.0.113.9
    host 10.0.0.51 ──┴── inside [NAT] outside ──┴── router .254 ── hosts of other networks

Who is inside sends all to the NAT. Who is outside is a neighbour of what is in the NAT's outside network, and knows no way to
anywhere else: private networks are not routed there. Hosts of other networks are behind a router, which is as little there as they
are: whatever the NAT gives it comes to them. IOS hears no ARP of another network, and so has to be told a route to it (`routes`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from harness.lab.namespaces import Netns
from harness.model.router_lab import ON_INSIDE, ON_OUTSIDE, OUTSIDERS, SAMPLES
from harness.model.sites import EAST, NAT, HostBehind, numbered
from harness.routers.field_hosts import FieldHosts

BEYOND = "router outside"
"""Who is before the hosts of other networks."""
SIDES = (ON_INSIDE, ON_OUTSIDE)


def addresses_in(lines: Sequence[str]) -> dict[str, IPv4Interface]:
    """By side, the NAT's own addresses, as a script configures them."""
    found: dict[str, IPv4Interface] = {}
    address: IPv4Interface | None = None
    for words in map(str.split, lines):
        if words[:1] == ["interface"]:
            address = None
        elif words[:2] == ["ip", "address"]:
            address = IPv4Interface("/".join(words[2:4]))
        elif words[:2] == ["ip", "nat"] and words[2:] in ([ON_INSIDE], [ON_OUTSIDE]) and address is not None:
            found[words[2]] = address
    return found


def vrf_in(lines: Sequence[str]) -> str:
    """The VRF that its hosts inside are in; "" for none."""
    return next((line.split()[3] for line in lines if line.split()[:3] == ["ip", "vrf", "forwarding"]), "")


def beyond(outside: IPv4Interface) -> str:
    """The address of the router outside: the last one of the NAT's network there."""
    return str(outside.network.broadcast_address - 1)


def routes(lines: Sequence[str]) -> list[str]:
    """What a NAT with those lines is told of ways out, beyond what a script knows of: to the networks of the documents' samples;
    and out of a VRF, which has none before it has a route distinguisher, to each neighbour by itself (an Ethernet alone is no next
    hop there)."""
    outside, vrf = addresses_in(lines)[ON_OUTSIDE], vrf_in(lines)
    found = [f"ip vrf {vrf}", " rd 1:1", "exit"] if vrf else []
    if outside.ip in (samples := IPv4Network(SAMPLES)):
        way = f"{samples.network_address} {samples.netmask} {beyond(outside)}"
        found += [f"ip route {way}", *([f"ip route vrf {vrf} {way} global"] if vrf else [])]
    elif vrf:
        there = (*OUTSIDERS, *(site.address for site in numbered(EAST, 2)))
        found += [f"ip route vrf {vrf} {one} 255.255.255.255 {one} global" for one in there]
    return found


class Neighbours:
    """`cards` and `nat`: by side, the card, and the NAT's address there. They send at most `per_s` frames in a second on each side.
    LabError where there is no such card."""

    def __init__(self, where: Netns, cards: Mapping[str, str], per_s: int, nat: Mapping[str, IPv4Interface]) -> None:
        self._cards = cards
        self._nat = nat
        self._arrives: dict[str, Callable[[bytes], None]] = {}
        self._inside: set[str] = set()
        self._hosts: dict[str, FieldHosts] = {}
        try:
            for side in SIDES:
                self._hosts[side] = FieldHosts(where, cards[side], per_s, (), self._came)
        except BaseException:
            self.close()
            raise

    def attach(self, address: str, inside: bool, arrives: Callable[[bytes], None]) -> None:
        """One more host, with that address. It is to `meet` the NAT before it sends."""
        side = ON_INSIDE if inside else ON_OUTSIDE
        self._arrives[address] = arrives
        if inside:
            self._inside.add(address)
        near = IPv4Address(address) in self._nat[side].network
        name, host = (address, address) if near else (BEYOND, beyond(self._nat[side]))
        self._hosts[side].add(HostBehind(name, host, str(self._nat[side].ip)))

    def send(self, address: str, packet: bytes) -> None:
        """The host with that address sends."""
        if address in self._inside:
            self._hosts[ON_INSIDE].send(address, packet)
        elif IPv4Address(packet[16:20]) in (outside := self._nat[ON_OUTSIDE].network):
            name = address if IPv4Address(address) in outside else BEYOND
            self._hosts[ON_OUTSIDE].send(name, packet, packet[16:20])

    async def meet(self) -> list[str]:
        """A sentence for each side on which the NAT does not answer."""
        return [
            f"{NAT} does not answer ARP for {self._nat[side].ip} on {self._cards[side]}, on its {side}: look at that wire"
            for side, hosts in self._hosts.items()
            if await hosts.unanswered()
        ]

    @property
    def unsent(self) -> int:
        return sum(hosts.unsent for hosts in self._hosts.values())

    def close(self) -> None:
        for hosts in self._hosts.values():
            hosts.close()

    def _came(self, name: str, packet: bytes) -> None:
        """To whom it is for, on whichever side: a host of its own network has an address to itself, and what comes to the router
        outside is for one behind it. What is for nobody here comes to nobody."""
        if (arrives := self._arrives.get(str(IPv4Address(packet[16:20])))) is not None:
            arrives(packet)
