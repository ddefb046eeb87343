"""The heap of deadlines: one entry a key, one timer for all."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.clients.deadlines import Deadlines


@dataclass
class Clock:
    """An event loop's timers and a clock, moved by hand."""

    now: float = 0.0
    timers: list[Any] = field(default_factory=list)

    def call_later(self, delay: float, callback: Callable[[], None]) -> Any:
        timer = Timer(self.now + delay, callback)
        self.timers.append(timer)
        return timer

    def advance(self, to: float) -> None:
        """Fires timers in order until `to`."""
        while True:
            pending = [t for t in self.timers if not t.cancelled and t.at <= to]
            if not pending:
                break
            first = min(pending, key=lambda t: t.at)
            self.timers.remove(first)
            self.now = max(self.now, first.at)
            first.callback()
        self.now = to

    @property
    def armed(self) -> int:
        return sum(not t.cancelled for t in self.timers)


@dataclass
class Timer:
    at: float
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


def make(clock: Clock) -> tuple[Deadlines[str], list[tuple[float, str]]]:
    called: list[tuple[float, str]] = []
    deadlines: Deadlines[str] = Deadlines(clock, lambda: clock.now, lambda key, at: called.append((clock.now, key)))  # type: ignore
    return deadlines, called


def test_each_key_is_called_once_at_its_time() -> None:
    clock = Clock()
    deadlines, called = make(clock)
    for key, at in (("b", 2.0), ("a", 1.0), ("c", 3.0)):
        deadlines.set(key, at)
    assert clock.armed == 1
    clock.advance(10.0)
    assert called == [(1.0, "a"), (2.0, "b"), (3.0, "c")]
    assert (len(deadlines), deadlines.entries, clock.armed) == (0, 0, 0)


def test_moving_off_nearer_and_away() -> None:
    clock = Clock()
    deadlines, called = make(clock)
    deadlines.set("off", 1.0)
    for step in range(100):
        deadlines.set("off", 1.0 + step)
    assert deadlines.entries == 1
    deadlines.set("nearer", 50.0)
    deadlines.set("nearer", 5.0)
    deadlines.set("away", 6.0)
    deadlines.set("away", None)
    clock.advance(99.0)
    assert called == [(5.0, "nearer")]
    clock.advance(100.0)
    assert called == [(5.0, "nearer"), (100.0, "off")]


def test_a_key_that_is_set_again_when_called_runs_on() -> None:
    clock = Clock()
    times: list[float] = []

    def again(key: str, at: float) -> None:
        times.append(at)
        if at < 5:
            deadlines.set(key, at + 1)

    deadlines: Deadlines[str] = Deadlines(clock, lambda: clock.now, again)  # type: ignore
    deadlines.set("tick", 1.0)
    clock.advance(10.0)
    assert times == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_any_order_of_changes_calls_what_was_last_wanted() -> None:
    dice = random.Random(2)
    for _ in range(200):
        clock = Clock()
        deadlines, called = make(clock)
        wanted: dict[str, float] = {}
        for _ in range(60):
            key = dice.choice("abcde")
            if dice.random() < 0.2:
                deadlines.set(key, None)
                wanted.pop(key, None)
            else:
                wanted[key] = dice.uniform(1.0, 9.0)
                deadlines.set(key, wanted[key])
            assert clock.armed <= 1
        clock.advance(10.0)
        assert sorted(called) == sorted((at, key) for key, at in wanted.items())


def test_on_a_real_loop_and_closed_it_is_silent() -> None:
    async def play() -> list[str]:
        loop = asyncio.get_running_loop()
        called: list[str] = []
        done = asyncio.Event()

        def due(key: str, at: float) -> None:
            called.append(key)
            done.set()

        deadlines: Deadlines[str] = Deadlines(loop, loop.time, due)
        deadlines.set("now", loop.time())
        await asyncio.wait_for(done.wait(), 5)
        deadlines.set("never", loop.time())
        deadlines.close()
        await asyncio.sleep(0)
        return called

    assert asyncio.run(play()) == ["now"]
