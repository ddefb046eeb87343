"""What stays once an exchange is done: ISAKMP SAs and pairs of ESP SAs; and the tray on which a core lays what goes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from harness.wire.config import AhProposal, Child, EspProposal, IkeProposal
from harness.wire.events import Datagram, Event
from harness.wire.ike import registry
from harness.wire.ike.keys import Phase1Keys
from harness.wire.ike.natt import Dialect


class Outbox:
    """Datagrams and events in the order of their making. `sent_at` is the time of the newest datagram, for keepalives."""

    __slots__ = ("datagrams", "events", "sent_at")

    def __init__(self) -> None:
        self.datagrams: list[Datagram] = []
        self.events: list[Event] = []
        self.sent_at = 0.0

    def send(self, now: float, message: bytes, floated: bool) -> None:
        """`floated`: from port 4500 to 4500 behind a non-ESP marker, else from 500 to 500."""
        if floated:
            self.datagrams.append(Datagram(registry.PORT_NATT, registry.PORT_NATT, registry.NON_ESP_MARKER + message))
        else:
            self.datagrams.append(Datagram(registry.PORT, registry.PORT, message))
        self.sent_at = now

    def event(self, event: Event) -> None:
        self.events.append(event)


@dataclass(slots=True, eq=False)
class IkeSa:
    """An established ISAKMP SA. Times are on the clock of `now`; `rekey_at` None: not ours to rekey."""

    initiator: bool
    icookie: bytes
    rcookie: bytes
    keys: Phase1Keys
    last_block: bytes  # phase 1's last cipher block: the root of all later IVs
    proposal: IkeProposal
    dialect: Dialect | None
    floated: bool
    nat_local: bool
    nat_remote: bool
    peer_dpd: bool
    expires_at: float
    rekey_at: float | None
    delete_at: float | None = None  # replaced by a newer one; deleted then
    worn: bool = False  # so many bytes are protected that it is to be renewed
    spent: bool = False  # as many bytes as its lifetime in kilobytes allows are protected
    answered: dict[int, tuple[bytes, bytes | None]] = field(default_factory=dict)  # informational message ID → message, reply

    @property
    def cookies(self) -> bytes:
        return self.icookie + self.rcookie

    def spend(self, now: float, margin: float | None) -> None:
        spend(self, self.keys.usage.octets, now, margin)

    @property
    def life(self) -> str:
        return life(self)

    @property
    def natt(self) -> Literal["rfc", "draft"] | None:
        """Whose numbers for NAT-OA and encapsulation hold under this SA; None where the two sides have no dialect in common."""
        return None if self.dialect is None else self.dialect.family


@dataclass(slots=True, eq=False)
class EspPair:
    """The two SAs of one quick mode, of ESP or (`protocol`) AH. `margin`: as in IkeConfig, for this side's role."""

    protocol: int
    spi_in: bytes
    spi_out: bytes
    proposal: EspProposal | AhProposal
    expires_at: float
    rekey_at: float | None
    margin: float | None
    child: Child | None = None
    delete_at: float | None = None
    worn: bool = False
    spent: bool = False

    @property
    def life(self) -> str:
        return life(self)

    def serves(self, child: Child | None) -> bool:
        """Whether it is one of those that a new pair for `child` takes the place of."""
        return (self.child and self.child.key) == (child and child.key)


def spend(one: IkeSa | EspPair, octets: int, now: float, margin: float | None) -> bool:
    """Brings the rekey, or the end, forward to `now` where the lifetime in kilobytes says so, once each; and whether it did."""
    limit = one.proposal.lifetime_kb * 1024
    if limit and octets >= limit and not one.spent:
        one.spent = True
        one.expires_at = min(one.expires_at, now)
        return True
    if limit and margin is not None and octets >= margin * limit and not one.worn:
        one.worn = True
        if one.rekey_at is not None:
            one.rekey_at = min(one.rekey_at, now)
            return True
    return False


def life(one: IkeSa | EspPair) -> str:
    """The lifetime that ends it, in words."""
    return f"{one.proposal.lifetime_kb} kB" if one.spent else f"{one.proposal.lifetime_s} s"
