"""Attribute-value pairs (RFC 2661 §4): one table gives every AVP in both directions.

Wire form: M|H|reserved(4)|length(10), vendor ID, attribute type, value. A kind (`Kind`) is how a value is packed and unpacked.
A hidden AVP's value goes through `secret.hide`, under the random vector that came last before it (§4.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeAlias

from harness.errors import ProtocolError
from harness.wire.buffer import Reader
from harness.wire.l2tp import secret as secrecy

MANDATORY = 0x8000
HIDDEN = 0x4000
RESERVED = 0x3C00
LENGTH = 0x03FF
MICROSOFT = 311


class Result(NamedTuple):
    """The value of a Result Code AVP (§4.4.2)."""

    result: int
    error: int | None = None
    message: str = ""


Value: TypeAlias = int | bytes | str | Result


class Kind(Enum):
    U16 = "u16"
    U32 = "u32"
    BYTES = "bytes"
    TEXT = "text"
    RESULT = "result"


@dataclass(frozen=True, slots=True)
class Row:
    """One AVP: `size` is the only size in bytes that a BYTES value may have, where there is just one. `mandatory` is the M bit
    that goes out; what comes in may carry either (§4.1). `hideable` is whether the RFC lets it be hidden."""

    vendor: int
    type: int
    name: str
    kind: Kind
    mandatory: bool = True
    size: int | None = None
    hideable: bool = True


class Veil(NamedTuple):
    """How AVPs are hidden on their way out: which (`names`), with which secret, under which random vector (a fresh one for every
    message)."""

    names: frozenset[str]
    secret: bytes = b""
    vector: bytes = b""


NO_VEIL = Veil(frozenset())


# RFC 2661 §4.4, in its order; then Microsoft's own (MS-L2TPIE §2.2.1).
AVPS: tuple[Row, ...] = (
    Row(0, 0, "message-type", Kind.U16, hideable=False),
    Row(0, 1, "result-code", Kind.RESULT, hideable=False),
    Row(0, 2, "protocol-version", Kind.U16, hideable=False),
    Row(0, 3, "framing-capabilities", Kind.U32),
    Row(0, 4, "bearer-capabilities", Kind.U32),
    Row(0, 5, "tie-breaker", Kind.BYTES, mandatory=False, size=8, hideable=False),
    Row(0, 6, "firmware-revision", Kind.U16, mandatory=False),
    Row(0, 7, "host-name", Kind.TEXT, hideable=False),
    Row(0, 8, "vendor-name", Kind.TEXT, mandatory=False),
    Row(0, 9, "assigned-tunnel-id", Kind.U16),
    Row(0, 10, "receive-window-size", Kind.U16, hideable=False),
    Row(0, 11, "challenge", Kind.BYTES),
    Row(0, 12, "q931-cause-code", Kind.BYTES, hideable=False),
    Row(0, 13, "challenge-response", Kind.BYTES, size=16),
    Row(0, 14, "assigned-session-id", Kind.U16),
    Row(0, 15, "call-serial-number", Kind.U32),
    Row(0, 16, "minimum-bps", Kind.U32),
    Row(0, 17, "maximum-bps", Kind.U32),
    Row(0, 18, "bearer-type", Kind.U32),
    Row(0, 19, "framing-type", Kind.U32),
    Row(0, 21, "called-number", Kind.TEXT),
    Row(0, 22, "calling-number", Kind.TEXT),
    Row(0, 23, "sub-address", Kind.TEXT),
    Row(0, 24, "tx-connect-speed", Kind.U32),
    Row(0, 25, "physical-channel-id", Kind.U32, mandatory=False),
    Row(0, 26, "initial-received-lcp-confreq", Kind.BYTES, mandatory=False),
    Row(0, 27, "last-sent-lcp-confreq", Kind.BYTES, mandatory=False),
    Row(0, 28, "last-received-lcp-confreq", Kind.BYTES, mandatory=False),
    Row(0, 29, "proxy-authen-type", Kind.U16, mandatory=False),
    Row(0, 30, "proxy-authen-name", Kind.TEXT, mandatory=False),
    Row(0, 31, "proxy-authen-challenge", Kind.BYTES, mandatory=False),
    Row(0, 32, "proxy-authen-id", Kind.U16, mandatory=False),
    Row(0, 33, "proxy-authen-response", Kind.BYTES, mandatory=False),
    Row(0, 34, "call-errors", Kind.BYTES, size=26),
    Row(0, 35, "accm", Kind.BYTES, size=10),
    Row(0, 36, "random-vector", Kind.BYTES, hideable=False),
    Row(0, 37, "private-group-id", Kind.TEXT, mandatory=False),
    Row(0, 38, "rx-connect-speed", Kind.U32, mandatory=False),
    Row(0, 39, "sequencing-required", Kind.BYTES, size=0, hideable=False),
    Row(MICROSOFT, 1, "correlation-id", Kind.BYTES, mandatory=False, size=16, hideable=False),
)
BY_NAME: Mapping[str, Row] = {row.name: row for row in AVPS}
BY_TYPE: Mapping[tuple[int, int], Row] = {(row.vendor, row.type): row for row in AVPS}
HIDEABLE = frozenset(row.name for row in AVPS if row.hideable)
"""The AVPs of which the RFC says "may be hidden"."""


class UnknownMandatory(ProtocolError):
    """An AVP with the M bit that is not known, or not readable here: it ends the tunnel, or the session, it came for (§4.1)."""


def encode(name: str, value: Value, veil: Veil = NO_VEIL) -> bytes:
    """One AVP, hidden if `veil` names it. ProtocolError where the value is not of the row's kind, too long, or not to be hidden."""
    row = BY_NAME.get(name)
    if row is None:
        raise ProtocolError("l2tp", f"no AVP is named {name}")
    raw = _pack(row, value)
    flags = MANDATORY if row.mandatory else 0
    if name in veil.names:
        if not row.hideable:
            raise ProtocolError("l2tp", f"AVP {name} must not be hidden")
        raw = secrecy.hide(veil.secret, row.type, veil.vector, raw)
        flags |= HIDDEN
    length = 6 + len(raw)
    if length > LENGTH:
        raise ProtocolError("l2tp", f"AVP {name} of {length} bytes is longer than {LENGTH}")
    return (flags | length).to_bytes(2) + row.vendor.to_bytes(2) + row.type.to_bytes(2) + raw


def encode_all(values: Mapping[str, Value], veil: Veil = NO_VEIL) -> bytes:
    """AVPs in their order; the random vector stands before them where one of them is hidden (§4.4.1)."""
    vector = encode("random-vector", veil.vector) if veil.names & values.keys() else b""
    return vector + b"".join(encode(name, value, veil) for name, value in values.items())


def decode(body: bytes, secret: bytes = b"", *, lenient: bool = False) -> dict[str, Value]:
    """All AVPs of a control message in their order, by name; hidden ones are revealed by `secret`, under the random vector before
    them, of which there may be several. What is unknown and not mandatory is passed over.

    UnknownMandatory, unless `lenient`, for what is mandatory and unknown, or has a reserved bit, or is hidden in a way that cannot
    be read here; ProtocolError for lengths and values that do not fit, and for an AVP that comes twice.
    """
    reader = Reader("l2tp", body)
    values: dict[str, Value] = {}
    vector: bytes | None = None
    while reader.left:
        start = reader.position
        flags = reader.u16("AVP flags and length")
        length = flags & LENGTH
        if length < 6:
            raise ProtocolError("l2tp", f"an AVP of {length} bytes is shorter than its own header", start)
        avp = reader.sub(length - 2, "AVP")
        vendor, number = avp.u16("vendor ID"), avp.u16("attribute type")
        row = BY_TYPE.get((vendor, number))
        raw = None if row is None or flags & RESERVED else avp if not flags & HIDDEN else _revealed(row, avp, secret, vector)
        if row is None or raw is None:
            why = "unknown" if row is None else "marked by reserved bits" if flags & RESERVED else "hidden and cannot be read"
            if flags & MANDATORY and not lenient:
                raise UnknownMandatory("l2tp", f"mandatory AVP {number} of vendor {vendor} is {why}", start)
        elif row.name == "random-vector":  # one for each group of hidden AVPs (§4.4.1)
            values[row.name] = vector = raw.rest()
        elif row.name in values:
            raise ProtocolError("l2tp", f"AVP {row.name} comes twice", start)
        else:
            values[row.name] = _unpack(row, raw)
    return values


def _revealed(row: Row, hidden: Reader, secret: bytes, vector: bytes | None) -> Reader | None:
    """None where there is no secret, no random vector, no right to hide this AVP, or no sense in what comes out."""
    if not secret or vector is None or not row.hideable:
        return None
    clear = secrecy.reveal(secret, row.type, vector, hidden.rest())
    return None if clear is None else Reader("l2tp", clear)


def _pack(row: Row, value: Value) -> bytes:
    match row.kind, value:
        case Kind.U16, int() if 0 <= value <= 0xFFFF:
            return value.to_bytes(2)
        case Kind.U32, int() if 0 <= value <= 0xFFFFFFFF:
            return value.to_bytes(4)
        case Kind.BYTES, bytes() if row.size is None or len(value) == row.size:
            return value
        case Kind.TEXT, str():
            return value.encode("latin-1", "replace")
        case Kind.RESULT, Result(result, error, message):
            if error is None and not message:
                return result.to_bytes(2)
            return result.to_bytes(2) + (error or 0).to_bytes(2) + message.encode("utf-8")
    raise ProtocolError("l2tp", f"AVP {row.name} cannot carry {value!r}")


def _unpack(row: Row, reader: Reader) -> Value:
    value: Value
    match row.kind:
        case Kind.U16:
            value = reader.u16(row.name)
        case Kind.U32:
            value = reader.u32(row.name)
        case Kind.BYTES:
            value = reader.rest()
            if row.size is not None and len(value) != row.size:
                raise reader.error(f"AVP {row.name} has {len(value)} bytes of value, not {row.size}")
        case Kind.TEXT:
            value = reader.rest().decode("latin-1")
        case Kind.RESULT:
            result = reader.u16(row.name)
            error = reader.u16("error code") if reader.left else None
            value = Result(result, error, reader.rest().decode("utf-8", "replace"))
    if reader.left:
        raise reader.error(f"{reader.left} bytes too many in AVP {row.name}")
    return value
