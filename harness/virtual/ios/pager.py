"""A command's output on its way to the terminal: what "| include" lets through, and how much fits before --More--. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

MORE = " --More-- "
WIPE = "\b" * 9 + " " * 8 + "\b" * 9
"""With which the prompt is wiped out once a key was pressed."""
FILTERS = {
    "append": "Append redirected output to URL",
    "begin": "Begin with the line that matches",
    "exclude": "Exclude lines that match",
    "include": "Include lines that match",
    "section": "Filter a section of output",
}


class BadPattern(Exception):
    """A regular expression that is none; with what IOS says."""


def parted(line: str) -> tuple[str, str | None]:
    """A show command and what stands behind its pipe; None where it has none."""
    command, pipe, rest = line.partition("|")
    return command.rstrip(), rest.strip() if pipe else None


def filtered(lines: Iterable[str], how: str, pattern: str) -> list[str]:
    """`how` is a word of FILTERS in full. BadPattern where the pattern is none."""
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise BadPattern(f"% Failed to compile regular expression: {pattern}") from error
    every = list(lines)
    if how == "include":
        return [line for line in every if wanted.search(line)]
    if how == "exclude":
        return [line for line in every if not wanted.search(line)]
    if how == "begin":
        start = next((n for n, line in enumerate(every) if wanted.search(line)), None)
        return [] if start is None else every[start:]
    return _sections(every, wanted)


def _sections(lines: list[str], wanted: re.Pattern[str]) -> list[str]:
    """Each line that matches, with the lines below it that are indented further; and where one of those matches, all of its
    section."""
    found: list[str] = []
    block: list[str] = []

    def done() -> None:
        if block and any(wanted.search(line) for line in block):
            found.extend(block)
        block.clear()

    for line in lines:
        if not line.startswith(" "):
            done()
        block.append(line)
    done()
    return found


@dataclass(slots=True)
class Pager:
    """Lines that wait for the next page of `length` lines, `width` characters wide; 0 stands for no limit."""

    length: int
    width: int
    waiting: list[str] = field(default_factory=list)

    def page(self, lines: int | None = None) -> list[str]:
        """As many of those that wait as fit, or as many as are asked for; with less than are there, a --More-- has to follow."""
        if not self.length:
            shown, self.waiting = self.waiting, []
            return shown
        room = (self.length - 1) if lines is None else lines
        shown = []
        while self.waiting and room > 0:
            line = self.waiting.pop(0)
            room -= max(1, -(-len(line) // self.width)) if self.width else 1
            shown.append(line)
        return shown
