"""Crypto maps as data, and what they decide: which entry protects a packet, and what may serve a flow that a peer asks for.

A set is all entries of one name, lower sequence numbers first. A packet belongs to the first entry whose access list permits it; a
deny, or no fitting line, hands it on to the next entry. An entry is without effect until it is complete.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness.model import Secret
from harness.virtual.access_list import AccessList, Entry, Flow
from harness.wire.config import AhProposal, Child, EspProposal, Selector
from harness.wire.ike.registry import INVALID_ID_INFORMATION, NO_PROPOSAL_CHOSEN

LIFETIME_S = 3600
LIFETIME_KB = 4_608_000


@dataclass(frozen=True, slots=True)
class TransformSet:
    """`words` as they are configured; `encryption` and `authentication` of ESP, `ah` that of AH, each "" where there is none.
    `mode` transport counts only between the two routers themselves; what crypto maps protect goes in a tunnel either way."""

    name: str
    words: tuple[str, ...]
    encryption: str = ""
    authentication: str = ""
    ah: str = ""
    mode: Literal["tunnel", "transport"] = "tunnel"


@dataclass(frozen=True, slots=True)
class IsakmpEntry:
    """`ipsec-isakmp`; also an entry of a dynamic crypto map, where peers and access list may be missing. `match` is an access
    list's name, `transform_sets` names, best first; lifetimes None: the global ones."""

    sequence: int
    match: str | None = None
    peers: tuple[str, ...] = ()
    transform_sets: tuple[str, ...] = ()
    lifetime_s: int | None = None
    lifetime_kb: int | None = None
    pfs: str | None = None


@dataclass(frozen=True, slots=True)
class SessionKey:
    """`spi` is the receiver's. `cipher` and `authenticator` in hexadecimal; longer than the algorithm takes is cut."""

    direction: Literal["inbound", "outbound"]
    protocol: Literal["ah", "esp"]
    spi: int
    cipher: Secret | None = None
    authenticator: Secret | None = None


@dataclass(frozen=True, slots=True)
class ManualEntry:
    """`ipsec-manual`: one peer, one transform set, keys by hand."""

    sequence: int
    match: str | None = None
    peers: tuple[str, ...] = ()
    transform_sets: tuple[str, ...] = ()
    keys: tuple[SessionKey, ...] = ()


@dataclass(frozen=True, slots=True)
class DynamicReference:
    """`ipsec-isakmp dynamic NAME`; `discover`: the peer is found by asking (TED)."""

    sequence: int
    dynamic_map: str
    discover: bool = False


MapEntry = IsakmpEntry | ManualEntry | DynamicReference


@dataclass(frozen=True, slots=True)
class CryptoMap:
    """`entries` by sequence number."""

    name: str
    entries: tuple[MapEntry, ...] = ()
    accounting_list: str | None = None

    def entry(self, sequence: int) -> MapEntry | None:
        return next((entry for entry in self.entries if entry.sequence == sequence), None)


@dataclass(frozen=True, slots=True)
class Policy:
    """The set on the interface (None: no protection at all), and what it names."""

    crypto_map: CryptoMap | None = None
    access_lists: Mapping[str, AccessList] = field(default_factory=dict)
    transform_sets: Mapping[str, TransformSet] = field(default_factory=dict)
    dynamic_maps: Mapping[str, tuple[IsakmpEntry, ...]] = field(default_factory=dict)
    lifetime_s: int = LIFETIME_S
    lifetime_kb: int = LIFETIME_KB


@dataclass(frozen=True, slots=True)
class Match:
    """The entry that a packet belongs to, and the permit that made it so. `reference` and `dynamic` are those of a dynamic map.
    `name` is the same for all that the entry ever gives rise to: "mymap 10", "mymap 30 mydynamicmap 10"."""

    name: str
    entry: IsakmpEntry | ManualEntry
    permit: Entry
    reference: DynamicReference | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """An entry with its name, in the order in which entries are tried."""

    name: str
    entry: IsakmpEntry | ManualEntry
    reference: DynamicReference | None = None


def places(policy: Policy) -> Iterator[Place]:
    """All entries, those of dynamic maps where their reference stands."""
    if policy.crypto_map is None:
        return
    for entry in policy.crypto_map.entries:
        name = f"{policy.crypto_map.name} {entry.sequence}"
        if isinstance(entry, DynamicReference):
            for one in policy.dynamic_maps.get(entry.dynamic_map, ()):
                yield Place(f"{name} {entry.dynamic_map} {one.sequence}", one, entry)
        else:
            yield Place(name, entry)


def missing(policy: Policy, place: Place) -> str | None:
    """What an entry lacks, without which it does nothing."""
    entry = place.entry
    if place.reference is None and not entry.peers:
        return "a peer"
    if place.reference is None and (entry.match is None or not access_list(policy, entry.match).entries):
        return "a valid access list"
    if not any(name in policy.transform_sets for name in entry.transform_sets):
        return "a transform set"
    return None


def access_list(policy: Policy, name: str) -> AccessList:
    return policy.access_lists.get(name, AccessList(name))


def outbound(policy: Policy, flow: Flow, temporary: Mapping[str, Sequence[Entry]]) -> Match | None:
    """Which entry protects what leaves by the interface; None: it goes in the clear. `temporary` are the permits of the temporary
    entries below each name of a dynamic entry, which come before its own access list."""
    for place in places(policy):
        if missing(policy, place) is not None:
            continue
        permit = next((one for one in temporary.get(place.name, ()) if one.fits(flow)), None)
        if permit is None and place.entry.match is not None:
            permit = access_list(policy, place.entry.match).first(flow)
        if permit is not None and permit.action == "permit":
            return Match(place.name, place.entry, permit, place.reference)
    return None


def inbound_clear(policy: Policy, flow: Flow, temporary: Mapping[str, Sequence[Entry]]) -> Match | None:
    """The entry by which a packet that came in the clear ought to have been protected: it is dropped. Lists are read the other way
    round, as they are written for what leaves."""
    return outbound(policy, flow.reversed, temporary)


def child_of(policy: Policy, match: Match) -> Child:
    """What a packet that leaves asks IKE for: the whole flow of the permit."""
    if not isinstance(match.entry, IsakmpEntry):
        raise AssertionError("IKE is asked for entries of ipsec-isakmp only")
    rows = proposals(policy, match.entry)
    return Child(match.name, match.permit.source, match.permit.destination, rows, match.entry.pfs)


def answering(policy: Policy, peer: str, local: Selector, remote: Selector) -> list[Child] | int:
    """What may serve a flow that `peer` asks for, best first; where there is nothing, the notification that says so."""
    found = []
    for place in places(policy):
        entry = place.entry
        if isinstance(entry, ManualEntry) or missing(policy, place) is not None:
            continue
        if peer not in entry.peers and not (place.reference is not None and not entry.peers):
            continue
        if entry.match is None or access_list(policy, entry.match).permit_that_covers(local, remote) is not None:
            found.append(Child(place.name, local, remote, proposals(policy, entry), entry.pfs))
    if not found:
        return INVALID_ID_INFORMATION
    served = [child for child in found if child.proposals]
    return served or NO_PROPOSAL_CHOSEN


def proposals(policy: Policy, entry: IsakmpEntry) -> tuple[EspProposal | AhProposal, ...]:
    """One for each transform set that is there, best first. ESP inside AH is for keys by hand only; IKE does not offer it here."""
    lives = (
        policy.lifetime_s if entry.lifetime_s is None else entry.lifetime_s,
        policy.lifetime_kb if entry.lifetime_kb is None else entry.lifetime_kb,
    )
    found: list[EspProposal | AhProposal] = []
    for name in entry.transform_sets:
        row = policy.transform_sets.get(name)
        if row is None or (row.ah and row.encryption):
            continue
        if row.ah:
            found.append(AhProposal(row.ah, *lives))
        else:
            found.append(EspProposal(row.encryption, row.authentication or "none", *lives))
    return tuple(found)
