"""A router's configuration: a tree of lines that does not change, what a line makes of it, and the text that it is printed as.

The rows of `tables` say of each command which earlier line it replaces; `Configuration` holds the tree of now and tells whoever
asked what became of it. What the lines mean is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache

from harness.virtual.ios.grammar import Match, Row
from harness.virtual.ios.kinds import kind_of
from harness.virtual.ios.tables import top
from harness.virtual.ios.tables.sections import MODES

Order = tuple[int, tuple[str | int, ...]]
Path = tuple[str, ...]
"""The keys of the sections that lead from the top to one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line and the lines below it. `mode` is that of the section that it opens, "" where it opens none; `order` its place."""

    line: str
    key: str = ""
    order: Order = (0, ())
    mode: str = ""
    below: tuple[Entry, ...] = ()
    words: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _by_first_word: dict[str, list[Entry]] = field(init=False, repr=False, compare=False)
    """The lines below, filled when somebody looks for some: there may be a thousand users, and a look at every packet."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", tuple(self.line.split()))
        object.__setattr__(self, "_by_first_word", {})

    def find(self, prefix: str) -> tuple[Entry, ...]:
        """The lines below that begin with these whole words (one at the least), in their order."""
        wanted = tuple(prefix.split())
        if not self._by_first_word:
            for one in self.below:
                self._by_first_word.setdefault(one.words[0], []).append(one)
        return tuple(one for one in self._by_first_word.get(wanted[0], ()) if one.words[: len(wanted)] == wanted)

    def first(self, prefix: str) -> Entry | None:
        found = self.find(prefix)
        return found[0] if found else None

    def has(self, line: str) -> bool:
        """Whether exactly this line stands below."""
        return any(one.line == line for one in self.below)

    def value(self, prefix: str) -> str | None:
        """What follows these words in the first line below that begins with them; "" where nothing does, None where there is
        none."""
        found = self.first(prefix)
        return None if found is None else " ".join(found.words[len(prefix.split()) :])

    def at(self, path: Path) -> Entry | None:
        here: Entry | None = self
        for key in path:
            here = next((one for one in here.below if one.key == key), None) if here else None
        return here

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Entry]]:
        """Every line below, with how far it is indented."""
        for one in self.below:
            yield depth, one
            yield from one.walk(depth + 1)


EMPTY = Entry("", mode="config")
Listener = Callable[[Entry, Entry], None]


class Refused(Exception):
    """What IOS says to a line that its syntax allows and its meaning does not."""

    def __init__(self, *said: str) -> None:
        super().__init__(" ".join(said))
        self.said = said


@dataclass(slots=True)
class Configuration:
    """The tree of now. Each of `listeners` is called with (old, new) after a line that has changed something."""

    tree: Entry = EMPTY
    listeners: list[Listener] = field(default_factory=list)

    def become(self, tree: Entry) -> None:
        old, self.tree = self.tree, tree
        if old != tree:
            for listener in tuple(self.listeners):
                listener(old, tree)

    def text(self) -> str:
        return rendered(self.tree)


# --- one line ---


@cache
def _places(mode: str) -> dict[str, int]:
    places: dict[str, int] = {}
    for row in MODES[mode].rows:
        places.setdefault(row.place or row.syntax, len(places))
    return places


@cache
def stem(row: Row) -> tuple[str, ...]:
    """The keywords with which a command begins."""
    found = []
    for word in row.syntax.split():
        if word[0] in "[{|" or kind_of(word.partition(":")[0]) is not None:
            break
        found.append(word)
    return tuple(found)


def _key(match: Match) -> str | None:
    """Which line this is; None where what was typed does not say."""
    begins, template = stem(match.row), match.row.key
    if len(match.words) < len(begins):
        return None
    if template == "*":
        return match.line if match.whole else None
    try:
        own = template.format_map({name: values[0] for name, values in match.values.items()})
    except KeyError:
        return None
    return " ".join([*begins, own]).rstrip()


def _order(mode: str, match: Match, key: str) -> Order:
    place = _places(mode)[match.row.place or match.row.syntax]
    if not match.row.sort:
        return place, ()
    return place, tuple(int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", key))


def entry_of(mode: str, match: Match, *, negative: bool = False) -> Entry:
    """The line as it is kept."""
    key = _key(match) or match.line
    words = match.words
    if match.row.shown:
        words = (match.row.shown, *words[len(stem(match.row)) :])
    line = " ".join(words)
    if negative:
        line = f"no {' '.join(stem(match.row))}" if not match.row.key else f"no {line}"
    return Entry(line, key, _order(mode, match, key), "" if negative else match.row.enters)


def put(section: Entry, entry: Entry) -> Entry:
    """The section with this line in the place of the one with the same key, whose lines below it keeps; or else in its order."""
    below = list(section.below)
    for n, one in enumerate(below):
        if one.key == entry.key:
            below[n] = replace(entry, below=one.below if entry.mode == one.mode else ())
            return replace(section, below=tuple(below))
    at = next((n for n, one in enumerate(below) if one.order > entry.order), len(below))
    below.insert(at, entry)
    return replace(section, below=tuple(below))


def without(section: Entry, key: str) -> Entry:
    return replace(section, below=tuple(one for one in section.below if one.key != key))


def accepted(section: Entry, match: Match) -> Entry:
    """The section after a line that was typed as it is."""
    entry = entry_of(section.mode, match)
    said = " ".join(match.words[len(stem(match.row)) :])
    if (match.row.kind == "switch" and not said) or (match.row.default and said == match.row.default):
        return without(section, entry.key)
    return put(section, entry)


def negated(section: Entry, match: Match) -> Entry:
    """The section after the `no` form of a line, of which the end may lack: what tells the line from others is enough, and less
    than that takes all that begin with it."""
    if match.row.kind in ("switch", "both"):
        return put(section, entry_of(section.mode, match, negative=True))
    return removed(section, match)


def removed(section: Entry, match: Match) -> Entry:
    """The section without the line, and without its `no` form: also what `default` does."""
    key = _key(match)
    if key is not None and (match.row.key != "*" or match.whole) and any(one.key == key for one in section.below):
        return without(section, key)
    if match.row.key:
        words = match.words
        left = tuple(one for one in section.below if tuple(one.key.split())[: len(words)] != words)
        return replace(section, below=left)
    return section


def emptied(section: Entry, match: Match) -> Entry:
    """The section with nothing below the line, where it is there."""
    key = _key(match)
    return replace(section, below=tuple(replace(one, below=()) if one.key == key else one for one in section.below))


def changed(tree: Entry, path: Path, make: Callable[[Entry], Entry]) -> Entry:
    """The tree with the section at that path made into another."""
    if not path:
        return make(tree)
    below = tuple(changed(one, path[1:], make) if one.key == path[0] else one for one in tree.below)
    return replace(tree, below=below)


# --- text ---


def _groups() -> dict[int, int]:
    """The group of each place among the global commands: a "!" stands between groups."""
    found: dict[int, int] = {}
    group = 0
    for row in top.ROWS:
        if row is None:
            group += 1
        else:
            found.setdefault(_places("config")[row.place or row.syntax], group)
    return found


_GROUPS = _groups()
HIDDEN = "hidden "
"""Begins the key of a line that is kept and not shown."""


def body(tree: Entry) -> list[str]:
    """From the first "!" to "end"."""
    lines = ["!"]
    before: Entry | None = None
    for entry in tree.below:
        if entry.key.startswith(HIDDEN):
            continue
        if before is not None:
            parted = _GROUPS[before.order[0]] != _GROUPS[entry.order[0]]
            if (parted or (before.mode not in ("", "line"))) and lines[-1] != "!":
                lines.append("!")
        lines.append(entry.line)
        lines += [" " * (depth + 1) + one.line for depth, one in entry.walk() if not one.key.startswith(HIDDEN)]
        before = entry
    if lines[-1] != "!":
        lines.append("!")
    return [*lines, "end"]


def rendered(tree: Entry) -> str:
    return "\n".join(body(tree)) + "\n"
