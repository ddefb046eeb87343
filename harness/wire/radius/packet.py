"""RADIUS packets: their form, and the four ways in which they are authenticated.

Wire form: code (1) | identifier (1) | length (2) | authenticator (16) | attributes (RFC 2865 §3). Access-Requests carry a random
authenticator, and prove themselves by Message-Authenticator alone (RFC 2869 §5.14); responses and Accounting-Requests are hashed
with the secret (RFC 2865 §3, RFC 2866 §3).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from harness.errors import ProtocolError
from harness.wire.buffer import Reader
from harness.wire.radius import attributes as attributes_
from harness.wire.radius.attributes import MESSAGE_AUTHENTICATOR, Attribute, Attributes

HEADER = 20
LONGEST = 4096


class Code(IntEnum):
    ACCESS_REQUEST = 1
    ACCESS_ACCEPT = 2
    ACCESS_REJECT = 3
    ACCOUNTING_REQUEST = 4
    ACCOUNTING_RESPONSE = 5
    ACCESS_CHALLENGE = 11


@dataclass(frozen=True, slots=True)
class Packet:
    """As it was read; nothing of it is verified. `data` are its own bytes, without what follows its length (RFC 2865 §3)."""

    code: int
    identifier: int
    authenticator: bytes
    attributes: Attributes
    data: bytes


def parse(data: bytes) -> Packet:
    """ProtocolError for what breaks the form."""
    reader = Reader("radius", data)
    code, identifier, length = reader.u8("code"), reader.u8("identifier"), reader.u16("length")
    if not HEADER <= length <= LONGEST:
        raise ProtocolError("radius", f"a length of {length}", 2)
    if length > len(data):
        raise ProtocolError("radius", f"{len(data)} bytes, of {length} that it says to have", 2)
    authenticator = reader.take(16, "authenticator")
    return Packet(code, identifier, authenticator, attributes_.parse(data[:length], HEADER), data[:length])


def build(code: int, identifier: int, authenticator: bytes, attributes: Iterable[Attribute]) -> bytes:
    """ProtocolError where the attributes are too many for one packet."""
    body = attributes_.build(attributes)
    length = HEADER + len(body)
    if length > LONGEST:
        raise ProtocolError("radius", f"{length} bytes do not fit one packet")
    return bytes((code, identifier)) + length.to_bytes(2) + authenticator + body


def access_request(identifier: int, authenticator: bytes, attributes: Iterable[Attribute], secret: bytes) -> bytes:
    """Signed by a Message-Authenticator, which comes first: what follows it cannot then be made to collide."""
    return _signed(Code.ACCESS_REQUEST, identifier, authenticator, attributes, secret)


def accounting_request(identifier: int, attributes: Iterable[Attribute], secret: bytes) -> bytes:
    blank = build(Code.ACCOUNTING_REQUEST, identifier, bytes(16), attributes)
    return blank[:4] + _digest(blank, secret) + blank[HEADER:]


def response(code: Code, request: Packet, attributes: Iterable[Attribute], secret: bytes, *, sign: bool = True) -> bytes:
    """To this request; `sign` puts a Message-Authenticator into it, which only answers to an Access-Request have."""
    make = _signed if sign else _unsigned
    blank = make(code, request.identifier, request.authenticator, attributes, secret)
    return blank[:4] + _digest(blank, secret) + blank[HEADER:]


def check_response(packet: Packet, request_authenticator: bytes, secret: bytes) -> None:
    """ProtocolError unless it answers the request that had this authenticator, and knows the secret."""
    blank = packet.data[:4] + request_authenticator + packet.data[HEADER:]
    if not hmac.compare_digest(_digest(blank, secret), packet.authenticator):
        raise ProtocolError("radius", "wrong response authenticator", 4)
    check_message_authenticator(packet, secret, request_authenticator)


def check_accounting_request(packet: Packet, secret: bytes) -> None:
    blank = packet.data[:4] + bytes(16) + packet.data[HEADER:]
    if not hmac.compare_digest(_digest(blank, secret), packet.authenticator):
        raise ProtocolError("radius", "wrong authenticator of an Accounting-Request", 4)


def check_message_authenticator(packet: Packet, secret: bytes, authenticator: bytes | None = None) -> bool:
    """Whether there is one. ProtocolError where it is wrong, or not the only one. `authenticator` stands in the header while it is
    computed: the request's, which a request has itself."""
    found = packet.attributes.all("message-authenticator")
    if not found:
        return False
    blank = bytearray(packet.data)
    if authenticator is not None:
        blank[4:HEADER] = authenticator
    at = HEADER
    while blank[at] != MESSAGE_AUTHENTICATOR:
        at += blank[at + 1]
    blank[at + 2 : at + blank[at + 1]] = bytes(blank[at + 1] - 2)
    expected = hmac.digest(secret, bytes(blank), "md5")
    if len(found) > 1 or not hmac.compare_digest(expected, found[0]):
        raise ProtocolError("radius", "wrong Message-Authenticator", at)
    return True


def _signed(code: int, identifier: int, authenticator: bytes, attributes: Iterable[Attribute], secret: bytes) -> bytes:
    blank = build(code, identifier, authenticator, (Attribute(MESSAGE_AUTHENTICATOR, bytes(16)), *attributes))
    return blank[: HEADER + 2] + hmac.digest(secret, blank, "md5") + blank[HEADER + 18 :]


def _unsigned(code: int, identifier: int, authenticator: bytes, attributes: Iterable[Attribute], secret: bytes) -> bytes:
    return build(code, identifier, authenticator, attributes)


def _digest(blank: bytes, secret: bytes) -> bytes:
    return hashlib.md5(blank + secret, usedforsecurity=False).digest()
