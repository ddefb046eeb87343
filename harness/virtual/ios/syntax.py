"""A command's syntax, written as its reference writes it, made into a small automaton. Pure.

    crypto map WORD:name <0-65535>:seq [ipsec-isakmp [dynamic WORD:dynamic [discover]] | ipsec-manual]
    set transform-set WORD:names...6

Keywords are in the case in which the running configuration prints them; capitals that `kinds` knows are places for values, with a
name after a colon; `[a]` may be there, `{a | b}` is one of these, `...6` repeats what stands before it up to six times.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.virtual.ios.kinds import Kind, kind_of

_WORDS = re.compile(r"\.\.\.\d+|[\[\]{}|]|(?:(?!\.\.\.)[^\s\[\]{}|])+")


@dataclass(frozen=True, slots=True)
class Word:
    """One place of a command: a keyword (`kind` is None), or a value called `name`."""

    text: str
    kind: Kind | None = None
    name: str = ""


@dataclass(slots=True)
class Automaton:
    """State 0 is the start. `words[state]` are the words that lead on, with where to; `skips` the states that need none."""

    words: list[list[tuple[Word, int]]] = field(default_factory=list)
    skips: list[list[int]] = field(default_factory=list)
    end: int = 0

    def state(self) -> int:
        self.words.append([])
        self.skips.append([])
        return len(self.words) - 1

    def reach(self, state: int) -> frozenset[int]:
        """The states that are reached from this one without a word."""
        seen, left = {state}, [state]
        while left:
            for other in self.skips[left.pop()]:
                if other not in seen:
                    seen.add(other)
                    left.append(other)
        return frozenset(seen)


def words_of(automaton: Automaton) -> Iterator[Word]:
    for leads in automaton.words:
        for word, _ in leads:
            yield word


def compiled(syntax: str) -> Automaton:
    """ValueError where it is no syntax: a mistake in a table of ours."""
    automaton = Automaton()
    tokens = _WORDS.findall(syntax)
    start = automaton.state()
    end, left = _alternatives(automaton, tokens, 0, start)
    if left != len(tokens):
        raise ValueError(f"{tokens[left]!r} is out of place in {syntax!r}")
    automaton.end = end
    return automaton


def _alternatives(automaton: Automaton, tokens: list[str], at: int, start: int) -> tuple[int, int]:
    """Sequences parted by "|", from `start` to one common end."""
    end = automaton.state()
    while True:
        last, at = _sequence(automaton, tokens, at, start)
        automaton.skips[last].append(end)
        if at == len(tokens) or tokens[at] != "|":
            return end, at
        at += 1


def _sequence(automaton: Automaton, tokens: list[str], at: int, start: int) -> tuple[int, int]:
    here = start
    while at < len(tokens) and tokens[at] not in ("|", "]", "}"):
        token = tokens[at]
        if token in ("[", "{"):
            inner = automaton.state()
            automaton.skips[here].append(inner)
            end, at = _alternatives(automaton, tokens, at + 1, inner)
            if at == len(tokens) or tokens[at] != {"[": "]", "{": "}"}[token]:
                raise ValueError(f"{token!r} is not closed in {' '.join(tokens)!r}")
            if token == "[":
                automaton.skips[inner].append(end)
            here, at = end, at + 1
        else:
            text, _, name = token.partition(":")
            kind = kind_of(text)
            word = Word(text, kind, name or text.lower()) if kind else Word(token)
            repeat = 1
            if at + 1 < len(tokens) and tokens[at + 1].startswith("..."):
                repeat, at = int(tokens[at + 1][3:]), at + 1
            ends = []
            for _ in range(repeat):
                following = automaton.state()
                automaton.words[here].append((word, following))
                ends.append(following)
                here = following
            for one in ends[:-1]:
                automaton.skips[one].append(here)
            at += 1
    return here, at
