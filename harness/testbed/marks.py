"""A YAML file with the line of everything in it.

PyYAML's own loader, and pyATS's on top of it, forget lines and let the later of two equal keys win: whoever mistyped needs both.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.errors import UsageError

_ENV = re.compile(r"%ENV\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Marked:
    """A value with its line. `value` is a scalar, a list[Marked] or a dict[str, Marked]; `line` that of the key, or of the item."""

    value: Any
    line: int


@dataclass(frozen=True, slots=True)
class MarkedFile:
    """A whole file, and the means to speak about it."""

    file: str
    root: Marked

    def error(self, problem: str, line: int | None, cure: str | None = None) -> UsageError:
        return UsageError(problem, file=self.file, line=line, cure=cure)

    def find(self, *path: str) -> Marked:
        """The value at `path`; where the path ends early, the last that is there: its line is the place to add the rest."""
        at = self.root
        for key in path:
            if not isinstance(at.value, dict) or key not in at.value:
                break
            at = at.value[key]
        return at

    def mapping(self, *path: str) -> dict[str, Marked]:
        """The mapping at `path`. Raises UsageError for anything else, and where it is missing."""
        at = self.root
        for depth, key in enumerate(path):
            children = self._children(at, path[:depth])
            if key not in children:
                raise self.error(f"{key!r} is missing{_below(path[:depth])}", at.line, f"add `{key}:` there")
            at = children[key]
        return self._children(at, path)

    def _children(self, at: Marked, path: Iterable[str]) -> dict[str, Marked]:
        if not isinstance(at.value, dict):
            cure = "write `key: value` lines below it, or `{}` where there is nothing to say"
            raise self.error(f"a mapping was expected{_below(path)}", at.line, cure)
        return at.value

    def only(self, path: tuple[str, ...], known: Iterable[str], required: Iterable[str] = ()) -> dict[str, Marked]:
        """The mapping at `path`, having no key but `known` and all of `required`."""
        children = self.mapping(*path)
        names = list(known)
        for key, child in children.items():
            if key not in names:
                close = difflib.get_close_matches(key, names, n=1)
                cure = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(names)}"
                raise self.error(f"{key!r} is not known{_below(path)}", child.line, cure)
        for key in required:
            if key not in children:
                raise self.error(f"{key!r} is missing{_below(path)}", self.find(*path).line, f"add `{key}:` there")
        return children


def _below(path: Iterable[str]) -> str:
    where = ".".join(path)
    return f" in {where}" if where else " in the file"


def read(path: Path) -> MarkedFile:
    """Reads a file. Raises UsageError for one that cannot be read, is not YAML, or says something twice."""
    file = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else "not UTF-8 text"
        cure = "name an existing testbed file, such as testbeds/linux.yaml"
        raise UsageError(f"cannot be read: {reason}", file=file, cure=cure) from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        cure = "mend the syntax there, or just above"
        raise UsageError(f"not YAML: {error.problem or error}", file=file, line=line, cure=cure) from error
    except yaml.YAMLError as error:
        raise UsageError(f"not YAML: {error}", file=file, cure="save it as plain UTF-8 text") from error
    if node is None:
        raise UsageError("the file is empty", file=file, cure="start from testbeds/linux.yaml")
    return MarkedFile(file, _marked(file, node, node.start_mark.line + 1, frozenset()))


def _marked(file: str, node: yaml.Node, line: int, within: frozenset[int]) -> Marked:
    if id(node) in within:
        raise UsageError("a value holds itself (an alias within its own anchor)", file=file, line=line, cure="write it out")
    inner = within | {id(node)}
    if isinstance(node, yaml.SequenceNode):
        return Marked([_marked(file, item, item.start_mark.line + 1, inner) for item in node.value], line)
    if isinstance(node, yaml.MappingNode):
        children: dict[str, Marked] = {}
        for key_node, value_node in node.value:
            at = key_node.start_mark.line + 1
            key = str(key_node.value)
            if not isinstance(key_node, yaml.ScalarNode) or key == "<<":
                raise UsageError("only plain keys are understood here", file=file, line=at, cure="write the entries out")
            if key in children:
                problem = f"{key!r} stands here twice (first on line {children[key].line})"
                raise UsageError(problem, file=file, line=at, cure="remove one")
            children[key] = _marked(file, value_node, at, inner)
        return Marked(children, line)
    return Marked(_scalar(file, node, line), line)


def _scalar(file: str, node: yaml.Node, line: int) -> Any:
    try:
        value = yaml.constructor.SafeConstructor().construct_object(node)
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{node.value!r} is not a value: {error}", file=file, line=line, cure="put it in quotes") from error
    return expand(file, value, line) if isinstance(value, str) else value


def expand(file: str, text: str, line: int | None) -> str:
    """%ENV{NAME} replaced as pyATS does it, except that an unset variable is an error and not an empty text."""

    def one(match: re.Match[str]) -> str:
        name = match[1]
        if not _NAME.fullmatch(name):
            raise UsageError(f"{match[0]} names no variable", file=file, line=line, cure="%ENV{NAME}: pyATS takes no default there")
        if name not in os.environ:
            raise UsageError(f"the environment variable {name} is not set", file=file, line=line, cure=f"export {name}=…")
        return os.environ[name]

    return _ENV.sub(one, text)
