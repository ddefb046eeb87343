"""Lines against the commands of a mode: what was meant, what is wrong with it and where, what might follow. Pure.

Keywords may be shortened as far as one of them remains. A word that is a keyword in full is never ambiguous; where a word may
also be a value, both readings are followed, and the one with the more definite words is taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from harness.virtual.ios.kinds import interface_type
from harness.virtual.ios.syntax import Automaton, Word, compiled

CR = "<cr>"
REMEMBERED = 4096
"""Lines of a mode: a router that starts again reads the same ones."""


@dataclass(frozen=True, slots=True)
class Row:
    """One command. `gate` is the feature (model.ios_releases) without which it is not there, `level` the privilege that it needs.

    For the configuration: `kind` is "one" (a new line replaces the one with the same key), "switch" (on by default, so that only
    its `no` form is kept), "both" (either form is kept); `key` says which values tell one such line from another ("{name} {seq}";
    "*" for all of the line; "" for its keywords alone). `enters` is the mode that it opens, `place` the name that rows share
    which stand in one order, `sort` whether lines are in the order of their numbers, `default` the value with which a line says
    nothing and is not kept, `shown` the keywords in the running configuration where they differ, `rule` one of configuration's
    special rules. For exec modes: `action` is called.
    """

    syntax: str
    kind: str = "one"
    key: str = ""
    enters: str = ""
    place: str = ""
    sort: bool = False
    default: str = ""
    shown: str = ""
    rule: str = ""
    gate: str = ""
    level: int = 1
    action: Callable[..., Any] | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """`words` are canonical: keywords in full, values as they are kept. `values` by name; of a repeated one, all of them."""

    row: Row
    words: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]
    whole: bool = True

    def get(self, name: str, default: str = "") -> str:
        found = self.values.get(name)
        return found[0] if found else default

    @property
    def line(self) -> str:
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Wrong:
    """`what` is "invalid", "ambiguous" or "incomplete"; `column` where the first character stands that fits nothing; `word` how
    many words were understood before."""

    what: str
    column: int = 0
    word: int = 0


@dataclass(frozen=True, slots=True)
class _Thread:
    row: int
    states: frozenset[int]
    words: tuple[str, ...] = ()
    values: tuple[tuple[str, str], ...] = ()
    ranks: tuple[int, ...] = ()


@dataclass(slots=True)
class _Walk:
    """The readings that stand before word `at`, and what ended the others there. `later`: those that have taken more than one
    word, by the word before which they stand; beyond the last one are those that lack another."""

    threads: list[_Thread]
    at: int = 0
    ambiguous: bool = False
    common: int = 0
    later: dict[int, list[_Thread]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Token:
    text: str
    column: int


def tokens(line: str) -> list[Token]:
    return [Token(match[0], match.start()) for match in re.finditer(r"\S+", line)]


class Grammar:
    """The commands of one mode, those alone that the `features` and the privilege `level` allow."""

    def __init__(self, rows: Iterable[Row], features: frozenset[str] | None = None, level: int = 15) -> None:
        self.rows = [
            row for row in rows if row.level <= level and (not row.gate or features is None or row.gate in features)
        ]
        self._automata: list[Automaton] = [_compiled(row.syntax) for row in self.rows]
        self.match = lru_cache(maxsize=REMEMBERED)(self._match)
        """What the whole line means: a Match or a Wrong."""

    def _match(self, line: str) -> Match | Wrong:
        words = tokens(line)
        walk = self._walk(line, words)
        if walk.at < len(words):
            return _trouble(walk, words)
        done = [thread for thread in walk.threads if self._complete(thread)]
        if not done:
            return Wrong("incomplete", word=len(words))
        return self._told(max(done, key=lambda thread: thread.ranks), whole=True)

    def begun(self, line: str) -> list[Match] | Wrong:
        """All commands of which the line is a beginning, or all: what may follow "no"."""
        words = tokens(line)
        walk = self._walk(line, words)
        if walk.at < len(words):
            return _trouble(walk, words)
        best = sorted(walk.threads, key=lambda thread: (self._complete(thread), thread.ranks), reverse=True)
        return [self._told(thread, whole=self._complete(thread)) for thread in best]

    def follow(self, line: str) -> list[tuple[str, str, tuple[str, ...]]] | Wrong:
        """What may stand next: (as it is shown, a value's help or "", the words before it), by alphabet; CR last where the line may
        end. The line's last word counts as whole."""
        words = tokens(line)
        walk = self._walk(line, words)
        if walk.at < len(words):
            return _trouble(walk, words)
        found: dict[str, tuple[str, str, tuple[str, ...]]] = {}
        for thread in walk.threads:
            for word, _ in self._leads(thread):
                shown = word.kind.shown if word.kind else word.text
                found.setdefault(shown, (shown, word.kind.help if word.kind else "", thread.words))
        listed = sorted(found.values(), key=lambda one: one[0].lower())
        if any(self._complete(thread) for thread in walk.threads) and words:
            listed.append((CR, "", ()))
        return listed

    def completions(self, line: str) -> list[str]:
        """The keywords that the line's last word begins, by alphabet."""
        words = tokens(line)
        if not words:
            return []
        head, last = line[: words[-1].column], words[-1].text.lower()
        walk = self._walk(head, words[:-1])
        if walk.at < len(words) - 1:
            return []
        return sorted({
            word.text
            for thread in walk.threads
            for word, _ in self._leads(thread)
            if word.kind is None and word.text.lower().startswith(last)
        })  # fmt: skip

    # --- within ---

    def _leads(self, thread: _Thread) -> list[tuple[Word, int]]:
        automaton = self._automata[thread.row]
        return [lead for state in thread.states for lead in automaton.words[state]]

    def _complete(self, thread: _Thread) -> bool:
        return self._automata[thread.row].end in thread.states

    def _told(self, thread: _Thread, *, whole: bool) -> Match:
        values: dict[str, tuple[str, ...]] = {}
        for name, value in thread.values:
            values[name] = (*values.get(name, ()), value)
        return Match(self.rows[thread.row], thread.words, values, whole)

    def _walk(self, line: str, words: list[Token]) -> _Walk:
        walk = _Walk([_Thread(n, automaton.reach(0)) for n, automaton in enumerate(self._automata)])
        while walk.at < len(words):
            going = self._step(walk, line, words)
            going += walk.later.pop(walk.at + 1, [])
            if not going and not walk.later:
                return walk
            walk.threads, walk.at = going, walk.at + 1
        return walk

    def _step(self, walk: _Walk, line: str, words: list[Token]) -> list[_Thread]:
        token = words[walk.at]
        low = token.text.lower()
        keywords: list[tuple[_Thread, Word, int]] = []
        going: list[_Thread] = []
        walk.common, walk.ambiguous = 0, False
        for thread in walk.threads:
            for word, to in self._leads(thread):
                if word.kind is None:
                    walk.common = max(walk.common, _common(low, word.text.lower()))
                    if word.text.lower().startswith(low):
                        keywords.append((thread, word, to))
                elif word.text == "LINE":
                    ahead = self._on(thread, word, to, line[token.column :].rstrip(), 0)
                    walk.later.setdefault(len(words), []).append(ahead)
                elif (value := word.kind.take(token.text)) is not None:
                    going.append(self._on(thread, word, to, value, word.kind.rank))
                elif word.text == "IFNAME" and interface_type(token.text) is not None:
                    two = f"{token.text} {words[walk.at + 1].text}" if walk.at + 1 < len(words) else None
                    if two is None:
                        walk.later.setdefault(len(words) + 1, []).append(thread)
                    elif (value := word.kind.take(two)) is not None:
                        walk.later.setdefault(walk.at + 2, []).append(self._on(thread, word, to, value, word.kind.rank))
        exact = [one for one in keywords if one[1].text.lower() == low]
        names = {word.text for _, word, _ in (exact or keywords)}
        if len(names) > 1:
            walk.ambiguous = True
        else:
            going += [self._on(thread, word, to, word.text, 3) for thread, word, to in (exact or keywords)]
        return going

    def _on(self, thread: _Thread, word: Word, to: int, value: str, rank: int) -> _Thread:
        values = (*thread.values, (word.name, value)) if word.kind else thread.values
        states = self._automata[thread.row].reach(to)
        return _Thread(thread.row, states, (*thread.words, value), values, (*thread.ranks, rank))


_CACHE: dict[str, Automaton] = {}


def _compiled(syntax: str) -> Automaton:
    """Automata are not changed once they are made, and every mode of every session has the same."""
    if syntax not in _CACHE:
        _CACHE[syntax] = compiled(syntax)
    return _CACHE[syntax]


def _common(one: str, other: str) -> int:
    count = 0
    while count < min(len(one), len(other)) and one[count] == other[count]:
        count += 1
    return count


def _trouble(walk: _Walk, words: list[Token]) -> Wrong:
    if walk.ambiguous:
        return Wrong("ambiguous", words[walk.at].column, walk.at)
    return Wrong("invalid", words[walk.at].column + min(walk.common, len(words[walk.at].text)), walk.at)


def told(wrong: Wrong, line: str, prompt: int) -> list[str]:
    """What IOS prints of it; `prompt` is how many characters stand before the line."""
    if wrong.what == "ambiguous":
        return [f'% Ambiguous command:  "{line.strip()}"']
    if wrong.what == "incomplete":
        return ["% Incomplete command.", ""]
    return [" " * (prompt + wrong.column) + "^", "% Invalid input detected at '^' marker.", ""]
