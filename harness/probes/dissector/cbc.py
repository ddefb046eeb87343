"""Decryption in CBC mode, for IKE and ESP alike, by the cipher names of the key file."""

from __future__ import annotations

import warnings
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # 3DES is deprecated, and is what older gateways speak
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES


def decrypt(encryption: str, key: bytes, iv: bytes, data: bytes) -> bytes:
    """`data` is a whole number of blocks, which the caller has checked. "null" gives it back as it is."""
    if encryption == "null":
        return data
    if encryption == "des":
        key *= 3  # encrypted, decrypted and encrypted again with one key: once
    algorithm: Any = TripleDES(key) if encryption in ("des", "3des") else algorithms.AES(key)
    decryptor = Cipher(algorithm, modes.CBC(iv)).decryptor()
    return decryptor.update(data) + decryptor.finalize()
