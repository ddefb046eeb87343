"""What is wrong with a testbed file, gathered: a reader goes on after a mistake, and tells all of them in the end."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.errors import UsageError, typed

LEAST = 4
"""Characters of a variable's value that is looked for within sentences: a shorter one is in too many words."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """`line` counts from 1; None where the file as a whole is meant (it cannot be read)."""

    line: int | None
    problem: str
    cure: str


class Mistakes:
    """Those of one file, in the order in which they stand there."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: list[Mistake] = []
        self._hidden: dict[str, str] = {}

    def add(self, problem: str, line: int | None, cure: str) -> None:
        self._found.append(Mistake(line, self.without_variables(problem), self.without_variables(cure)))

    def hide(self, variable: str, value: str) -> None:
        """What the environment variable holds is not shown: it may be a secret that stands at a wrong place."""
        if len(value) >= LEAST:
            self._hidden[value] = f"%ENV{{{variable}}}"

    def without_variables(self, text: str) -> str:
        """The text with each variable's name where its value stands."""
        if not self._hidden:
            return text
        values = sorted(self._hidden, key=len, reverse=True)
        return re.sub("|".join(map(re.escape, values)), lambda found: self._hidden[found[0]], text)

    def __bool__(self) -> bool:
        return bool(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def all(self) -> tuple[Mistake, ...]:
        """By line; those of one line as they were found."""
        return tuple(sorted(self._found, key=lambda mistake: mistake.line or 0))

    def error(self) -> UsageError:
        """The first as an error, which says how many more there are and what lists them."""
        first, *others = self.all()
        cure = first.cure
        if others:
            more = "one more mistake" if len(others) == 1 else f"{len(others)} more mistakes"
            cure += f"\n  and {more}: {typed(f'check {self.file}')} lists them all"
        return UsageError(first.problem, file=self.file, line=first.line, cure=cure)
