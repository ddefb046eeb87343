"""The transforms ESP knows here, as rows: names as in `wire.config.EspProposal`.

AES-CBC is RFC 3602, 3DES-CBC RFC 2451, DES-CBC RFC 2405, NULL RFC 2410; HMAC-MD5-96 is RFC 2403, HMAC-SHA1-96 RFC 2404,
HMAC-SHA-256-128 RFC 4868. AH takes the same authentications.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from harness.errors import ProtocolError


@dataclass(frozen=True, slots=True)
class Encryption:
    """`key`, `block` and `iv` in bytes; `algorithm` makes the block cipher from a key, and is None where nothing is encrypted. The
    clear text is padded to whole blocks, which are never smaller than 4 bytes (RFC 4303 §2.4)."""

    algorithm: Callable[[bytes], BlockCipherAlgorithm] | None
    key: int
    block: int
    iv: int

    def encryptor(self, key: bytes) -> Callable[[bytes], bytes]:
        """One CBC context for the life of an SA, chained from packet to packet."""
        if self.algorithm is None:
            return bytes
        return Cipher(self.algorithm(key), CBC(bytes(self.block))).encryptor().update

    def decryptor(self, key: bytes) -> Callable[[bytes], bytes]:
        if self.algorithm is None:
            return bytes
        return Cipher(self.algorithm(key), CBC(bytes(self.block))).decryptor().update


@dataclass(frozen=True, slots=True)
class Authentication:
    """`key` and `icv` in bytes; `digest` is hashlib's name of the hash under the HMAC."""

    digest: str
    key: int
    icv: int


ENCRYPTIONS: Mapping[str, Encryption] = {
    "aes-256": Encryption(AES, 32, 16, 16),
    "aes-192": Encryption(AES, 24, 16, 16),
    "aes-128": Encryption(AES, 16, 16, 16),
    "3des": Encryption(TripleDES, 24, 8, 8),
    "des": Encryption(lambda key: TripleDES(key * 3), 8, 8, 8),  # three times with one key is once (ANSI X9.52)
    "null": Encryption(None, 0, 4, 0),
}

AUTHENTICATIONS: Mapping[str, Authentication] = {
    "md5": Authentication("md5", 16, 12),
    "sha1": Authentication("sha1", 20, 12),
    "sha256": Authentication("sha256", 32, 16),
    "none": Authentication("md5", 0, 0),  # encryption alone, as RFC 2406 still allows: nothing of the HMAC goes out
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
