"""Control messages (RFC 2661 §6): the type, and the AVPs that must be there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from harness.errors import ProtocolError
from harness.wire.l2tp.avp import MANDATORY, NO_VEIL, Result, UnknownMandatory, Value, Veil, decode, encode, encode_all


class Type(IntEnum):
    """Message types of §3.2. The outgoing-call messages are known by name, and refused by the call's table."""

    SCCRQ = 1
    SCCRP = 2
    SCCCN = 3
    STOPCCN = 4
    HELLO = 6
    OCRQ = 7
    OCRP = 8
    OCCN = 9
    ICRQ = 10
    ICRP = 11
    ICCN = 12
    CDN = 14
    WEN = 15
    SLI = 16


# The AVPs without which a message cannot be acted on. The RFC lists more as "must"; peers of the field leave some of those out.
REQUIRED: Mapping[Type, tuple[str, ...]] = {
    Type.SCCRQ: ("protocol-version", "host-name", "assigned-tunnel-id"),
    Type.SCCRP: ("protocol-version", "host-name", "assigned-tunnel-id"),
    Type.SCCCN: (),
    Type.STOPCCN: ("result-code",),
    Type.HELLO: (),
    Type.OCRQ: ("assigned-session-id",),
    Type.OCRP: (),
    Type.OCCN: (),
    Type.ICRQ: ("assigned-session-id",),
    Type.ICRP: ("assigned-session-id",),
    Type.ICCN: (),
    Type.CDN: ("result-code",),
    Type.WEN: (),
    Type.SLI: (),
}

STOPCCN_RESULTS: Mapping[int, str] = {
    1: "general request to clear the control connection",
    2: "general error",
    3: "control channel already exists",
    4: "requester is not authorised to establish a control channel",
    5: "protocol version not supported",
    6: "requester is being shut down",
    7: "finite state machine error",
}
CDN_RESULTS: Mapping[int, str] = {
    1: "call disconnected: loss of carrier",
    2: "call disconnected: general error",
    3: "call disconnected: administrative reasons",
    4: "call failed: no facilities for now",
    5: "call failed: no facilities for good",
    6: "invalid destination",
    7: "no carrier",
    8: "busy",
    9: "no dial tone",
    10: "not established within the time allotted by the LAC",
    11: "no appropriate framing detected",
}
ERRORS: Mapping[int, str] = {
    1: "no control connection exists yet for this pair",
    2: "length is wrong",
    3: "a field was out of range or a reserved field was not zero",
    4: "insufficient resources",
    5: "invalid session ID",
    6: "vendor-specific error",
    7: "try another LNS",
    8: "unknown AVP with the M bit",
}


@dataclass(frozen=True, slots=True)
class Message:
    """A control message: its type, its AVPs by name (the message type itself left out)."""

    type: Type
    values: Mapping[str, Value]

    def number(self, name: str, default: int | None = None) -> int:
        """A numeric AVP. ProtocolError where it is missing and there is no default."""
        value = self.values.get(name, default)
        if not isinstance(value, int):
            raise ProtocolError("l2tp", f"{self.type.name} has no {name}")
        return value

    def text(self, name: str) -> str:
        value = self.values.get(name)
        return value if isinstance(value, str) else ""

    def raw(self, name: str) -> bytes:
        value = self.values.get(name)
        return value if isinstance(value, bytes) else b""

    @property
    def result(self) -> Result:
        value = self.values.get("result-code")
        if not isinstance(value, Result):
            raise ProtocolError("l2tp", f"{self.type.name} has no result-code")
        return value


def build(kind: Type, values: Mapping[str, Value], veil: Veil = NO_VEIL) -> bytes:
    """The body of a control message, message type first (§4.4.1)."""
    return encode("message-type", kind) + encode_all(values, veil)


def parse(body: bytes, secret: bytes = b"", *, lenient: bool = False) -> Message | None:
    """`secret` reveals what is hidden. None for a message of unknown type whose M bit is clear, which is passed over (§4.4.1).

    UnknownMandatory where an unknown type or AVP insists, unless `lenient`; ProtocolError for everything else that does not fit.
    """
    if len(body) < 8 or int.from_bytes(body[2:6]) != 0:
        raise ProtocolError("l2tp", "the first AVP is not the message type", 0)
    values = decode(body, secret, lenient=lenient)
    number = values.pop("message-type", None)
    if not isinstance(number, int):
        raise ProtocolError("l2tp", "the message type cannot be read", 0)
    try:
        kind = Type(number)
    except ValueError:
        if int.from_bytes(body[:2]) & MANDATORY and not lenient:
            raise UnknownMandatory("l2tp", f"message type {number} is unknown and mandatory", 0) from None
        return None
    for name in REQUIRED[kind]:
        if name not in values:
            raise ProtocolError("l2tp", f"{kind.name} lacks {name}")
    return Message(kind, values)


def describe(kind: Type, result: Result) -> str:
    """A result in words: "StopCCN result 2 (general error), error 4 (insufficient resources): no more tunnels"."""
    table = STOPCCN_RESULTS if kind is Type.STOPCCN else CDN_RESULTS
    name = "StopCCN" if kind is Type.STOPCCN else kind.name
    words = f"{name} result {result.result} ({table.get(result.result, 'unassigned')})"
    if result.error:
        words += f", error {result.error} ({ERRORS.get(result.error, 'unassigned')})"
    return f"{words}: {result.message}" if result.message else words
