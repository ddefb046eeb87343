"""What the secret that two ends of a tunnel share is for: tunnel authentication (RFC 2661 §5.1.1) and hidden AVPs (§4.3)."""

from __future__ import annotations

import hashlib
import hmac

BLOCK = 16


def response(secret: bytes, message_type: int, challenge: bytes) -> bytes:
    """The 16 bytes that answer a challenge; `message_type` is that of the message that carries them: 2 (SCCRP) or 3 (SCCCN)."""
    return _md5(bytes((message_type,)) + secret + challenge)


def answers(answer: object, secret: bytes, message_type: int, challenge: bytes) -> bool:
    """Whether `answer`, if there is one at all, is the right response."""
    return isinstance(answer, bytes) and hmac.compare_digest(answer, response(secret, message_type, challenge))


def hide(secret: bytes, attribute: int, vector: bytes, value: bytes) -> bytes:
    """The value of a hidden AVP: its length (2), the value, and zeros up to a full block, so that the length does not show."""
    clear = len(value).to_bytes(2) + value
    clear += bytes(-len(clear) % BLOCK)
    hidden = b""
    for start in range(0, len(clear), BLOCK):
        pad = _pad(secret, attribute, vector, hidden)
        hidden += bytes(one ^ other for one, other in zip(clear[start : start + BLOCK], pad, strict=True))
    return hidden


def reveal(secret: bytes, attribute: int, vector: bytes, hidden: bytes) -> bytes | None:
    """The value that was hidden; None where the length within does not fit: another secret, or damage."""
    clear = b""
    for start in range(0, len(hidden), BLOCK):
        pad = _pad(secret, attribute, vector, hidden[:start])
        clear += bytes(one ^ other for one, other in zip(hidden[start : start + BLOCK], pad, strict=False))
    length = int.from_bytes(clear[:2])
    return clear[2 : 2 + length] if 2 + length <= len(clear) else None


def _pad(secret: bytes, attribute: int, vector: bytes, hidden: bytes) -> bytes:
    """The next 16 bytes of the key stream: over the attribute and the random vector first, then over the block before."""
    if not hidden:
        return _md5(attribute.to_bytes(2) + secret + vector)
    return _md5(secret + hidden[-BLOCK:])


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()
