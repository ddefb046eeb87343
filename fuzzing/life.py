"""One life: a target set up from its seed alone, hostile datagrams thrown at it, and what is watched meanwhile.

Everything follows from (target, seed, number of the life). What was thrown is remembered, so that a failure can be played again
with fewer datagrams, or shorter ones.
"""

from __future__ import annotations

import random
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from fuzzing.mutation import Mutator

BUDGET_S = 0.05
"""CPU time that one datagram may cost, everything that follows from it included."""
PATIENCE_S = 5.0
"""CPU time after which a datagram is interrupted: it hangs."""
CHECKS = 8
"""How often in a life the target's whole state is looked at."""


class Violation(Exception):
    """The target did what no datagram may bring about."""


class Hang(Violation):
    """A datagram was not done with in PATIENCE_S."""


@dataclass(frozen=True, slots=True)
class Shot:
    """`door` says where the datagram comes in, in the target's own words, all of them values of JSON: "real" and "tick" first mean
    that it is no hostile one but the peer's own, or time that passes."""

    door: tuple[Any, ...]
    data: bytes = b""

    @property
    def hostile(self) -> bool:
        return self.door[0] not in ("real", "tick")


class Life:
    """`shots` is how many hostile datagrams it bears, `weight_limit` how many bytes of Python objects its target may come to.

    `setting` draws what the life is like, `choice` what is thrown: a life is the same again whatever is thrown at it.
    """

    shots: ClassVar[int] = 60
    weight_limit: ClassVar[int] = 1 << 20

    def __init__(self, seed: str) -> None:
        self.setting = random.Random(f"{seed}/setting")
        self.choice = random.Random(f"{seed}/choice")
        self.mutator = Mutator(self.choice)
        self.now = 1000.0

    def aim(self) -> Sequence[Shot]:
        """What is thrown next."""
        raise NotImplementedError

    def take(self, shot: Shot) -> None:
        """Throws it at the target, and takes out all that comes of it."""
        raise NotImplementedError

    def check(self) -> None:
        """Violation where the target's state is not what it may be."""

    def end(self) -> None:
        """The storm is over: time passes, and Violation tells what has not become good again."""

    def parts(self) -> Iterable[Any]:
        """The target's objects, which are to be weighed."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Failure:
    """`number` of the datagram in its life, `shots` all that came up to it; `signature` is equal for what is the same mistake."""

    signature: str
    story: str
    number: int
    shots: tuple[Shot, ...]


@dataclass(slots=True)
class Tally:
    """What a life came to. `slowest` in seconds of CPU time, `weight` in bytes."""

    thrown: int = 0
    slowest: float = 0.0
    weight: int = 0
    failure: Failure | None = None


def live(kind: type[Life], seed: str, shots: Iterable[Shot] | None = None, *, most: int | None = None) -> Tally:
    """Lives one life to its end or to the first failure; with `shots` those are thrown instead of what it would choose."""
    tally, thrown = Tally(), list[Shot]()
    most = kind.shots if most is None else min(most, kind.shots)
    try:
        with _patience():
            life = kind(seed)
        life.check()
        for shot in _chosen(life, tally, most) if shots is None else shots:
            thrown.append(shot)
            spent = _thrown(life, shot)
            tally.thrown += shot.hostile
            tally.slowest = max(tally.slowest, spent)
            if spent > BUDGET_S:
                raise Violation(f"a datagram cost more than {BUDGET_S * 1e3:.0f} ms of CPU time")
            if shot.hostile and tally.thrown % max(1, kind.shots // CHECKS) == 0:
                _look(life, tally)
        _look(life, tally)
        with _patience(30.0):
            life.end()
    except Exception as error:
        tally.failure = Failure(_signature(error), traceback.format_exc(), tally.thrown, tuple(thrown))
    return tally


def _chosen(life: Life, tally: Tally, most: int) -> Iterator[Shot]:
    while tally.thrown < most:
        with _patience():
            aimed = life.aim()
        yield from aimed


def _thrown(life: Life, shot: Shot) -> float:
    """Seconds of CPU time that it took."""
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE_S)
    began = time.thread_time()
    life.take(shot)
    return time.thread_time() - began


def _look(life: Life, tally: Tally) -> None:
    with _patience(30.0):
        life.check()
        tally.weight = max(tally.weight, weight(life.parts()))
    if tally.weight > life.weight_limit:
        raise Violation(f"the target holds more than {life.weight_limit} bytes")


@contextmanager
def _patience(seconds: float = PATIENCE_S) -> Iterator[None]:
    """For what is no datagram."""
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def watch() -> None:
    """Once in a process: from now on whatever hangs is interrupted."""

    def ring(signum: int, frame: object) -> None:
        raise Hang(f"not done after {PATIENCE_S:.0f} s of CPU time")

    signal.signal(signal.SIGVTALRM, ring)


def _signature(error: Exception) -> str:
    """The kind of error and where it came about: the innermost line of the harness, or what the violation says."""
    if isinstance(error, Violation) and not isinstance(error, Hang):
        return f"Violation: {error}"
    if isinstance(error, Hang):
        return "Hang"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "harness" in Path(frame.filename).parts]
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "outside the harness"
    return f"{type(error).__name__} at {where}"


_PLAIN = (int, float, bool, str, type(None), bytes)
_SHARED = (type, type(sys), type(live), type(len), property, classmethod, staticmethod)


def weight(roots: Iterable[Any]) -> int:
    """Bytes of all objects that can be reached: attributes, slots, items and bound arguments. Types, modules and functions, which
    all share, weigh nothing, and neither does what C code hides."""
    total, seen, todo = 0, set[int](), deque(roots)
    while todo:
        one = todo.pop()
        if id(one) in seen or isinstance(one, _SHARED):
            continue
        seen.add(id(one))
        total += sys.getsizeof(one)
        if isinstance(one, _PLAIN):
            continue
        if isinstance(one, dict):
            todo.extend(one.keys())
            todo.extend(one.values())
        elif isinstance(one, list | tuple | set | frozenset | deque):
            todo.extend(one)
        else:
            todo.extend(_inside(one))
    return total


def _inside(one: Any) -> Iterator[Any]:
    yield from getattr(one, "__dict__", {}).values()
    for kind in type(one).__mro__:
        names = kind.__dict__.get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            if hasattr(one, name):
                yield getattr(one, name)
    for name in ("__self__", "args", "keywords"):  # methods and partial functions
        if (held := getattr(one, name, None)) is not None:
            yield held
