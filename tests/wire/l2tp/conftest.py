"""Two L2TP cores on one clock, over a link that delays every packet by a draw of its own: it reorders, and may lose and double."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

import pytest

from harness.wire import events
from harness.wire.config import L2tpConfig
from harness.wire.l2tp import L2tpCore, header
from harness.wire.l2tp.message import Message, parse


class Link:
    """`cores` are "lac" and "lns"; `told` is what each said, `sent` what each sent. `loss` and `doubling` are chances, `spread`
    seconds by which packets may overtake each other."""

    def __init__(self, lac: L2tpConfig, lns: L2tpConfig, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.lac = L2tpCore(lac, random.Random(seed + 1).randbytes)
        self.lns = L2tpCore(lns, random.Random(seed + 2).randbytes)
        self.cores = {"lac": self.lac, "lns": self.lns}
        self.told: dict[str, list[events.Event]] = {"lac": [], "lns": []}
        self.sent: dict[str, list[bytes]] = {"lac": [], "lns": []}
        self.loss = self.doubling = self.spread = 0.0
        self.now = 0.0
        self._flying: list[tuple[float, int, str, bytes]] = []
        self._count = 0

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            self._collect()
            due = [core.deadline for core in self.cores.values() if core.deadline is not None]
            due += [self._flying[0][0]] if self._flying else []
            if not due or min(due) > end:
                self.now = end
                return
            self.now = max(self.now, min(due))
            while self._flying and self._flying[0][0] <= self.now:
                _, _, to, packet = heapq.heappop(self._flying)
                self.cores[to].receive(self.now, packet)
            for core in self.cores.values():
                core.tick(self.now)

    def up(self) -> Link:
        self.lac.start(self.now)
        self.run(5)
        assert self.lac.established
        assert self.lns.established
        return self

    def of(self, who: str, kind: type[events.Event]) -> list[events.Event]:
        return [event for event in self.told[who] if isinstance(event, kind)]

    def messages(self, who: str) -> list[Message]:
        secret = self.cores[who]._config.secret
        bodies = [header.parse(packet).body for packet in self.sent[who] if packet[0] & 0x80]
        return [found for body in bodies if body and (found := parse(body, secret)) is not None]

    def _collect(self) -> None:
        for who, to in (("lac", "lns"), ("lns", "lac")):
            self.told[who] += self.cores[who].take_events()
            for packet in self.cores[who].take_packets():
                self.sent[who].append(packet)
                for _ in range(1 + (self.random.random() < self.doubling)):
                    if self.random.random() >= self.loss:
                        self._count += 1
                        arrival = self.now + 0.01 + self.random.random() * self.spread
                        heapq.heappush(self._flying, (arrival, self._count, to, packet))


@pytest.fixture
def join() -> Callable[..., Link]:
    return Link
