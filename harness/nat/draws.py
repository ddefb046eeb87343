"""Random numbers for allocators and links: a counter hashed under a key, so that the same entropy draws the same numbers for
ever."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

Entropy = Callable[[int], bytes]
"""Gives that many random bytes."""


class Draws:
    """An endless stream of draws under `key` (at most 64 bytes)."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._count = 0
        self._left = b""

    def word(self) -> int:
        """32 bits."""
        if not self._left:
            self._left = hashlib.blake2b(self._count.to_bytes(8), key=self._key).digest()
            self._count += 1
        drawn, self._left = self._left[:4], self._left[4:]
        return int.from_bytes(drawn)

    def below(self, limit: int) -> int:
        """0 to `limit` - 1, for limits far below 2**32."""
        return self.word() * limit >> 32

    def share(self) -> float:
        """0 up to, not including, 1."""
        return self.word() / 2**32

    def happens(self, probability: float) -> bool:
        return self.share() < probability
