"""YAML read strictly: every key is asked for by name and type, each mistake is a UsageError with the file and line where it stands.

A misspelt or missing key cannot fall back to a default unseen: `At.mapping` wants exactly the keys that it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from harness.errors import UsageError

T = TypeVar("T")
TOP = "the file"


def read(path: Path) -> At:
    """The file's root node."""
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise UsageError(f"not YAML: {error.problem}", file=str(path), line=line) from error
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"cannot be read: {error}", file=str(path)) from error
    if node is None:
        raise UsageError("the file is empty", file=str(path))
    return At(node, str(path), TOP)


def overlay(base: At, over: At) -> At:
    """`base` with what `over` says in its place, mapping by mapping; a list is replaced as a whole."""
    if not (isinstance(base.node, yaml.MappingNode) and isinstance(over.node, yaml.MappingNode)):
        return over
    said = {key.value: (key, value) for key, value in over.node.value}
    kept = []
    for key, value in base.node.value:
        if key.value in said:
            there = said.pop(key.value)
            merged = overlay(At(value, base.file, base.path), At(there[1], over.file, over.path))
            kept.append((there[0], merged.node))
        else:
            kept.append((key, value))
    node = yaml.MappingNode(over.node.tag, kept + list(said.values()), over.node.start_mark, over.node.end_mark)
    return At(node, over.file, over.path)


@dataclass(frozen=True, slots=True)
class At:
    """One YAML node with its place, read as exactly the type that is asked for."""

    node: Any  # a yaml.Node; types-PyYAML leaves its value untyped
    file: str
    path: str

    def wrong(self, problem: str, cure: str | None = None) -> UsageError:
        return UsageError(f"{self.path}: {problem}", file=self.file, line=self.node.start_mark.line + 1, cure=cure)

    def mapping(self, *keys: str) -> dict[str, At]:
        """The values of exactly these keys."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.wrong("a mapping is wanted here", "keys: " + ", ".join(keys))
        found: dict[str, At] = {}
        for key_node, value_node in self.node.value:
            key = key_node.value
            here = At(key_node, self.file, f"{key}" if self.path == TOP else f"{self.path}.{key}")
            if not isinstance(key_node, yaml.ScalarNode) or key not in keys:
                raise here.wrong("there is no such key", "one of: " + ", ".join(keys))
            if key in found:
                raise here.wrong("the key stands here a second time")
            found[key] = At(value_node, self.file, here.path)
        missing = [key for key in keys if key not in found]
        if missing:
            raise self.wrong("missing: " + ", ".join(missing))
        return found

    def without(self, key: str) -> tuple[At | None, At]:
        """The value of an optional key of this mapping, and the mapping without it."""
        if not isinstance(self.node, yaml.MappingNode):
            return None, self
        found = [value for name, value in self.node.value if name.value == key]
        rest = [(name, value) for name, value in self.node.value if name.value != key]
        node = yaml.MappingNode(self.node.tag, rest, self.node.start_mark, self.node.end_mark)
        return (At(found[0], self.file, key) if found else None), At(node, self.file, self.path)

    def items(self, read_item: Callable[[At], T]) -> tuple[T, ...]:
        if not isinstance(self.node, yaml.SequenceNode) or not self.node.value:
            raise self.wrong("a list with at least one entry is wanted here")
        return tuple(read_item(At(item, self.file, f"{self.path}[{i}]")) for i, item in enumerate(self.node.value))

    def scalar(self, *tags: str) -> Any:
        """The node's value, where YAML itself gives it one of these types."""
        if not isinstance(self.node, yaml.ScalarNode):
            raise self.wrong(f"{' or '.join(tags)} is wanted here, not a list or mapping")
        tag = self.node.tag.rpartition(":")[2]
        if tag not in tags:
            raise self.wrong(f"{' or '.join(tags)} is wanted here, {self.node.value!r} is {tag}")
        return yaml.SafeLoader("").construct_object(self.node)

    def text(self) -> str:
        value = self.scalar("str")
        if not value:
            raise self.wrong("the text is empty")
        return str(value)

    def integer(self, low: int, high: int | None = None) -> int:
        value = int(self.scalar("int"))
        if value < low or (high is not None and value > high):
            raise self.wrong(f"{value} is out of range ({low} to {'…' if high is None else high})")
        return value

    def seconds(self, least: float | None = None) -> float:
        """`least` allows that very value too; without it the seconds must be above zero."""
        value = float(self.scalar("int", "float"))
        if not 0 < value < float("inf") and value != least:
            raise self.wrong("seconds above zero are wanted here")
        return value

    def share(self) -> float:
        """Above 0 and below 1."""
        value = float(self.scalar("int", "float"))
        if not 0 < value < 1:
            raise self.wrong("a share between 0 and 1 is wanted here")
        return value

    def probability(self) -> float:
        """0 to 1."""
        value = float(self.scalar("int", "float"))
        if not 0 <= value <= 1:
            raise self.wrong("a probability from 0 to 1 is wanted here")
        return value

    def boolean(self) -> bool:
        return bool(self.scalar("bool"))

    @property
    def absent(self) -> bool:
        """Whether null stands here."""
        return isinstance(self.node, yaml.ScalarNode) and str(self.node.tag).endswith(":null")

    def optional(self, read_it: Callable[[At], T]) -> T | None:
        return None if self.absent else read_it(self)

    def one_of(self, choices: tuple[str, ...]) -> str:
        value = str(self.scalar("str"))
        if value not in choices:
            raise self.wrong(f"{value!r} is not known", "one of: " + ", ".join(choices))
        return value

    def octets(self) -> bytes:
        """Hexadecimal digits. YAML reads some as numbers (all decimal, or with one `e`): the text itself is what counts."""
        if not isinstance(self.node, yaml.ScalarNode):
            raise self.wrong("hexadecimal digits are wanted here")
        try:
            value = bytes.fromhex(self.node.value)
        except ValueError:
            raise self.wrong(f"{self.node.value!r} is not an even number of hexadecimal digits") from None
        if not value:
            raise self.wrong("hexadecimal digits are wanted here")
        return value
