"""RADIUS attributes: one table of names, numbers and what a value is, and the way to and from bytes.

Wire form: type (1) | length (1), of all three | value. A vendor's stand in type 26: vendor (4), then the same form once more
(RFC 2865 §5.26). Sources: RFC 2865 §5, RFC 2866 §5, RFC 2869 §5, RFC 2548 §2; vendor 9 is Cisco's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from harness.errors import ProtocolError
from harness.wire.buffer import Reader
from harness.wire.ip import dotted, packed

VENDOR_SPECIFIC = 26
MICROSOFT, CISCO = 311, 9
MESSAGE_AUTHENTICATOR = 80

Kind = Literal["text", "number", "address", "octets"]


class Attribute(NamedTuple):
    """`vendor` is 0 for the standard's own; `type` is then RADIUS's, else the vendor's."""

    type: int
    value: bytes
    vendor: int = 0


class Row(NamedTuple):
    type: int
    kind: Kind
    vendor: int = 0


TABLE: Mapping[str, Row] = {
    "user-name": Row(1, "text"),
    "user-password": Row(2, "octets"),
    "chap-password": Row(3, "octets"),
    "nas-ip-address": Row(4, "address"),
    "nas-port": Row(5, "number"),
    "service-type": Row(6, "number"),
    "framed-protocol": Row(7, "number"),
    "framed-ip-address": Row(8, "address"),
    "framed-ip-netmask": Row(9, "address"),
    "framed-mtu": Row(12, "number"),
    "reply-message": Row(18, "text"),
    "state": Row(24, "octets"),
    "class": Row(25, "octets"),
    "session-timeout": Row(27, "number"),
    "idle-timeout": Row(28, "number"),
    "called-station-id": Row(30, "text"),
    "calling-station-id": Row(31, "text"),
    "nas-identifier": Row(32, "text"),
    "acct-status-type": Row(40, "number"),
    "acct-delay-time": Row(41, "number"),
    "acct-input-octets": Row(42, "number"),
    "acct-output-octets": Row(43, "number"),
    "acct-session-id": Row(44, "text"),
    "acct-authentic": Row(45, "number"),
    "acct-session-time": Row(46, "number"),
    "acct-input-packets": Row(47, "number"),
    "acct-output-packets": Row(48, "number"),
    "acct-terminate-cause": Row(49, "number"),
    "acct-input-gigawords": Row(52, "number"),
    "acct-output-gigawords": Row(53, "number"),
    "chap-challenge": Row(60, "octets"),
    "nas-port-type": Row(61, "number"),
    "message-authenticator": Row(MESSAGE_AUTHENTICATOR, "octets"),
    "ms-chap-response": Row(1, "octets", MICROSOFT),
    "ms-chap-error": Row(2, "octets", MICROSOFT),
    "ms-chap-challenge": Row(11, "octets", MICROSOFT),
    "ms-chap2-response": Row(25, "octets", MICROSOFT),
    "ms-chap2-success": Row(26, "octets", MICROSOFT),
    "cisco-avpair": Row(1, "text", CISCO),
}


class Attributes(tuple[Attribute, ...]):
    """Of one packet, in its order. What is not there is None; of what is there more than once, the first counts."""

    __slots__ = ()

    def all(self, name: str) -> list[bytes]:
        row = TABLE[name]
        return [one.value for one in self if (one.type, one.vendor) == (row.type, row.vendor)]

    def octets(self, name: str) -> bytes | None:
        return next(iter(self.all(name)), None)

    def text(self, name: str) -> str | None:
        value = self.octets(name)
        return None if value is None else value.decode("utf-8", "replace")

    def number(self, name: str) -> int | None:
        """None too where the value has not the 4 bytes of a number."""
        value = self.octets(name)
        return int.from_bytes(value) if value is not None and len(value) == 4 else None

    def address(self, name: str) -> str | None:
        value = self.octets(name)
        return dotted(value) if value is not None and len(value) == 4 else None


def attribute(name: str, value: str | int | bytes) -> Attribute:
    """By name; the value is text, a number (its lower 32 bits), a dotted address or bytes, as the table says. ProtocolError where
    it does not fit."""
    row = TABLE[name]
    if row.kind == "number":
        octets = (int(value) & 0xFFFFFFFF).to_bytes(4)
    elif row.kind == "address":
        octets = packed(str(value))
    else:
        octets = value if isinstance(value, bytes) else str(value).encode()
    if len(octets) > (247 if row.vendor else 253):
        raise ProtocolError("radius", f"{len(octets)} bytes are too many for {name}")
    return Attribute(row.type, octets, row.vendor)


def build(attributes: Iterable[Attribute]) -> bytes:
    parts = []
    for one in attributes:
        value = one.value
        kind = one.type
        if one.vendor:
            value = one.vendor.to_bytes(4) + bytes((one.type, len(value) + 2)) + value
            kind = VENDOR_SPECIFIC
        parts.append(bytes((kind, len(value) + 2)) + value)
    return b"".join(parts)


def parse(data: bytes, start: int = 0) -> Attributes:
    """The attributes in `data` from `start` on. A vendor's attribute that is not in the usual form stays as it is, type 26.
    ProtocolError where a length does not fit."""
    found: list[Attribute] = []
    reader = Reader("radius", data, start)
    while reader.left:
        kind, length = reader.u8("attribute type"), reader.u8("attribute length")
        if length < 2:
            raise reader.error(f"attribute {kind} has length {length}")
        value = reader.take(length - 2, f"attribute {kind}")
        found.extend(_vendors(value) if kind == VENDOR_SPECIFIC else (Attribute(kind, value),))
    return Attributes(found)


def _vendors(value: bytes) -> list[Attribute]:
    vendor, rest = int.from_bytes(value[:4]), value[4:]
    found = []
    while len(rest) >= 2 and 2 <= rest[1] <= len(rest):
        found.append(Attribute(rest[0], rest[2 : rest[1]], vendor))
        rest = rest[rest[1] :]
    return found if found and not rest and vendor else [Attribute(VENDOR_SPECIFIC, value)]
