"""What a PPP peer has said of itself, as RADIUS attributes and back.

PAP's password is hidden under the secret (RFC 2865 §5.2); CHAP's response travels with its challenge (§5.3, §5.40); Microsoft's two
with theirs, their fields in another order than PPP's (RFC 2548 §2.1.2, §2.1.3, §2.3.2).
"""

from __future__ import annotations

import hashlib

from harness.errors import ProtocolError
from harness.wire.ppp.authority import Claim, Decision
from harness.wire.ppp.flavour import FLAVOURS
from harness.wire.radius.attributes import Attribute, Attributes, attribute
from harness.wire.radius.packet import Packet

LONGEST_PASSWORD = 128


def hide(password: bytes, authenticator: bytes, secret: bytes) -> bytes:
    """The value of User-Password. ProtocolError where the password is longer than 128 bytes."""
    if len(password) > LONGEST_PASSWORD:
        raise ProtocolError("radius", f"a password of {len(password)} bytes, where {LONGEST_PASSWORD} fit")
    padded = password.ljust(max(16, -(-len(password) // 16) * 16), b"\0")
    hidden, last = b"", authenticator
    for start in range(0, len(padded), 16):
        last = _xor(padded[start : start + 16], _pad(secret, last))
        hidden += last
    return hidden


def reveal(hidden: bytes, authenticator: bytes, secret: bytes) -> bytes:
    """Its counterpart; with another secret, noise comes of it. ProtocolError for a length that hiding does not give."""
    if not hidden or len(hidden) % 16 or len(hidden) > LONGEST_PASSWORD:
        raise ProtocolError("radius", f"a hidden password of {len(hidden)} bytes")
    shown, last = b"", authenticator
    for start in range(0, len(hidden), 16):
        block = hidden[start : start + 16]
        shown += _xor(block, _pad(secret, last))
        last = block
    return shown.rstrip(b"\0")


def proof(claim: Claim, authenticator: bytes, secret: bytes) -> tuple[Attribute, ...]:
    """User-Name and what proves it. ProtocolError for what does not fit an attribute."""
    user, value = attribute("user-name", claim.user), claim.value
    head = bytes((claim.identifier,))
    match claim.method:
        case "pap":
            return user, attribute("user-password", hide(value, authenticator, secret))
        case "chap-md5":
            return user, attribute("chap-password", head + value), attribute("chap-challenge", claim.challenge)
        case "mschapv1":  # PPP: LM (24) | NT (24) | flags; RADIUS: identifier | flags | LM | NT
            answer = attribute("ms-chap-response", head + value[48:49] + value[:48])
        case "mschapv2":  # PPP: peer challenge (16) | zeros (8) | NT (24) | flags
            answer = attribute("ms-chap2-response", head + value[48:49] + value[:48])
        case _:
            raise ProtocolError("radius", f"{claim.method} cannot be asked about")
    return user, attribute("ms-chap-challenge", claim.challenge), answer


def claim_of(request: Packet, secret: bytes) -> Claim:
    """What an Access-Request asks about, as the server sees it. ProtocolError where it has no user or no proof that can be read."""
    found = request.attributes
    user = found.text("user-name")
    if user is None:
        raise ProtocolError("radius", "an Access-Request without User-Name")
    if (hidden := found.octets("user-password")) is not None:
        return Claim("pap", user, 0, b"", reveal(hidden, request.authenticator, secret))
    if (answer := found.octets("chap-password")) is not None and len(answer) == 17:
        # RFC 2865 §5.3: without an attribute of its own the challenge is the request's authenticator.
        return Claim("chap-md5", user, answer[0], found.octets("chap-challenge") or request.authenticator, answer[1:])
    challenge = found.octets("ms-chap-challenge") or b""
    for name, method in (("ms-chap2-response", "mschapv2"), ("ms-chap-response", "mschapv1")):
        answer = found.octets(name)
        if answer is not None and len(answer) == 50 and FLAVOURS[method].takes(challenge):
            return Claim(method, user, answer[0], challenge, answer[2:] + answer[1:2])
    raise ProtocolError("radius", "an Access-Request without a proof that is known here")


def granted(found: Attributes, claim: Claim) -> Decision:
    """An Access-Accept. ProtocolError where it lacks the proof that MS-CHAPv2's Success is made of."""
    text = ""
    if claim.method == "mschapv2":
        proven = found.octets("ms-chap2-success")
        if proven is None or len(proven) < 43 or proven[0] != claim.identifier:
            raise ProtocolError("radius", "an Access-Accept without MS-CHAP2-Success for this Response")
        text = proven[1:].decode("utf-8", "replace")
    address = found.address("framed-ip-address")
    if address in ("255.255.255.255", "255.255.255.254"):  # the user chooses, or the router does (RFC 2865 §5.8)
        address = None
    return Decision(True, claim.user, text, address=address, accounting=tuple(found.all("class")), by="radius")


def denied(found: Attributes, claim: Claim) -> Decision:
    """An Access-Reject, or a challenge, which PPP has no way to pass on."""
    error = ""
    if (told := found.octets("ms-chap-error")) is not None:
        words = told[1:].decode("utf-8", "replace").split(" M=")[0].split()
        error = next((word[2:] for word in words if word.startswith("E=") and word[2:].isdecimal()), "")
    said = found.text("reply-message")
    return Decision(False, f"{claim.user} is rejected by RADIUS" + (f": {said}" if said else ""), error=error or "691", by="radius")


def _pad(secret: bytes, last: bytes) -> bytes:
    return hashlib.md5(secret + last, usedforsecurity=False).digest()


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
