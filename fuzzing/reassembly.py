"""The hosts' reassembly: fragments that overlap, contradict each other, never end; what comes out is one packet, and right."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from fuzzing.life import Life, Shot, Violation
from harness.wire import ip
from harness.wire.reassembly import MOST, Reassembly


class ReassemblyLife(Life):
    shots = 3000
    weight_limit = 3 * MOST * 0x10000 // 2

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self.target = Reassembly()
        self.seen: deque[bytes] = deque(maxlen=100)
        self.flood = self.setting.random() < 0.2  # of overlapping pieces, for few packets

    def aim(self) -> Sequence[Shot]:
        choice, mutator = self.mutator.choice, self.mutator
        if self.flood and mutator.chance(0.9):
            return [
                Shot(("flood",), self._piece(choice.randrange(2), choice.randrange(8190), True, choice.choice((8, 1400, 30000))))
            ]
        kind = choice.randrange(6)
        if kind == 0 or not self.seen:
            cut, size, number = choice.choice((8, 16, 80)), choice.choice((16, 100, 900)), choice.randrange(100)
            pieces = [self._piece(number, at // 8, at + cut < size, min(cut, size - at)) for at in range(0, size, cut)]
            if mutator.chance(0.5):
                choice.shuffle(pieces)
            self.seen += pieces
            return [Shot(("piece",), piece) for piece in pieces]
        if kind == 1:
            return [Shot(("noise",), mutator.noise())]
        if kind == 2 and not self.flood:
            return [Shot(("tick", choice.choice((0.1, 5.0, 16.0))))]
        return [Shot(("spoilt",), mutator.spoil(choice.choice(self.seen), list(self.seen)))]

    def _piece(self, number: int, offset: int, more: bool, size: int) -> bytes:
        packet = ip.build_ipv4("10.0.0.2", "203.0.113.231", 17, self.mutator.choice.randbytes(size), identification=number)
        return packet[:6] + (offset & 0x1FFF | 0x2000 * more).to_bytes(2) + packet[8:]

    def take(self, shot: Shot) -> None:
        if shot.door[0] == "tick":
            self.now += shot.door[1]
            return
        self.now += 0.001
        whole = self.target.add(self.now, shot.data)
        if whole is None or whole == shot.data:
            return
        size = (whole[0] & 15) * 4
        if int.from_bytes(whole[2:4]) != len(whole) or ip.checksum(whole[:size]) or whole[6:8] != bytes(2):
            raise Violation("what was put together is no whole packet")

    def check(self) -> None:
        if len(self.target) > MOST:
            raise Violation(f"more than {MOST} packets under way")

    def parts(self) -> Iterable[Any]:
        return [self.target]
