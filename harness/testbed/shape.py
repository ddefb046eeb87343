"""The words in which `definition` says what a testbed file may hold. `walk` judges a file by them, `schema` makes a JSON schema of
them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Value:
    """One scalar. `judge` takes what YAML gives and returns what the model holds, or raises values.BadValue. `json` is the same
    rule as a fragment of JSON schema, as far as that can say it. A `secret` is never shown, and may be %ASK{} or %ENC{}; of a
    `text` every character counts, though they may all be digits."""

    judge: Callable[[Any], Any]
    json: Mapping[str, Any]
    secret: bool = False
    text: bool = False


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list, not empty, of different values."""

    item: Value


@dataclass(frozen=True, slots=True)
class Field:
    """What stands below a key. `about` is a sentence for whoever writes the file."""

    kind: Kind
    about: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Others:
    """Keys of the writer's own choice, allowed where the value below them has `key: value`."""

    key: str
    value: str
    section: Section


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping with these keys, and no others but `others`. One that stands in several places has a `name` in the schema."""

    fields: Mapping[str, Field]
    others: Others | None = None
    name: str = ""

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(name for name, one in self.fields.items() if one.required)


@dataclass(frozen=True, slots=True)
class MapOf:
    """A mapping from names of the writer's own choice."""

    item: Section | Value


@dataclass(frozen=True, slots=True)
class By:
    """A mapping whose keys depend on the value of `key`, which stands beside it. `otherwise` where that is none of the cases: then
    that is the mistake, and not what stands here."""

    key: str
    cases: Mapping[str, Section]
    otherwise: Section


@dataclass(frozen=True, slots=True)
class Free:
    """Whatever YAML can hold: natstorm does not look at it, other readers of the file may."""

    json: Mapping[str, Any] = field(default_factory=dict)


Kind: TypeAlias = Value | ListOf | Section | MapOf | By | Free
