"""Who is where in the world of "NAT support for IPsec ESP": endpoints inside and outside a NAT, each with a network behind it.

    host 10.1.n.5 ── west-n 10.0.0.1n ── 10.0.0.1 nat 203.0.113.232 ── 203.0.113.24k east-k ── host 10.2.k.5
"""

from __future__ import annotations

from dataclasses import dataclass

NAT, WEST, EAST = "nat", "west", "east"
NAT_INSIDE, NAT_OUTSIDE = "10.0.0.1", "203.0.113.232"


@dataclass(frozen=True, slots=True)
class HostBehind:
    """A host on the LAN of the router of that name, which has the address `gateway` there."""

    name: str
    host: str
    gateway: str


@dataclass(frozen=True, slots=True)
class Site:
    """An endpoint and the network behind it. `number` counts from 1 on its side."""

    side: str
    number: int

    @property
    def name(self) -> str:
        return f"{self.side}-{self.number}"

    @property
    def address(self) -> str:
        return f"10.0.0.{10 + self.number}" if self.side == WEST else f"203.0.113.{240 + self.number}"

    @property
    def network(self) -> str:
        """Its first three octets."""
        return f"10.{1 if self.side == WEST else 2}.{self.number}"

    @property
    def host(self) -> str:
        return f"{self.network}.5"

    @property
    def gateway(self) -> str:
        """The endpoint's own address there."""
        return f"{self.network}.1"


def numbered(side: str, count: int) -> tuple[Site, ...]:
    """So many sites on a side, from 1 on."""
    return tuple(Site(side, number) for number in range(1, count + 1))


def site_of(name: str) -> Site:
    """The site of that name, "west-1"."""
    side, _, number = name.partition("-")
    return Site(side, int(number))
