"""How a datagram is spoilt: by bytes, and by the items that its format is a chain of."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

INTERESTING = (0, 1, 2, 3, 4, 7, 8, 0x0F, 0x10, 0x1F, 0x20, 0x3F, 0x40, 0x7F, 0x80, 0xFE, 0xFF)
WIDE = (0, 1, 2, 4, 6, 8, 12, 20, 28, 0x7F, 0x80, 0xFF, 0x100, 0x3FF, 0x400, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)
LONGEST = 1400
"""Bytes of most that is made here: what comes in one packet. Some few are as long as UDP allows."""
HUGE = 60_000


class Mutator:
    """Every choice is its random source's."""

    def __init__(self, choice: random.Random) -> None:
        self.choice = choice
        self._ways: tuple[Callable[[bytearray, Sequence[bytes]], None], ...] = (
            self._bits, self._byte, self._field, self._field, self._cut, self._longer, self._splice, self._double, self._less,
            self._swap, self._insert, self._foreign,
        )  # fmt: skip

    def chance(self, share: float) -> bool:
        return self.choice.random() < share

    def spoil(self, data: bytes, others: Sequence[bytes] = ()) -> bytes:
        """`data` with something about it changed, once to four times; `others` lend parts of theirs."""
        spoilt = bytearray(data)
        for _ in range(self.choice.choice((1, 1, 1, 2, 4))):
            self.choice.choice(self._ways)(spoilt, others)
        if len(spoilt) > LONGEST and not self.chance(0.01):
            del spoilt[max(LONGEST, len(data)) :]
        return bytes(spoilt[:HUGE])

    def noise(self) -> bytes:
        return self.choice.randbytes(self.choice.choice((0, 1, 3, 4, 8, 12, 20, 28, 40, 200, LONGEST)))

    def items(self, items: Sequence[T], others: Sequence[T], spoil: Callable[[T], T]) -> list[T]:
        """A chain with items left out, doubled, put elsewhere, taken from `others`, or spoilt in themselves."""
        spoilt = list(items)
        for _ in range(self.choice.choice((1, 1, 2, 3))):
            at = self.choice.randrange(len(spoilt) + 1)
            match self.choice.randrange(7):
                case 0 if spoilt:
                    del spoilt[min(at, len(spoilt) - 1)]
                case 1 if spoilt:
                    spoilt.insert(at, self.choice.choice(spoilt))
                case 2 if len(spoilt) > 1:
                    self.choice.shuffle(spoilt)
                case 3 if others:
                    spoilt.insert(at, self.choice.choice(others))
                case 4 if spoilt and self.chance(0.1):
                    spoilt += [self.choice.choice(spoilt)] * self.choice.choice((8, 70))
                case _ if spoilt:
                    at = min(at, len(spoilt) - 1)
                    spoilt[at] = spoil(spoilt[at])
        return spoilt

    # By bytes

    def _at(self, data: bytearray, size: int = 1) -> int:
        """A place in it; its beginning, where headers are, comes up more often."""
        room = max(1, len(data) - size + 1)
        return self.choice.randrange(min(room, 40) if self.chance(0.6) else room)

    def _bits(self, data: bytearray, others: Sequence[bytes]) -> None:
        for _ in range(self.choice.choice((1, 1, 2, 8))):
            if data:
                data[self._at(data)] ^= 1 << self.choice.randrange(8)

    def _byte(self, data: bytearray, others: Sequence[bytes]) -> None:
        if data:
            data[self._at(data)] = self.choice.choice(INTERESTING) if self.chance(0.7) else self.choice.randrange(256)

    def _field(self, data: bytearray, others: Sequence[bytes]) -> None:
        """Two or four bytes at once: a length, a count, an identifier; blown up, emptied, or one beside what it was."""
        size = self.choice.choice((2, 2, 4))
        if len(data) < size:
            return
        at = self._at(data, size)
        value = int.from_bytes(data[at : at + size])
        match self.choice.randrange(3):
            case 0:
                value += self.choice.choice((-4, -1, 1, 4, 8))
            case 1:
                value = self.choice.choice(WIDE)
            case _:
                value = self.choice.choice((0, 1 << 8 * size - 1, (1 << 8 * size) - 1, self.choice.getrandbits(8 * size)))
        data[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size)

    def _cut(self, data: bytearray, others: Sequence[bytes]) -> None:
        del data[self.choice.randrange(len(data) + 1) :]

    def _longer(self, data: bytearray, others: Sequence[bytes]) -> None:
        size = HUGE if self.chance(0.002) else self.choice.choice((1, 2, 4, 16, 64, 600))
        data += self.choice.randbytes(size) if self.chance(0.5) else bytes((self.choice.choice(INTERESTING),)) * size

    def _splice(self, data: bytearray, others: Sequence[bytes]) -> None:
        """The head of one, the tail of another."""
        other = self.choice.choice(others) if others else bytes(data)
        at = self.choice.randrange(min(len(data), len(other)) + 1)
        data[at:] = other[at:]

    def _double(self, data: bytearray, others: Sequence[bytes]) -> None:
        first, last = self._stretch(data)
        data[last:last] = data[first:last]

    def _less(self, data: bytearray, others: Sequence[bytes]) -> None:
        first, last = self._stretch(data)
        del data[first:last]

    def _swap(self, data: bytearray, others: Sequence[bytes]) -> None:
        first, last = self._stretch(data)
        part = data[first:last]
        del data[first:last]
        at = self.choice.randrange(len(data) + 1)
        data[at:at] = part

    def _insert(self, data: bytearray, others: Sequence[bytes]) -> None:
        at = self.choice.randrange(len(data) + 1)
        data[at:at] = self.choice.randbytes(self.choice.choice((1, 2, 4, 8)))

    def _foreign(self, data: bytearray, others: Sequence[bytes]) -> None:
        """Bytes of another datagram at the same place: its cookies, its SPI, its tunnel, its address."""
        if not others:
            return
        other = self.choice.choice(others)
        at, size = self.choice.choice((0, 0, 4, 8, 12, 16, 20, self._at(data))), self.choice.choice((2, 4, 8, 16))
        data[at : at + size] = other[at : at + size]

    def _stretch(self, data: bytearray) -> tuple[int, int]:
        first = self.choice.randrange(len(data) + 1)
        return first, min(len(data), first + self.choice.choice((1, 2, 4, 8, 32)))
