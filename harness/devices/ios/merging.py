"""A configuration brought back although somebody else has changed it meanwhile: what is theirs is told from what is ours. Pure.

Three configurations are compared: the one that was saved, what it became by our change, and what is there now. What differs between
the first two is ours, and goes back; what differs between the last two is theirs, and stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.devices.ios.configurations import Section, folded, is_list, replaces

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Merged:
    """`target` is what to bring it to. `theirs`: each line of theirs, "+ " or "- " before it and its sections before that.
    `conflicts` says where both have changed the same; there their state stays."""

    target: Section
    theirs: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()


@dataclass(slots=True)
class _Told:
    theirs: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)

    def add(self, sign: str, path: Path, line: str) -> None:
        self.theirs.append(f"{sign} {' / '.join((*path, line))}")

    def conflict(self, path: Path, line: str, how: str) -> None:
        self.conflicts.append(f"{' / '.join((*path, line))}: {how}")


def merge(saved: Section, became: Section, now: Section) -> Merged:
    told = _Told()
    target = _merged(folded(saved), folded(became), folded(now), (), told)
    return Merged(target, tuple(told.theirs), tuple(told.conflicts))


def _merged(saved: Section, became: Section, now: Section, path: Path, told: _Told) -> Section:
    target: Section = {}
    added = [line for line in now if line not in became]
    for line in dict.fromkeys((*saved, *now)):
        if is_list(line):
            _list(line, saved, became, now, target, path, told)
        elif line in now:
            if line not in became:
                target[line] = _theirs(line, saved, now, path, told)
            elif line in saved:
                target[line] = _merged(saved[line], became[line], now[line], (*path, line), told)
            elif extra := list(_differences(became[line], now[line])):
                # Ours, with something of theirs in it: it cannot go without that.
                target[line] = now[line]
                told.conflict(path, line, f"the run has made it, and somebody else has changed it: {', '.join(extra)}")
        elif line in became:
            told.add("-", path, line)  # it was there before, and they have taken it away
        elif other := next((one for one in added if replaces(one, line)), None):
            told.conflict(path, line, f"the run has taken it away, and somebody else has put {other!r} in its place")
        else:
            target[line] = saved[line]
    taken = [line for line in saved if line not in now and line not in became]
    for line in became:
        if line in now or line in saved or any(replaces(line, one) for one in taken):
            continue
        if other := next((one for one in added if one not in saved and replaces(one, line)), None):
            told.conflict(path, line, f"the run has made it, and somebody else has put {other!r} in its place")
    return target


def _theirs(line: str, saved: Section, now: Section, path: Path, told: _Told) -> Section:
    """A line that they have put there; no difference where the run has taken it away, and they have put it back."""
    if line not in saved or saved[line] != now[line]:
        told.add("+", path, line)
        for below in now[line]:
            told.add("+", (*path, line), below)
    return now[line]


def _list(line: str, saved: Section, became: Section, now: Section, target: Section, path: Path, told: _Told) -> None:
    """An access list as a whole: its order is a part of it."""
    was, then, here = (list(one[line]) if line in one else None for one in (saved, became, now))
    if here in (then, was):
        if was is not None:
            target[line] = saved[line]
        return
    if here is not None:
        target[line] = now[line]
    if was == then:
        told.add("+" if here is not None else "-", path, line)
    else:
        told.conflict(path, line, "the run has changed this access list, and so has somebody else")


def _differences(became: Section, now: Section) -> Iterator[str]:
    yield from (f"+ {line}" for line in now if line not in became)
    yield from (f"- {line}" for line in became if line not in now)
    for line in now:
        if line in became:
            yield from _differences(became[line], now[line])
