"""The ESP SAs: inbound found by SPI, outbound by where L2TP sends to."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from harness.wire.esp import InboundSa, OutboundSa

if TYPE_CHECKING:
    from harness.virtual.peers import Association, Client


@dataclass(slots=True, eq=False)
class Sa:
    """A pair of SAs with one client. `port`: that by which L2TP's packets choose it, the client's translated one, else its own."""

    spi_in: int
    spi_out: int
    inbound: InboundSa
    outbound: OutboundSa
    udp: bool  # encapsulated in UDP 4500 (RFC 3948), else IP protocol 50
    client: Client
    association: Association
    selector: int  # the client's L2TP port as quick mode agreed on it; 0: any
    original: tuple[str, ...]  # NAT-OA, the initiator's first
    port: int
    heard_at: float  # when authentic ESP came last
    tunnel: bool = False  # ESP holds a whole IP packet between the two ends, else the UDP datagram

    @property
    def address(self) -> str:
        return self.client.address


class SaLookup(Protocol):
    """Which SA a packet of L2TP's goes into."""

    def add(self, sa: Sa) -> None:
        """The newest SA of its address and port."""

    def remove(self, sa: Sa) -> None:
        """By the address and port that it had when it was added."""

    def find(self, address: str, port: int) -> Sa | None: ...


class NewestByAddressAndPort:
    """By the peer's address and UDP port, and of several the newest: all that a packet shows, and so all that there is to go by.

    Behind one NAT everybody is at the same address and port 1701, unless each client has a port of its own.
    """

    def __init__(self) -> None:
        self._found: dict[Hashable, dict[int, Sa]] = {}  # by inbound SPI, newest last

    def key(self, address: str, port: int) -> Hashable:
        return address, port

    def add(self, sa: Sa) -> None:
        self._found.setdefault(self.key(sa.address, sa.port), {})[sa.spi_in] = sa

    def remove(self, sa: Sa) -> None:
        key = self.key(sa.address, sa.port)
        there = self._found.get(key, {})
        there.pop(sa.spi_in, None)
        if not there:
            self._found.pop(key, None)

    def find(self, address: str, port: int) -> Sa | None:
        there = self._found.get(self.key(address, port))
        return None if there is None else there[next(reversed(there))]


@dataclass(slots=True)
class Sadb:
    lookup: SaLookup
    by_spi: dict[int, Sa] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Sa]:
        return iter(self.by_spi.values())

    def add(self, sa: Sa) -> None:
        self.by_spi[sa.spi_in] = sa
        self.lookup.add(sa)

    def remove(self, spi_in: int) -> Sa | None:
        sa = self.by_spi.pop(spi_in, None)
        if sa is not None:
            self.lookup.remove(sa)
        return sa

    def named(self, spi: str) -> Sa | None:
        """The pair one of whose SPIs (either direction, hexadecimal) this is. Looks at all of them: for orders, not packets."""
        number = int(spi, 16)
        return self.by_spi.get(number) or next((sa for sa in self if sa.spi_out == number), None)
