"""A testbed of routers that are there already, as the rest of the harness sees it: which role each plays in which world, what the
lent card of this machine is on, and where the wires between the routers are captured. There is no gateway that is judged.

Addresses are dotted quads; those of interfaces carry their prefix length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from harness.model.observation import Side
from harness.model.reach import Allowance, CaptureSource, Connection, LabSpec
from harness.model.secret import Secret
from harness.model.sites import EAST, NAT, NAT_INSIDE, NAT_OUTSIDE, WEST, HostBehind, numbered, site_of
from harness.model.testbed import Interface

L2TP, ESP = WORLDS = ("l2tp", "esp")
"""A LAC with callers and an LNS; tunnel-mode endpoints about a NAT router (sites)."""
LAC, LNS, LNS_2 = "lac", "lns", "lns-2"
SITES = (*numbered(WEST, 6), *numbered(EAST, 2))
"""As many endpoints as scripts may want."""
ROLES: Mapping[str, tuple[str, ...]] = {L2TP: (LAC, LNS, LNS_2), ESP: (NAT, *(site.name for site in SITES))}
"""The routers by world. OPTIONAL of them need not be there."""
OPTIONAL = frozenset({LNS_2, *(site.name for site in SITES if site.number > 1)})
CARD_OF: Mapping[str, str] = {L2TP: "callers", ESP: "hosts"}
"""By world, who is on this machine's card: the callers of the LAC, by PPPoE, and perhaps a host behind the LNS; the hosts behind
the endpoints."""

SAMPLES = "171.69.0.0/16"
"""Where the samples of a NAT's table have their outside hosts, and the addresses of its pools."""
OUTSIDERS = ("203.0.113.8", "203.0.113.9")
"""Hosts on the NAT's outside wire, where that has its own address."""

HOST_BEHIND = HostBehind(LNS, "192.0.2.80", "192.0.2.1")
"""On the LNS's LAN, where it has one."""
ON_WIRE, ON_CARD = "wire", "card"
ON_INSIDE, ON_OUTSIDE = Side.INSIDE.value, Side.OUTSIDE.value
"""What a router's interface is for: towards the routers beside it, or towards the card; a NAT has an inside and an outside one."""
WIRE = {LAC: "10.0.0.12", LNS: "10.0.0.13", LNS_2: "10.0.0.14"}
"""By role, its address on the wire between the routers: as the document's figures have them, and what scripts and verdicts say."""


class Described(Protocol):
    """What a lab of devices that are there needs to know of its testbed, of whatever kind that is. `captures` are its sources,
    `routers` those of its connections that keep nothing of ours on themselves."""

    @property
    def name(self) -> str: ...

    @property
    def file(self) -> str: ...

    @property
    def management(self) -> tuple[str, ...]: ...

    @property
    def lab(self) -> LabSpec: ...

    @property
    def connections(self) -> tuple[Connection, ...]: ...

    @property
    def captures(self) -> tuple[CaptureSource, ...]: ...

    @property
    def routers(self) -> tuple[Connection, ...]: ...

    @property
    def secrets(self) -> tuple[Secret, ...]: ...


THERE = LabSpec("static")


def addresses_of(role: str) -> Mapping[str, str]:
    """What the interfaces of a router are for, and their addresses there, with prefix length; "" for one without. An LNS may do
    without its LAN."""
    if role in WIRE:
        on_card = {LAC: {ON_CARD: ""}, LNS: {ON_CARD: f"{HOST_BEHIND.gateway}/24"}}
        return {ON_WIRE: f"{WIRE[role]}/24", **on_card.get(role, {})}
    if role == NAT:
        return {ON_INSIDE: f"{NAT_INSIDE}/24", ON_OUTSIDE: f"{NAT_OUTSIDE}/24"}
    site = site_of(role)
    return {ON_WIRE: f"{site.address}/24", ON_CARD: f"{site.gateway}/24"}


@dataclass(frozen=True, slots=True)
class RouterSpec:
    """One router. `ports` has its interfaces by what they are for; a LAC's for callers has no address."""

    role: str
    os: str
    connection: Connection
    ports: Mapping[str, Interface]

    @property
    def wire(self) -> Interface:
        return self.ports[ON_WIRE]

    @property
    def callers(self) -> str | None:
        """Where a LAC takes calls by PPPoE."""
        return self.ports[ON_CARD].name if self.role == LAC else None

    @property
    def lan(self) -> Interface | None:
        """Towards hosts on the card."""
        return None if self.role == LAC else self.ports.get(ON_CARD)


@dataclass(frozen=True, slots=True)
class Card:
    """An interface of this machine that is lent, and its line in the file."""

    name: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class RouterLab:
    """`by_role` has all of the world's ROLES but for OPTIONAL ones. `lent` is the interface of this machine that callers or hosts
    are on, `card` its name; `sources` capture what passes between the routers, on both sides of a NAT. `esp_null`: scripts may be
    played without encryption, since nobody has the keys of these routers. `neighbours`: further cards that are lent, by the side of
    the NAT whose wire they are on, for hosts there that have no endpoint before them; both sides have one, or neither."""

    name: str
    file: str
    by_role: Mapping[str, RouterSpec]
    lent: Card
    sources: Mapping[Side, CaptureSource]
    allowance: Allowance
    world: str = L2TP
    lab: LabSpec = THERE
    management: tuple[str, ...] = ()
    esp_null: bool = False
    neighbours: Mapping[str, Card] = field(default_factory=dict)

    @property
    def cards(self) -> tuple[Card, ...]:
        """All that are lent."""
        return (self.lent, *self.neighbours.values())

    @property
    def cards_named(self) -> str:
        """The same, in a sentence."""
        return " and ".join(card.name for card in self.cards)

    @property
    def card(self) -> str:
        return self.lent.name

    @property
    def routers(self) -> tuple[Connection, ...]:
        return tuple(one.connection for one in self.by_role.values())

    @property
    def connections(self) -> tuple[Connection, ...]:
        return self.routers

    @property
    def captures(self) -> tuple[CaptureSource, ...]:
        return tuple(self.sources.values())

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Of the devices and of what is gone through on the way to them: what must never show. What the scripts type is in the
        documents, and protects nothing."""
        todo: list[Connection | None] = [*self.routers, *(source.connection for source in self.captures)]
        found: list[Secret | None] = []
        while todo:
            if (one := todo.pop()) is not None:
                found += [one.password, one.enable]
                todo.append(one.jump)
        return tuple(dict.fromkeys(one for one in found if one is not None))
