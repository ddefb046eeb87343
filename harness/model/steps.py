"""Steps as they happen: whoever carries out work tells the bus, whoever reports subscribes, and neither knows the other.

    with bus.step("client 2 connects", client="c2"):
        bus.note("quick mode is up")
        bus.attach("console", path)

Nesting follows the calling task (a context variable), so that concurrent asyncio tasks each nest below the step that started them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class StepChange(StrEnum):
    BEGAN = "began"
    ENDED = "ended"
    NOTED = "noted"
    ATTACHED = "attached"


@dataclass(frozen=True, slots=True)
class StepEvent:
    """One thing told to the bus. `t` is seconds since the epoch.

    `step` numbers the step from 1; a note or an attachment carries the number of the step it belongs to, 0 outside of any.
    `parent` is 0 at the top. `name` is the step's name, the note's text or the attachment's title. `problem` is why a step
    that ended did so with an exception. `path` is an attachment's file.
    """

    change: StepChange
    t: float
    step: int
    parent: int
    name: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None
    path: str | None = None


Subscriber = Callable[[StepEvent], None]


class StepBus:
    """Hands every event to every subscriber, in the order of subscription. `clock` gives seconds since the epoch.

    An exception of a subscriber reaches the one who did the step: a report that cannot be written is not kept quiet.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._subscribers: list[Subscriber] = []
        self._numbers = itertools.count(1)
        self._current: ContextVar[int] = ContextVar("step", default=0)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """From now on `subscriber` hears everything. The returned function ends that; calling it again changes nothing."""
        self._subscribers.append(subscriber)

        def unsubscribe() -> None:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

        return unsubscribe

    @contextmanager
    def step(self, name: str, **detail: Any) -> Iterator[int]:
        """A step that lasts as long as the block. An exception is told as its problem, and goes on."""
        number, parent = next(self._numbers), self._current.get()
        self._tell(StepEvent(StepChange.BEGAN, self._clock(), number, parent, name, detail))
        token = self._current.set(number)
        problem = None
        try:
            yield number
        except BaseException as error:
            problem = f"{type(error).__name__}: {error}"
            raise
        finally:
            self._current.reset(token)
            self._tell(StepEvent(StepChange.ENDED, self._clock(), number, parent, name, detail, problem))

    def note(self, text: str, **detail: Any) -> None:
        """Something worth telling inside the present step."""
        self._tell(StepEvent(StepChange.NOTED, self._clock(), self._current.get(), 0, text, detail))

    def attach(self, title: str, path: str) -> None:
        """A file that belongs to the present step. It must stay where it is until the run has ended."""
        self._tell(StepEvent(StepChange.ATTACHED, self._clock(), self._current.get(), 0, title, path=path))

    def _tell(self, event: StepEvent) -> None:
        for subscriber in tuple(self._subscribers):
            subscriber(event)
