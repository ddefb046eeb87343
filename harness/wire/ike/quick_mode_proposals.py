"""What quick mode offers and chooses: ESP and AH transforms, encapsulation, PFS group, lifetimes (RFC 2407 §4.4, RFC 2409 §5.5).

The offer is one proposal a protocol, with a transform for each row of the configuration, best first; all of one offer ask for the
same PFS group. A responder takes the first transform offered that equals a row of its own; an initiator only what it offered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.wire.config import AhProposal, EspProposal
from harness.wire.crypto.dh import GROUPS
from harness.wire.ike import registry
from harness.wire.ike.attributes import PHASE_2, Attribute, lifetimes, write_attributes
from harness.wire.ike.proposals import DEFAULT_LIFE_S, Proposal, Transform, essence, life_attributes, shortened, write_sa

ESP_TRANSFORMS: Mapping[str, tuple[int, tuple[Attribute, ...]]] = {
    "aes-256": (12, (("key length", 256),)),
    "aes-192": (12, (("key length", 192),)),
    "aes-128": (12, (("key length", 128),)),
    "3des": (3, ()),
    "des": (2, ()),
    "null": (11, ()),
}
AH_TRANSFORMS: Mapping[str, int] = {"md5": 2, "sha1": 3, "sha256": 5}

Row = EspProposal | AhProposal


@dataclass(frozen=True, slots=True)
class Terms:
    """What transforms are measured by. `encapsulation` is a name of the table of attributes; `nat`: there is one on the way. `pfs`
    is the group wanted; None is none where `strict` (as for what we offered ourselves), else whichever the peer wants."""

    rows: tuple[Row, ...]
    encapsulation: str
    nat: bool
    pfs: str | None
    strict: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """`proposal` with its one transform, the row it equals with the shorter lifetimes, and the PFS group."""

    proposal: Proposal
    row: Row
    group: str | None

    def lower_limits(self) -> bytes:
        """Attributes for those lifetimes that are shorter than the peer offered; b"" where none is (RFC 2407 §4.5.4)."""
        offered = lifetimes(self.proposal.transforms[0].attributes)
        seconds, kilobytes = self.row.lifetime_s, self.row.lifetime_kb
        lower = (
            seconds if seconds < (offered.get("seconds") or DEFAULT_LIFE_S) else 0,
            kilobytes if kilobytes != offered.get("kilobytes", 0) else 0,
        )
        return write_attributes(PHASE_2, life_attributes(*lower))


def offer(terms: Terms, spi: bytes) -> bytes:
    """An SA payload's body; `spi` serves every protocol, since an SA is known by protocol and SPI."""
    proposals: list[Proposal] = []
    for protocol, kind in ((registry.PROTO_ESP, EspProposal), (registry.PROTO_AH, AhProposal)):
        rows = [row for row in terms.rows if isinstance(row, kind)]
        transforms = tuple(_transform(number, row, terms) for number, row in enumerate(rows, start=1))
        if transforms:
            proposals.append(Proposal(len(proposals) + 1, protocol, spi, transforms))
    return write_sa(PHASE_2, proposals)


def _transform(number: int, row: Row, terms: Terms) -> Transform:
    group: tuple[Attribute, ...] = () if terms.pfs is None else (("group", terms.pfs),)
    identifier, attributes = _wanted(row, terms.encapsulation)
    return Transform(number, identifier, (*attributes, *group, *life_attributes(row.lifetime_s, row.lifetime_kb)))


def _wanted(row: Row, encapsulation: str) -> tuple[int, tuple[Attribute, ...]]:
    """Transform ID and attributes of a row, without PFS group and lifetimes."""
    none = row.authentication == "none"  # as before there was any in ESP: no attribute (RFC 2407 §4.5)
    authentication: tuple[Attribute, ...] = () if none else (("authentication", row.authentication),)
    if isinstance(row, AhProposal):
        return AH_TRANSFORMS[row.authentication], (("encapsulation", _plain(encapsulation)), *authentication)
    identifier, length = ESP_TRANSFORMS[row.encryption]
    return identifier, (("encapsulation", encapsulation), *length, *authentication)


def _plain(encapsulation: str) -> str:
    """There is no AH in UDP: it takes the mode alone."""
    return encapsulation.removeprefix("udp-").removesuffix(" (draft)")


def choose(offered: Sequence[Proposal], terms: Terms) -> Choice | None:
    """The first acceptable transform, alone in its proposal. A proposal that comes with another of the same number (a bundle of ESP
    with AH or IPCOMP) is passed over, and so is AH where there is a NAT."""
    known = dict(_known(terms))
    times = Counter(proposal.number for proposal in offered)
    for proposal in offered:
        if len(proposal.spi) != 4 or times[proposal.number] > 1 or (proposal.protocol == registry.PROTO_AH and terms.nat):
            continue
        for transform in proposal.transforms:
            groups = [value for name, value in transform.attributes if name == "group"]
            row = known.get((proposal.protocol, transform.id, _essence(transform.attributes)))
            if row is not None and _group_fits(groups, terms):
                agreed = shortened(row, lifetimes(transform.attributes))
                agreed = replace(agreed, lifetime_s=agreed.lifetime_s or DEFAULT_LIFE_S)
                return Choice(replace(proposal, transforms=(transform,)), agreed, str(groups[0]) if groups else None)
    return None


def _known(terms: Terms) -> Iterator[tuple[tuple[int, int, tuple[Attribute, ...]], Row]]:
    for row in reversed(terms.rows):  # the first of two equal ones stands
        protocol = registry.PROTO_AH if isinstance(row, AhProposal) else registry.PROTO_ESP
        identifier, attributes = _wanted(row, terms.encapsulation)
        yield (protocol, identifier, _essence(attributes)), row


def _essence(attributes: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    return essence(tuple((name, value) for name, value in attributes if name != "group"))


def _group_fits(groups: list[str | int], terms: Terms) -> bool:
    if terms.pfs is not None or terms.strict:
        return groups == ([] if terms.pfs is None else [terms.pfs])
    return not groups or (len(groups) == 1 and groups[0] in GROUPS)


def why_none(offered: Sequence[Proposal], terms: Terms) -> str:
    """Why nothing of an offer was acceptable, as far as one reason can tell."""
    if any(proposal.protocol == registry.PROTO_AH for proposal in offered):
        if terms.nat:
            return "AH cannot pass the NAT on the way, which changes the addresses that its ICV covers"
        if not any(isinstance(row, AhProposal) for row in terms.rows):
            return "AH is not configured"
    attributes = [dict(transform.attributes) for proposal in offered for transform in proposal.transforms]
    modes = {str(each.get("encapsulation")) for each in attributes}
    if terms.encapsulation not in modes:
        return f"{' or '.join(sorted(modes))} where {terms.encapsulation} is wanted"
    groups = {str(each.get("group", "none")) for each in attributes}
    if terms.pfs is not None and terms.pfs not in groups:
        return f"PFS group {' or '.join(sorted(groups))} where {terms.pfs} is wanted"
    return terms.encapsulation
