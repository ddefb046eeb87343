"""A YAML file with the line of everything in it.

PyYAML's own loader, and pyATS's on top of it, forget lines and let the later of two equal keys win: whoever mistyped needs both.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from harness.model.testbed import TO_COMPLETE
from harness.testbed.markup import Environment
from harness.testbed.mistakes import Mistakes

MOST_VALUES = 20_000
"""An alias within an alias within an alias … makes any number of values out of a few lines."""


class _Unknown:
    """What stands there is a mistake that has been told: nothing more is said about it."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()


@dataclass(frozen=True, slots=True)
class Marked:
    """A value with its line. `value` is a scalar, a Hidden, a list[Marked], a dict[str, Marked] or UNKNOWN; `line` that of the key,
    or of the item. `written` is the scalar's text in the file where the value is another: a number that YAML spells otherwise, or a
    text with %ENV{} in it."""

    value: Any
    line: int
    written: str | None = None

    def find(self, *path: str) -> Marked:
        """The value at `path`; where the path ends early, the last that is there: its line is the place to add the rest."""
        at = self
        for key in path:
            if not isinstance(at.value, dict) or key not in at.value:
                break
            at = at.value[key]
        return at

    def plain(self) -> Any:
        """The value without lines."""
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        return self.value


def read(path: Path, mistakes: Mistakes) -> Marked | None:
    """Reads a file. None, with its mistake, for one that cannot be read or is not YAML; what is said twice, or cannot be
    understood, is a mistake beside the rest."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else "not UTF-8 text"
        mistakes.add(f"cannot be read: {reason}", None, "name an existing testbed file, such as testbeds/linux.yaml")
        return None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            mistakes.add("the file is empty", None, "start from testbeds/linux.yaml")
            return None
        reader = _Reader(mistakes)
        root = reader.marked(node, node.start_mark.line + 1, frozenset())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        mistakes.add(f"not YAML: {error.problem or error}", line, "mend the syntax there, or just above")
        return None
    except yaml.YAMLError as error:
        mistakes.add(f"not YAML: {error}", None, "save it as plain UTF-8 text")
        return None
    except (RecursionError, _TooMuch):
        mistakes.add("the file is nested too deeply, or too large", None, "a testbed is some ten lines a device")
        return None
    reader.environment.finish()
    return root


class _TooMuch(Exception):
    """More values than a testbed can have."""


class _Reader:
    def __init__(self, mistakes: Mistakes) -> None:
        self.mistakes = mistakes
        self.environment = Environment(mistakes)
        self.values = 0

    def marked(self, node: yaml.Node, line: int, within: frozenset[int]) -> Marked:
        self.values += 1
        if self.values > MOST_VALUES:
            raise _TooMuch
        if id(node) in within:
            self.mistakes.add("a value holds itself (an alias within its own anchor)", line, "write it out")
            return Marked(UNKNOWN, line)
        inner = within | {id(node)}
        if isinstance(node, yaml.SequenceNode):
            return Marked([self.marked(item, item.start_mark.line + 1, inner) for item in node.value], line)
        if isinstance(node, yaml.MappingNode):
            return Marked(self._children(node, inner), line)
        value = self._scalar(node, line)
        other = isinstance(value, int | str) and not isinstance(value, bool) and str(value) != node.value
        return Marked(value, line, str(node.value) if other else None)

    def _children(self, node: yaml.MappingNode, within: frozenset[int]) -> dict[str, Marked]:
        children: dict[str, Marked] = {}
        for key_node, value_node in node.value:
            at = key_node.start_mark.line + 1
            key = str(key_node.value)
            if not isinstance(key_node, yaml.ScalarNode) or key == "<<":
                self.mistakes.add("only plain keys are understood here", at, "write the entries out")
            elif key in children:
                self.mistakes.add(f"{key!r} stands here twice (first on line {children[key].line})", at, "remove one")
            else:
                if TO_COMPLETE in key:
                    self.mistakes.add("this is still to be completed", at, f"write the name in the place of {TO_COMPLETE}")
                children[key] = self.marked(value_node, at, within)
        return children

    def _scalar(self, node: yaml.Node, line: int) -> Any:
        try:
            value = yaml.constructor.SafeConstructor().construct_object(node)
        except (yaml.YAMLError, ValueError):
            # not shown: it may be a secret
            kind = str(node.tag).rpartition(":")[2]
            self.mistakes.add(f"YAML takes this for a value of type {kind}, which it is not", line, "put it in quotes")
            return UNKNOWN
        if not isinstance(value, str):
            return value
        if TO_COMPLETE in value:
            self.mistakes.add("this is still to be completed", line, f"write the value in the place of {TO_COMPLETE}")
            return UNKNOWN
        expanded = self.environment.expand(value, line)
        return UNKNOWN if expanded is None else expanded
