"""Configuration mode: where somebody stands in the configuration, and what a line that is typed there does. Sans-IO.

A line that the mode does not know is tried in the modes above, as IOS does, so that a section needs no `exit`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from harness.virtual.ios import rules
from harness.virtual.ios.configuration import Configuration, Entry, Path, Refused, changed, entry_of, stem
from harness.virtual.ios.grammar import Grammar, Match, Row, Wrong, told
from harness.virtual.ios.tables.sections import MODES

COMMON = (Row("do LINE"), Row("end"), Row("exit"), Row("no LINE"), Row("default LINE"))
"""Commands of every mode."""


@lru_cache(maxsize=256)
def grammar_of(mode: str, features: frozenset[str]) -> Grammar:
    return Grammar((*MODES[mode].rows, *COMMON), features)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`said` is printed, and the line not taken where it is `refused`; `do` is a command for the exec mode; `left`: configuration
    mode is over."""

    said: tuple[str, ...] = ()
    refused: bool = False
    do: str | None = None
    left: bool = False


class ConfigMode:
    """One person's stand in one configuration, which others may change meanwhile."""

    def __init__(self, configuration: Configuration, features: frozenset[str]) -> None:
        self.configuration = configuration
        self.features = features
        self.path: Path = ()

    @property
    def modes(self) -> tuple[str, ...]:
        """Those of the sections that stand open, from "config" on."""
        found = ["config"]
        for depth in range(1, len(self.path) + 1):
            entry = self.configuration.tree.at(self.path[:depth])
            if entry is None:
                break
            found.append(entry.mode)
        return tuple(found)

    @property
    def prompt(self) -> str:
        return MODES[self.modes[-1]].prompt + "#"

    @property
    def grammar(self) -> Grammar:
        return grammar_of(self.modes[-1], self.features)

    def line(self, text: str, column: int = 0) -> Outcome:
        """`column`: where the line begins on the screen, for the caret."""
        if not text.strip() or text.lstrip().startswith("!"):
            return Outcome()
        modes = self.modes
        self.path = self.path[: len(modes) - 1]  # a section that somebody else has removed is left
        found, depth = self._meant(text)
        if isinstance(found, Wrong):
            return Outcome(tuple(told(found, text, column)), refused=True)
        if found.row in COMMON:
            return self._common(found, text, column)
        return self._apply(found, depth)

    # --- within ---

    def _meant(self, text: str) -> tuple[Match | Wrong, int]:
        """The command, and in the how manieth of the open sections it is one."""
        trouble: Wrong | None = None
        modes = self.modes
        for depth in range(len(modes) - 1, -1, -1):
            found = grammar_of(modes[depth], self.features).match(text)
            if isinstance(found, Match):
                return found, depth
            if trouble is None or (trouble.what == "invalid" and found.word > trouble.word):
                trouble = found
        assert trouble is not None
        return trouble, 0

    def _common(self, found: Match, text: str, column: int) -> Outcome:
        verb, rest = found.words[0], found.get("line")
        if verb == "end":
            return Outcome(left=True)
        if verb == "exit":
            if not self.path:
                return Outcome(left=True)
            self.path = self.path[:-1]
            return Outcome()
        if verb == "do":
            return Outcome(do=rest)
        offset = text.rindex(rest)
        taken, depth = self._meant_negative(rest)
        if isinstance(taken, Wrong):
            return Outcome(tuple(told(taken, text if taken.what == "ambiguous" else rest, column + offset)), refused=True)
        return self._apply(taken, depth, negative=verb == "no", default=verb == "default")

    def _meant_negative(self, rest: str) -> tuple[Match | Wrong, int]:
        trouble: Wrong | None = None
        modes = self.modes
        for depth in range(len(modes) - 1, -1, -1):
            begun = grammar_of(modes[depth], self.features).begun(rest)
            if isinstance(begun, Wrong):
                if trouble is None or (trouble.what == "invalid" and begun.word > trouble.word):
                    trouble = begun
                continue
            for match in begun:
                enough = match.whole or len(match.words) >= len(stem(match.row)) + bool(match.row.key)
                if match.row not in COMMON and enough:
                    return match, depth
            trouble = trouble or Wrong("incomplete", word=1)
        assert trouble is not None
        return trouble, 0

    def _apply(self, match: Match, depth: int, *, negative: bool = False, default: bool = False) -> Outcome:
        tree = self.configuration.tree
        path = self.path[:depth]
        said: tuple[str, ...] = ()

        def make(section: Entry) -> Entry:
            return rules.as_default(section, match) if default else rules.applied(section, match, negative)

        try:
            new = changed(tree, path, make)
        except Refused as refused:
            return Outcome(refused.said, refused=True)
        self.path = path
        if not (negative or default):
            key = entry_of(self.modes[-1], match).key
            made = new.at((*path, key))
            if made is not None and made.mode:
                self.path = (*path, key)
            if match.row.rule == "crypto-map" and tree.at((key,)) is None and made is not None and made.words[-1] in rules.DISABLED:
                said = rules.NEW_MAP
        elif default and match.row.rule == "interface":
            said = (f"Interface {match.get('interface')} set to default configuration",)
        self.configuration.become(new)
        return Outcome(said)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A line of a text that was not taken, by its number."""

    number: int
    line: str
    said: tuple[str, ...]


def load(configuration: Configuration, lines: Iterable[str], features: frozenset[str]) -> list[Trouble]:
    """Types the lines, as a router does with its startup configuration. An unindented line is one for global configuration, if it
    is known there."""
    mode = ConfigMode(configuration, features)
    troubles = []
    for number, text in enumerate(lines, 1):
        line = text.rstrip()
        outcome = mode.line(line)
        if outcome.refused:
            troubles.append(Trouble(number, line, outcome.said))
        if outcome.left:
            break
    return troubles
