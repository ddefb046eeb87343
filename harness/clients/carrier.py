"""What carries the clients' datagrams to their gateways and back: shared sockets (`transport`), or whole IP packets on a simulated
link (`packet_carrier`). The fleet does not know which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from harness.clients.clock import RunClock
from harness.wire.events import Datagram
from harness.wire.ip import UDP


@dataclass(frozen=True, slots=True)
class Arrival:
    """A datagram that came in. `to` is the packed IPv4 address it was sent to, `waited` the seconds it lay on this machine before
    it was read. `port` and `sport` are 0 where `protocol` is not UDP. `site` is that of the carrier by which it came."""

    port: int
    source: str
    sport: int
    to: bytes
    payload: bytes
    waited: float = 0.0
    protocol: int = UDP
    site: int = 1


class Owner(Protocol):
    """Who is told of what a carrier brings, and of what went wrong with it."""

    def arrived(self, arrival: Arrival) -> None: ...

    def lost(self, reason: str, count: int) -> None:
        """`count` datagrams were lost on this machine, on their way in or out."""

    def delayed(self, what: str, seconds: float) -> None:
        """A datagram waited that long on this machine before it was handled or sent."""


@dataclass(slots=True)
class Counters:
    """Datagrams, by what became of them."""

    received: int = 0
    sent: int = 0
    overflowed: int = 0  # dropped by the kernel from a full receive queue
    unsent: int = 0  # refused by the kernel for good
    queued: int = 0  # sent, but not at once
    unreadable: int = 0  # not for clients: another protocol, or a checksum for which a kernel drops it


class Carrier(Protocol):
    """Carries for all clients of one site: those behind the same NAT."""

    site: int
    counters: Counters

    def open(self, owner: Owner, clock: RunClock) -> None:
        """From now on `owner` hears what comes in. Inside the event loop on which that is to happen."""

    def send(self, source: bytes, to: str, datagram: Datagram) -> None:
        """Sends from a client's packed IPv4 address. KeyError where this carrier has no such source port or protocol."""

    def close(self) -> None:
        """Stops, whether it was opened or not. More than once is once."""
