"""The transforms ESP knows here, as rows: names as in `wire.config.EspProposal`.

AES-CBC is RFC 3602, 3DES-CBC RFC 2451, HMAC-SHA1-96 RFC 2404, HMAC-SHA-256-128 RFC 4868.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from harness.errors import ProtocolError


@dataclass(frozen=True, slots=True)
class Encryption:
    """`key` and `block` in bytes; `algorithm` makes the block cipher from a key."""

    algorithm: Callable[[bytes], BlockCipherAlgorithm]
    key: int
    block: int


@dataclass(frozen=True, slots=True)
class Authentication:
    """`key` and `icv` in bytes; `digest` is hashlib's name of the hash under the HMAC."""

    digest: str
    key: int
    icv: int


ENCRYPTIONS: Mapping[str, Encryption] = {
    "aes-256": Encryption(AES, 32, 16),
    "aes-128": Encryption(AES, 16, 16),
    "3des": Encryption(TripleDES, 24, 8),
}

AUTHENTICATIONS: Mapping[str, Authentication] = {
    "sha1": Authentication("sha1", 20, 12),
    "sha256": Authentication("sha256", 32, 16),
}


def pick(encryption: str, authentication: str, key: bytes, auth_key: bytes) -> tuple[Encryption, Authentication]:
    """The two rows, once names and key lengths are known to fit. ProtocolError otherwise."""
    cipher = ENCRYPTIONS.get(encryption)
    mac = AUTHENTICATIONS.get(authentication)
    if cipher is None or mac is None:
        raise ProtocolError("esp", f"no transform {encryption} with {authentication}")
    if len(key) != cipher.key or len(auth_key) != mac.key:
        raise ProtocolError("esp", f"{encryption} with {authentication} takes keys of {cipher.key} and {mac.key} bytes")
    return cipher, mac
