"""The cryptography of CHAP: MD5 (RFC 1994 §4.1), MS-CHAPv1 (RFC 2433 Appendix A) and MS-CHAPv2 (RFC 2759 §8).

MD4 and single DES come from pycryptodome: OpenSSL 3 refuses both. They are broken as ciphers; the protocol still asks for them.
"""

from __future__ import annotations

import hashlib
import hmac

from Crypto.Cipher import DES
from Crypto.Hash import MD4

_SIGNING = b"Magic server to client signing constant"
_ITERATION = b"Pad to make it do more than one iteration"
_LM_BLOCK = b"KGS!@#$%"


def chap_md5(identifier: int, password: str, challenge: bytes) -> bytes:
    """The 16-byte response."""
    return hashlib.md5(bytes((identifier,)) + password.encode() + challenge, usedforsecurity=False).digest()


def nt_password_hash(password: str) -> bytes:
    """MD4 of the password in UTF-16LE (§8.3)."""
    return _md4(password.encode("utf-16-le"))


def challenge_hash(peer_challenge: bytes, challenge: bytes, user: str) -> bytes:
    """8 bytes (§8.2). A domain before the user's name (`DOMAIN\\user`) does not enter."""
    name = user.rpartition("\\")[2].encode()
    return hashlib.sha1(peer_challenge + challenge + name, usedforsecurity=False).digest()[:8]


def nt_response(challenge: bytes, peer_challenge: bytes, user: str, password: str) -> bytes:
    """MS-CHAPv2's 24 bytes (RFC 2759 §8.1): MS-CHAPv1's computation over the challenge hash."""
    return v1_response(challenge_hash(peer_challenge, challenge, user), nt_password_hash(password))


def v1_response(block: bytes, password_hash: bytes) -> bytes:
    """24 bytes (RFC 2433 A.5): 8 bytes of challenge under three DES keys cut from the password's hash, padded with zeros."""
    padded = password_hash + bytes(5)
    return b"".join(_des(padded[start : start + 7], block) for start in (0, 7, 14))


def lm_password_hash(password: str) -> bytes:
    """LAN Manager's 16 bytes (RFC 2433 A.2): a constant under two DES keys that are the password's 14 letters in capitals."""
    letters = password.upper().encode("cp437", "replace")[:14].ljust(14, b"\0")
    return _des(letters[:7], _LM_BLOCK) + _des(letters[7:], _LM_BLOCK)


def authenticator_response(password: str, response: bytes, peer_challenge: bytes, challenge: bytes, user: str) -> str:
    """The "S=" and 40 hex digits by which the authenticator shows that it knows the password too (§8.7)."""
    hash_of_hash = _md4(nt_password_hash(password))
    first = hashlib.sha1(hash_of_hash + response + _SIGNING, usedforsecurity=False).digest()
    block = challenge_hash(peer_challenge, challenge, user)
    return "S=" + hashlib.sha1(first + block + _ITERATION, usedforsecurity=False).hexdigest().upper()


def same(one: bytes, other: bytes) -> bool:
    return hmac.compare_digest(one, other)


def _md4(data: bytes) -> bytes:
    return MD4.new(data).digest()


def _des(key: bytes, block: bytes) -> bytes:
    """DES under a 56-bit key. DES wants it spread over 8 bytes, seven bits in each above a parity bit that it ignores."""
    bits = int.from_bytes(key)
    spread = bytes((bits >> 49 - 7 * place & 0x7F) << 1 for place in range(8))
    return DES.new(spread, DES.MODE_ECB).encrypt(block)
