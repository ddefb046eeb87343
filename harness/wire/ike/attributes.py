"""Attributes of transforms: rows of a table per phase, which give both directions (RFC 2408 §3.3, RFC 2409 App. A, RFC 2407 §4.5).

An attribute is (name, value). Values that have a name are given by it ("3des", "sha1"), all others are numbers. What the table
does not know is read as ("attribute N", number), so that a peer's odd offer can be named in a message.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.errors import ProtocolError
from harness.wire.buffer import Reader

MAX_ATTRIBUTES = 32
_SHORT = 0x8000  # the attribute's value stands in place of its length
_LONGEST = 8  # bytes of a number in the long form; a lifetime needs four

Attribute = tuple[str, str | int]


@dataclass(frozen=True, slots=True)
class Row:
    """`long`: written with a length and four bytes. Both forms are read wherever they stand (RFC 2409 App. A allows it)."""

    number: int
    name: str
    values: dict[str, int] = field(default_factory=dict)
    long: bool = False


@dataclass(frozen=True, slots=True)
class AttributeTable:
    phase: str
    rows: tuple[Row, ...]
    by_name: dict[str, Row] = field(init=False)
    by_number: dict[int, tuple[Row, dict[int, str]]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {row.name: row for row in self.rows})
        backwards = {row.number: (row, {number: name for name, number in row.values.items()}) for row in self.rows}
        object.__setattr__(self, "by_number", backwards)


_GROUPS = {
    "modp768": 1,
    "modp1024": 2,
    "modp1536": 5,
    "modp2048": 14,
    "modp3072": 15,
    "modp4096": 16,
    "ecp256": 19,
    "ecp384": 20,
}

PHASE_1 = AttributeTable(
    "phase 1",
    (
        Row(1, "encryption", {"des": 1, "idea": 2, "blowfish": 3, "rc5": 4, "3des": 5, "cast": 6, "aes": 7}),
        Row(2, "hash", {"md5": 1, "sha1": 2, "tiger": 3, "sha256": 4, "sha384": 5, "sha512": 6}),
        Row(3, "authentication", {"psk": 1, "dss": 2, "rsa": 3, "rsa-encryption": 4, "rsa-encryption-revised": 5}),
        Row(4, "group", _GROUPS),
        Row(11, "life type", {"seconds": 1, "kilobytes": 2}),
        Row(12, "life duration", long=True),
        Row(13, "prf"),
        Row(14, "key length"),
    ),
)

PHASE_2 = AttributeTable(
    "phase 2",
    (
        Row(1, "life type", {"seconds": 1, "kilobytes": 2}),
        Row(2, "life duration", long=True),
        Row(3, "group", _GROUPS),
        Row(
            4,
            "encapsulation",
            {
                "tunnel": 1,
                "transport": 2,
                "udp-tunnel": 3,
                "udp-transport": 4,
                "udp-tunnel (draft)": 61443,
                "udp-transport (draft)": 61444,
            },
        ),
        Row(5, "authentication", {"md5": 1, "sha1": 2, "des-mac": 3, "kpdk": 4, "sha256": 5, "sha384": 6, "sha512": 7}),
        Row(6, "key length"),
        Row(7, "key rounds"),
    ),
)


def write_attributes(table: AttributeTable, attributes: Iterable[Attribute]) -> bytes:
    parts: list[bytes] = []
    for name, value in attributes:
        row = table.by_name[name]
        number = row.values[value] if isinstance(value, str) else value
        if row.long:
            parts.append(row.number.to_bytes(2) + b"\x00\x04" + number.to_bytes(4))
        else:
            parts.append((row.number | _SHORT).to_bytes(2) + number.to_bytes(2))
    return b"".join(parts)


def read_attributes(table: AttributeTable, reader: Reader) -> tuple[Attribute, ...]:
    """All attributes up to the reader's end."""
    attributes: list[Attribute] = []
    while reader.left:
        if len(attributes) == MAX_ATTRIBUTES:
            raise reader.error(f"more than {MAX_ATTRIBUTES} attributes")
        kind = reader.u16("an attribute's type")
        if kind & _SHORT:
            number = reader.u16("an attribute's value")
        else:
            size = reader.u16("an attribute's length")
            if not 1 <= size <= _LONGEST:
                raise reader.error(f"an attribute's value of {size} bytes is not a number")
            number = int.from_bytes(reader.take(size, "an attribute's value"))
        row, names = table.by_number.get(kind & ~_SHORT, (None, {}))
        if row is None:
            attributes.append((f"attribute {kind & ~_SHORT}", number))
        else:
            attributes.append((row.name, names.get(number, number)))
    return tuple(attributes)


def lifetimes(attributes: Iterable[Attribute]) -> dict[str, int]:
    """{"seconds": …, "kilobytes": …}, as far as given: each duration belongs to the type before it (RFC 2407 §4.5)."""
    found: dict[str, int] = {}
    unit: str | int | None = None
    for name, value in attributes:
        if name == "life type":
            unit = value
        elif name == "life duration":
            if not isinstance(unit, str) or not isinstance(value, int):
                raise ProtocolError("ike", "a life duration without its life type")
            found[unit] = value
    return found
