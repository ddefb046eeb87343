"""Lives of cores that face a peer of their own kind: the real exchange goes on, as slowly as the storm lets it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from fuzzing.life import Life, Shot, Violation

REMEMBERED = 64
"""Messages of the exchange that are kept to be spoilt, or sent again as they were."""


class Core(Protocol):
    @property
    def deadline(self) -> float | None: ...

    def tick(self, now: float) -> None: ...


def passed(core: Core, now: float) -> None:
    """Lets the core do what is due. Violation where it does not leave its deadline in the future."""
    core.tick(now)
    due = core.deadline
    if due is not None and due <= now:
        raise Violation("the deadline is not in the future after tick")


class PairLife(Life):
    """`target` is under test, `friend` its peer. At the beginning some number of the real messages gets through, so that any state
    of the exchange may be the one that the storm meets; others get through between the hostile ones."""

    real_share = 0.06
    tick_share = 0.02
    opening_messages = 20

    target: Any
    friend: Any

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self.waiting: deque[Shot] = deque(maxlen=REMEMBERED)  # the friend's, on their way
        self.crossed: deque[bytes] = deque(maxlen=REMEMBERED)
        self.build()
        self.exchange()
        for _ in range(self.setting.randrange(self.opening_messages + 1)):
            if not self.waiting:
                break
            self.take(self.waiting.popleft())

    # What a kind of pair says

    def build(self) -> None:
        """Makes target and friend, and starts whichever begins."""
        raise NotImplementedError

    def deliver(self, shot: Shot) -> None:
        """To the target."""
        raise NotImplementedError

    def collect(self, core: Any) -> list[Shot]:
        """What a core has to say to the other; its events are thrown away."""
        raise NotImplementedError

    def answer(self, shot: Shot) -> None:
        """The target's message, to the friend."""
        raise NotImplementedError

    def hostile(self) -> Sequence[Shot]:
        raise NotImplementedError

    # The same for all

    def aim(self) -> Sequence[Shot]:
        if self.waiting and self.mutator.chance(self.real_share):
            if self.mutator.chance(0.1):  # overtaken by one that was sent after it
                self.waiting.rotate(-1)
            return [self.waiting.popleft()]
        if self.mutator.chance(self.tick_share):
            return [Shot(("tick", self.mutator.choice.choice((0.01, 0.5, 1.0, 3.0, 10.0, 61.0))))]
        return self.hostile()

    def take(self, shot: Shot) -> None:
        if shot.door[0] == "tick":
            self.now += shot.door[1]
            passed(self.target, self.now)
            self.friend.tick(self.now)
        else:
            self.now += 0.0001
            self.deliver(shot)
        self.exchange()

    def exchange(self) -> None:
        """What the target says is heard at once; what the friend says waits its turn."""
        for _ in range(100):
            said = self.collect(self.target)
            for shot in said:
                self.crossed.append(shot.data)
                self.answer(shot)
            for shot in self.collect(self.friend):
                self.crossed.append(shot.data)
                self.waiting.append(shot)
            if not said:
                return
        raise Violation("the target never falls quiet")

    def end(self) -> None:
        """Left alone, whatever has become of it comes to rest between its deadlines."""
        until = self.now + 300.0
        for _ in range(1000):
            due = self.target.deadline
            if due is None or due > until:
                return
            self.now = max(self.now, due)
            passed(self.target, self.now)
            self.collect(self.target)
        raise Violation("a thousand deadlines in 300 s without a peer")

    def parts(self) -> Iterable[Any]:
        return [self.target]
