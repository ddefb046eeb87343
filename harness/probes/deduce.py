"""Who is who in captures that nobody described: gateway, NAT, clients; and whether inside and outside are what they are called."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.errors import UsageError
from harness.model import FrameKind, Observation, Pair

KINDS = (FrameKind.IKE, FrameKind.ESP, FrameKind.KEEPALIVE, FrameKind.L2TP_CLEAR)
"""What a capture is judged for."""

_SERVICES = (500, 4500, 1701)
_SURE = 0.9
"""Share of the frames that one address has to have a part in to be taken for the gateway."""


@dataclass(frozen=True, slots=True)
class WhoIsWho:
    """`nat` is "" where nothing is translated, or where no capture shows the outside. `clients` are inside addresses in the order
    in which they appear. `said` is a sentence for each thing that was deduced."""

    gateway: str
    nat: str
    clients: tuple[str, ...]
    prefix: str
    said: tuple[str, ...] = field(default=(), compare=False)


def gateway_of(sides: Iterable[Sequence[Observation]]) -> str:
    """The gateway's address: main modes begin towards it, or else it is the end at which the services are. UsageError where several
    addresses may be meant."""
    every = [o for side in sides for o in side if o.kind in KINDS]
    counts = Counter(o.dst for o in every if o.ike is not None and o.ike.get("message") == "MM1")
    if not counts:
        for o in every:
            up, down = o.dport in _SERVICES, o.sport in _SERVICES
            counts.update([o.dst] if up and not down else [o.src] if down and not up else {o.src, o.dst})
    ranked = counts.most_common()
    first, count = ranked[0]
    if count < _SURE * sum(counts.values()) and (len(ranked) < 2 or ranked[1][1] * 3 > count):
        named = ", ".join(f"{address} ({frames} frames)" for address, frames in ranked[:5])
        raise UsageError(f"which of these addresses is the gateway, the captures do not show: {named}", cure="--gateway A")
    return first


def inside_addresses(inside: Iterable[Observation], gateway: str) -> tuple[str, ...]:
    """Whoever talks to the gateway, by first appearance."""
    ends = (o.src if o.dst == gateway else o.dst for o in inside if o.kind in KINDS and gateway in (o.src, o.dst))
    return tuple(dict.fromkeys(ends))


def covering(addresses: Iterable[str]) -> str:
    """The smallest network, of 24 bits at most, that holds all of the addresses."""
    numbers = [int(ipaddress.IPv4Address(one)) for one in addresses]
    bits = min([24, *(32 - (numbers[0] ^ number).bit_length() for number in numbers)])
    return str(ipaddress.IPv4Network((numbers[0], bits), strict=False))


def nat_of(outside: Mapping[int, Observation], pairs: Iterable[Pair], inside: Mapping[int, Observation]) -> Counter[str]:
    """The addresses that the NAT shows the clients under, by frames; empty where it shows them under their own."""
    found: Counter[str] = Counter()
    for pair in pairs:
        one, other = inside[pair.inside], outside[pair.outside]
        before, behind = (one.src, other.src) if pair.direction == "up" else (one.dst, other.dst)
        if before != behind:
            found[behind] += 1
    return found


@dataclass(frozen=True, slots=True)
class Order:
    """How many of the packets that both captures have passed a router on the way from the first to the second file as they were
    named (`right`), the other way round (`wrong`), or no router at all (`none`)."""

    right: int
    wrong: int
    none: int

    @property
    def swapped(self) -> bool:
        return self.wrong > self.right

    @property
    def same_side(self) -> bool:
        return self.none > 0 and not self.right and not self.wrong


def order(pairs: Iterable[Pair], inside: Mapping[int, Observation], outside: Mapping[int, Observation]) -> Order:
    """By the TTL, which a router takes one from: it is higher before it than behind it (RFC 1812 section 5.3.1)."""
    found = Counter[str]()
    for pair in pairs:
        one, other = inside[pair.inside].ttl, outside[pair.outside].ttl
        before, behind = (one, other) if pair.direction == "up" else (other, one)
        found["right" if before > behind else "wrong" if before < behind else "none"] += 1
    return Order(found["right"], found["wrong"], found["none"])
