"""RIP version 2 on the PPP links of a router, sans-IO (RFC 2453): tells callers the router's networks, and learns theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from harness.errors import ProtocolError
from harness.wire import ip, rip

UPDATE_S = 30.0
TIMEOUT_S = 180.0
"""Section 3.8: how often all is told, and for how long a route holds that is told no more."""


@dataclass(frozen=True, slots=True)
class RipConfig:
    """`address` is the router's own on its links. `networks` are told: those of its other interfaces that take part. `passive`:
    links are listened to, and told nothing."""

    address: str
    networks: tuple[IPv4Network, ...] = ()
    passive: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """Learnt from the neighbour at `via`, on the link of that index."""

    network: IPv4Network
    metric: int
    via: str
    link: int
    heard: float


class Rip:
    """Without a `config` it does nothing. Packets that it makes are whole IP packets for the link that they are asked for."""

    def __init__(self) -> None:
        self.config: RipConfig | None = None
        self.routes: dict[IPv4Network, Route] = {}
        self.deadline: float | None = None

    def configure(self, now: float, config: RipConfig | None) -> None:
        """What it has learnt stays, unless there is no RIP any more."""
        if config == self.config:
            return
        self.config = config
        self.deadline = None if config is None else now
        if config is None:
            self.routes.clear()

    def takes(self, packet: bytes) -> bool:
        """Whether an IP packet from a link is for it."""
        if self.config is None or len(packet) < 28 or packet[9] != ip.UDP:
            return False
        start = (packet[0] & 15) * 4
        return int.from_bytes(packet[start + 2 : start + 4]) == rip.PORT and ip.dotted(packet[16:20]) in (
            rip.GROUP,
            self.config.address,
        )

    def hear(self, now: float, neighbour: str, link: int, packet: bytes) -> list[bytes]:
        """A packet that it takes, from the neighbour at that address; the answer to a request. ProtocolError for what is no RIP, or
        comes from another address."""
        parsed = ip.parse_ipv4(packet)
        datagram = ip.parse_udp(parsed.payload)
        if parsed.source != neighbour:
            raise ProtocolError("rip", f"it is from {parsed.source}, and the neighbour is {neighbour}")
        message = rip.parse(datagram.payload)
        if message.request:
            return self.update(now, link, neighbour, datagram.sport) if message.whole else []
        if datagram.sport != rip.PORT:
            raise ProtocolError("rip", f"a response from port {datagram.sport}")
        for entry in message.entries:
            self._learn(now, entry, neighbour, link)
        return []

    def _learn(self, now: float, entry: rip.Entry, via: str, link: int) -> None:
        """Section 3.9.2: from the neighbour that the route is from anything is believed, from another what is nearer."""
        metric = min(entry.metric + 1, rip.INFINITY)
        known = self.routes.get(entry.network)
        if known is not None and now - known.heard >= TIMEOUT_S:
            known = None
        own = known is not None and (known.via, known.link) == (via, link)
        if metric == rip.INFINITY:
            if own:
                del self.routes[entry.network]
        elif known is None or own or metric < known.metric:
            self.routes[entry.network] = Route(entry.network, metric, via, link, now)

    def route(self, now: float, address: str) -> Route | None:
        """The longest that fits; None where a network of the router's own fits as well."""
        there = IPv4Address(address)
        found = [one for one in self.routes.values() if there in one.network and now - one.heard < TIMEOUT_S]
        best = max(found, key=lambda one: one.network.prefixlen, default=None)
        own = [one.prefixlen for one in (self.config.networks if self.config else ()) if there in one]
        return None if best is None or max(own, default=-1) >= best.network.prefixlen else best

    def update(self, now: float, link: int, to: str = rip.GROUP, port: int = rip.PORT) -> list[bytes]:
        """All that is told on a link: nothing that came over it (split horizon, section 3.4.3). An update goes to all who listen
        there, an answer to the address and port that asked."""
        if self.config is None or self.config.passive:
            return []
        entries = dict.fromkeys(self.config.networks, 1)
        for one in self.routes.values():
            if one.link != link and now - one.heard < TIMEOUT_S:
                entries.setdefault(one.network, one.metric)
        return [self._packet(to, port, message) for message in rip.responses(_in_order(entries))]

    def _packet(self, to: str, port: int, message: bytes) -> bytes:
        own = self.config.address if self.config is not None else "0.0.0.0"
        datagram = ip.build_udp(ip.packed(own), ip.packed(to), rip.PORT, port, message)
        return ip.build_ipv4(own, to, ip.UDP, datagram, ttl=2 if to == rip.GROUP else 64)

    def tick(self, now: float) -> bool:
        """Whether it is time to tell all neighbours; what has been told no more for long is forgotten then."""
        if self.deadline is None or now < self.deadline:
            return False
        self.deadline = now + UPDATE_S
        self.routes = {network: one for network, one in self.routes.items() if now - one.heard < TIMEOUT_S}
        return True


def _in_order(entries: Mapping[IPv4Network, int]) -> Iterable[rip.Entry]:
    return [rip.Entry(network, entries[network]) for network in sorted(entries)]
