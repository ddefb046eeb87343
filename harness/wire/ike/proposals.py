"""The SA payload: proposals and transforms, and the choice among those of phase 1 (RFC 2408 §3.4-3.6, §4.2; RFC 2407 §4.4, §4.5).

Phase 1 offers one proposal with a transform for each row of the configuration, best first. A responder takes the first
transform offered that equals a row of its own; an initiator accepts only what it offered.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

from harness.wire.buffer import Reader
from harness.wire.config import AhProposal, EspProposal, IkeProposal
from harness.wire.ike import registry
from harness.wire.ike.attributes import PHASE_1, Attribute, AttributeTable, lifetimes, read_attributes, write_attributes

MAX_TRANSFORMS = 128  # of one SA payload
KEY_IKE = 1
DEFAULT_LIFE_S = 28800  # where neither side limits it (RFC 2407 §4.5)

Row = TypeVar("Row", IkeProposal, EspProposal, AhProposal, EspProposal | AhProposal)

CIPHER_ATTRIBUTES: dict[str, tuple[Attribute, ...]] = {
    "aes-256": (("encryption", "aes"), ("key length", 256)),
    "aes-192": (("encryption", "aes"), ("key length", 192)),
    "aes-128": (("encryption", "aes"), ("key length", 128)),
    "3des": (("encryption", "3des"),),
    "des": (("encryption", "des"),),
}


@dataclass(frozen=True, slots=True)
class Transform:
    number: int
    id: int
    attributes: tuple[Attribute, ...]

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.attributes)


@dataclass(frozen=True, slots=True)
class Proposal:
    number: int
    protocol: int
    spi: bytes
    transforms: tuple[Transform, ...]


@dataclass(frozen=True, slots=True)
class EspChoice:
    """What quick mode agreed on, as far as one proposal goes. `encapsulation` is as in the table of attributes."""

    proposal: EspProposal
    encapsulation: str


def write_sa(table: AttributeTable, proposals: Sequence[Proposal]) -> bytes:
    parts = [struct.pack(">II", registry.DOI_IPSEC, registry.SIT_IDENTITY_ONLY)]
    for index, proposal in enumerate(proposals):
        body = bytearray()
        for position, transform in enumerate(proposal.transforms):
            attributes = write_attributes(table, transform.attributes)
            more = registry.TRANSFORM if position + 1 < len(proposal.transforms) else 0
            body += struct.pack(">BBHBBH", more, 0, 8 + len(attributes), transform.number, transform.id, 0) + attributes
        more = registry.PROPOSAL if index + 1 < len(proposals) else 0
        size = 8 + len(proposal.spi) + len(body)
        counts = len(proposal.spi), len(proposal.transforms)
        head = struct.pack(">BBHBBBB", more, 0, size, proposal.number, proposal.protocol, *counts)
        parts += (head, proposal.spi, bytes(body))
    return b"".join(parts)


def read_sa(table: AttributeTable, body: bytes) -> list[Proposal]:
    """Linear in the length of `body`, and never more than MAX_TRANSFORMS transforms."""
    reader = Reader("ike", body)
    doi = reader.u32("the DOI of an SA")
    if doi != registry.DOI_IPSEC:
        raise reader.error(f"an SA of DOI {doi}")
    if reader.u32("the situation of an SA") != registry.SIT_IDENTITY_ONLY:
        raise reader.error("an SA of a situation other than SIT_IDENTITY_ONLY")
    proposals: list[Proposal] = []
    room = MAX_TRANSFORMS
    more = registry.PROPOSAL
    while more:
        inner, more = _part(reader, more, registry.PROPOSAL, "a proposal")
        number, protocol = inner.u8("a proposal's number"), inner.u8("a proposal's protocol")
        spi_size, count = inner.u8("a proposal's SPI size"), inner.u8("a proposal's number of transforms")
        spi = inner.take(spi_size, "a proposal's SPI")
        room -= count
        if not count or room < 0:
            raise inner.error(f"{count} transforms in a proposal, at most {MAX_TRANSFORMS} in all")
        transforms = _read_transforms(table, inner, count)
        proposals.append(Proposal(number, protocol, spi, transforms))
    if reader.left:
        raise reader.error("an SA payload longer than its proposals")
    return proposals


def _read_transforms(table: AttributeTable, reader: Reader, count: int) -> tuple[Transform, ...]:
    transforms: list[Transform] = []
    more = registry.TRANSFORM
    while more:
        if len(transforms) == count:
            raise reader.error(f"more transforms than the {count} that the proposal announces")
        inner, more = _part(reader, more, registry.TRANSFORM, "a transform")
        number, identifier = inner.u8("a transform's number"), inner.u8("a transform's ID")
        inner.take(2, "a transform's reserved bytes")
        transforms.append(Transform(number, identifier, read_attributes(table, inner)))
    if len(transforms) != count or reader.left:
        raise reader.error(f"{len(transforms)} transforms, where the proposal announces {count}")
    return tuple(transforms)


def _part(reader: Reader, kind: int, expected: int, what: str) -> tuple[Reader, int]:
    """A reader over the body of the proposal or transform that comes next, and its next-payload field."""
    if kind != expected:
        raise reader.error(f"payload type {kind} in place of {what}")
    more = reader.u8(f"the header of {what}")
    reader.take(1, f"the header of {what}")
    length = reader.u16(f"the length of {what}")
    return reader.sub(length - 4, what), more


# Phase 1


@lru_cache(maxsize=64)  # clients that dial in one moment offer the same
def ike_offer(proposals: tuple[IkeProposal, ...]) -> bytes:
    transforms = tuple(Transform(n, KEY_IKE, _ike_attributes(row)) for n, row in enumerate(proposals, start=1))
    return write_sa(PHASE_1, [Proposal(1, registry.PROTO_ISAKMP, b"", transforms)])


def _ike_attributes(row: IkeProposal) -> tuple[Attribute, ...]:
    return (
        *CIPHER_ATTRIBUTES[row.encryption],
        ("hash", row.hash),
        ("group", row.group),
        ("authentication", row.authentication),
        *life_attributes(row.lifetime_s, row.lifetime_kb),
    )


def life_attributes(seconds: int, kilobytes: int) -> Iterator[Attribute]:
    """Those for the limits that are not 0."""
    for unit, duration in (("seconds", seconds), ("kilobytes", kilobytes)):
        if duration:
            yield from (("life type", unit), ("life duration", duration))


def ike_choice(offered: Sequence[Proposal], rows: Iterable[IkeProposal]) -> tuple[Proposal, IkeProposal] | None:
    """The first transform offered that is one of `rows`, alone in its proposal, and that row with the shorter lifetimes."""
    known = {essence(_ike_attributes(row)): row for row in rows}
    for proposal in offered:
        if proposal.protocol != registry.PROTO_ISAKMP:
            continue
        for transform in proposal.transforms:
            row = known.get(essence(transform.attributes)) if transform.id == KEY_IKE else None
            if row is not None:
                agreed = shortened(row, lifetimes(transform.attributes))
                return replace(proposal, transforms=(transform,)), replace(agreed, lifetime_s=agreed.lifetime_s or DEFAULT_LIFE_S)
    return None


def shortened(row: Row, lives: dict[str, int]) -> Row:
    """`row` with lifetimes no longer than the peer's."""
    return replace(
        row,
        lifetime_s=shorter(row.lifetime_s, lives.get("seconds", 0)),
        lifetime_kb=shorter(row.lifetime_kb, lives.get("kilobytes", 0)),
    )


def shorter(ours: int, theirs: int) -> int:
    """Zero stands for no limit on either side; strongSwan says it outright where it does not rekey."""
    return min((life for life in (ours, theirs) if life), default=0)


def essence(attributes: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    """What of a transform has to be equal on both sides: all but lifetimes. Sorted, since each peer has an order of its own."""
    return tuple(sorted(((name, value) for name, value in attributes if not name.startswith("life ")), key=str))
