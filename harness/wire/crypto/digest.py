"""Hashes, keyed pseudo-random functions and truncated integrity checks, as rows of tables.

Sources: FIPS 180-4 (SHA), RFC 1321 (MD5), RFC 2104 (HMAC), RFC 2403 (HMAC-MD5-96), RFC 2404 (HMAC-SHA-1-96), RFC 4868
(HMAC-SHA-256-128), RFC 2409 §4 (the prf of IKEv1 is the HMAC of the negotiated hash). Names are those of `wire.config`: "md5",
"sha1", "sha256". Sizes are in bytes.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Hash:
    """A hash and its HMAC."""

    name: str
    size: int
    _new: Callable[[bytes], Any]

    def digest(self, data: bytes) -> bytes:
        result: bytes = self._new(data).digest()
        return result

    def prf(self, key: bytes, data: bytes) -> bytes:
        """HMAC, untruncated: the prf of RFC 2409."""
        return hmac.digest(key, data, self.name)


@dataclass(frozen=True, slots=True)
class Integrity:
    """An integrity algorithm of ESP: an HMAC cut to its first `icv_size` bytes."""

    name: str
    hash: Hash
    key_size: int
    icv_size: int

    def checker(self, key: bytes) -> IcvMaker:
        """Bind a key; the result serves any number of packets."""
        if len(key) != self.key_size:
            raise ValueError(f"{self.name} takes a key of {self.key_size} bytes, not {len(key)}")
        return IcvMaker(self, key)


class IcvMaker:
    """Makes and checks the integrity check values of one SA."""

    __slots__ = ("_hash", "_key", "size")

    def __init__(self, row: Integrity, key: bytes) -> None:
        self._hash = row.hash.name
        self._key = key
        self.size = row.icv_size

    def make(self, data: bytes) -> bytes:
        return hmac.digest(self._key, data, self._hash)[: self.size]

    def fits(self, data: bytes, icv: bytes) -> bool:
        """Constant in time with respect to where the values differ."""
        return hmac.compare_digest(self.make(data), icv)


HASHES: dict[str, Hash] = {
    row.name: row
    for row in (
        Hash("md5", 16, lambda data: hashlib.md5(data, usedforsecurity=False)),
        Hash("sha1", 20, hashlib.sha1),
        Hash("sha256", 32, hashlib.sha256),
    )
}

INTEGRITY: dict[str, Integrity] = {
    row.name: row
    for row in (
        Integrity("md5", HASHES["md5"], 16, 12),
        Integrity("sha1", HASHES["sha1"], 20, 12),
        Integrity("sha256", HASHES["sha256"], 32, 16),
    )
}
