"""A judged file, and the means to look into it and to speak about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.testbed.marks import UNKNOWN, Marked
from harness.testbed.mistakes import Mistakes


class Reading:
    """`root` is the judged tree. What is not known (a mistake by then) reads as None, like what is not there."""

    def __init__(self, root: Marked, mistakes: Mistakes) -> None:
        self.root = root
        self.mistakes = mistakes

    def value(self, *path: str) -> Any:
        """The judged value of a scalar or list. None where it is absent or not known."""
        at = self._at(path)
        return None if at is None or at.value is UNKNOWN or isinstance(at.value, dict) else at.value

    def keys(self, *path: str) -> tuple[str, ...]:
        """Of the mapping there; none where it is absent or not known."""
        at = self._at(path)
        return tuple(at.value) if at is not None and isinstance(at.value, dict) else ()

    def has(self, *path: str) -> bool:
        """Whether anything stands there, known or not."""
        return self._at(path) is not None

    def unknown(self, *path: str) -> bool:
        """Whether a mistake stands there, or on the way: what it was meant to be cannot be told."""
        at = self.root
        for key in path:
            if at.value is UNKNOWN:
                return True
            if not isinstance(at.value, dict) or key not in at.value:
                return False
            at = at.value[key]
        return at.value is UNKNOWN

    def line(self, *path: str) -> int:
        """Of the value; of the place to add it, where it is not there."""
        return self.root.find(*path).line

    def wrong(self, problem: str, path: tuple[str, ...], cure: str) -> None:
        self.mistakes.add(problem, self.line(*path), cure)

    def plain(self, *path: str) -> dict[str, Any]:
        """The mapping there without lines; empty where it is absent or not known."""
        at = self._at(path)
        return at.plain() if at is not None and isinstance(at.value, dict) else {}

    def file(self, *path: str) -> str | None:
        """The file that is named there, absolute; a relative name counts from the testbed file. A mistake, where there is none."""
        name = self.value(*path)
        if name is None:
            return None
        file = Path(self.mistakes.file).absolute().parent / Path(name).expanduser()
        if not file.is_file():
            self.wrong(f"{path[-1]}: there is no file {file}", path, "one that is there; a relative name counts from this file")
            return None
        return str(file)

    def _at(self, path: tuple[str, ...]) -> Marked | None:
        at = self.root
        for key in path:
            if not isinstance(at.value, dict) or key not in at.value:
                return None
            at = at.value[key]
        return at
