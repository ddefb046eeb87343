"""Templates of configurations, filled strictly: every value is asked for by name and kind, and none is left over. Pure.

A template is a YAML file:

    about: what it is, in a sentence
    values:
      NAME: KIND                    one of KINDS, "number 1-10", "one of a b c"; behind it ", optional"
      NAME: list of KIND            a list of them
      NAME: {FIELD: KIND, …}        a list of mappings
    lines:
      - "LINE {NAME} …"             below a section indented, as it would be typed
      - "LINE  | CONDITION …"       typed where all are met: NAME (it is given, and no false flag), not NAME, NAME=CHOICE;
                                    "each NAME": once for each of the list, whose fields are {NAME.FIELD}, or {NAME}; lines one
                                    after another with the same are typed together for each, as a section has to be. NAME.FIELD
                                    is a condition there too
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from harness.errors import UsageError
from harness.model.secret import Secret

HERE = Path(__file__).parent
WORD = r"[!->@-~]+"
"""What a word may be typed of: a question mark would ask for help, and a space or a control character end it."""


def _word(value: Any) -> str | None:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if re.fullmatch(WORD, text) and "|" not in text else None


def _words(value: Any) -> str | None:
    words = value.split() if isinstance(value, str) else list(value) if isinstance(value, list | tuple) else []
    found = [_word(one) for one in words]
    return " ".join(one for one in found if one) if found and all(found) else None


def _secret(value: Any) -> str | None:
    text = value.reveal() if isinstance(value, Secret) else value
    return text if isinstance(text, str) and re.fullmatch(WORD, text) else None


def _address(value: Any) -> str | None:
    try:
        return str(ipaddress.IPv4Address(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _mask(value: Any) -> str | None:
    found = _address(value)
    try:
        return found and str(ipaddress.IPv4Network(f"0.0.0.0/{found}").netmask and found)
    except ValueError:
        return None


def _interface(value: Any) -> str | None:
    return value if isinstance(value, str) and re.fullmatch(r"[A-Z][A-Za-z-]+\d+(?:/\d+){0,3}(?:\.\d+)?", value) else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


KINDS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "word": ("one word", _word),
    "words": ("words", _words),
    "secret": ("a secret of one word", _secret),
    "address": ("an IPv4 address", _address),
    "mask": ("a subnet mask", _mask),
    "interface": ('an interface\'s full name, as "FastEthernet0/0"', _interface),
    "flag": ("true or false", _flag),
}
"""By name: what it is called in a message, and the value as it is typed; None where it is none."""


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    optional: bool = False
    low: int = 0
    high: int = 0
    choices: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        return f"a number from {self.low} to {self.high}" if self.name == "number" else KINDS[self.name][0]

    def take(self, value: Any) -> Any:
        """The value as it is typed; None where it is none of this kind."""
        if self.choices:
            return value if value in self.choices else None
        if self.name == "number":
            return str(value) if isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high else None
        return KINDS[self.name][1](value)


@dataclass(frozen=True, slots=True)
class Line:
    text: str
    each: str | None = None
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """`one` are values, `many` lists: of a kind, or of mappings by field."""

    name: str
    about: str
    one: Mapping[str, Kind]
    many: Mapping[str, Kind | Mapping[str, Kind]]
    lines: tuple[Line, ...]

    def fill(self, given: Mapping[str, Any]) -> tuple[str, ...]:
        """The lines to type. UsageError for a value that lacks, is of another kind, or is not asked for: with the role's name and
        the value's, and never with a secret."""
        known = (*self.one, *self.many)
        for name in given:
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                cure = f"did you mean {close[0]}?" if close else f"it knows {', '.join(known)}"
                raise self._wrong(f"knows no value {name!r}", cure)
        values: dict[str, Any] = {name: self._value(name, kind, given.get(name)) for name, kind in self.one.items()}
        lists = {name: tuple(self._items(name, kind, given.get(name))) for name, kind in self.many.items()}
        used: set[str] = set()
        lines = tuple(self._lines(values, lists, used))
        # A value that only lines mention which are not typed would be lost unseen.
        if idle := [name for name in given if name not in used and given[name] not in (None, False) and given[name] != []]:
            cure = "leave it out, or see the template"
            raise self._wrong(f"types nothing of {', '.join(map(repr, idle))} with these other values", cure)
        return lines

    def secrets(self, given: Mapping[str, Any]) -> Iterator[Secret]:
        """Those among the values, which `fill` has taken."""
        for name, value in given.items():
            kind = self.one.get(name) or self.many[name]
            found = [(kind, value)] if name in self.one else [(kind, one) for one in value or ()]
            for wanted, item in found:
                fields = [(wanted, item)] if isinstance(wanted, Kind) else [(wanted[field], one) for field, one in item.items()]
                yield from (Secret(_secret(one)) for of, one in fields if of.name == "secret" and one is not None)  # type: ignore[arg-type]

    def _value(self, name: str, kind: Kind, value: Any) -> Any:
        if value is None:
            if kind.optional or kind.name == "flag":
                return None
            raise self._wrong(f"lacks a value for {name!r}", f"give {kind.told}")
        if (found := kind.take(value)) is None:
            shown = "***" if kind.name == "secret" or isinstance(value, Secret) else repr(value)
            raise self._wrong(f"takes for {name!r} {kind.told}, and not {shown}")
        return found

    def _items(self, name: str, kind: Kind | Mapping[str, Kind], value: Any) -> Iterator[Mapping[str, str]]:
        if value is None:
            return
        if not isinstance(value, list | tuple):
            raise self._wrong(f"takes for {name!r} a list")
        for number, item in enumerate(value, 1):
            if isinstance(kind, Kind):
                yield {name: self._value(f"{name} {number}", kind, item)}
                continue
            if not isinstance(item, Mapping):
                raise self._wrong(f"takes for {name!r} {number} a mapping with {', '.join(kind)}")
            if other := [one for one in item if one not in kind]:
                raise self._wrong(f"knows no value '{name} {number}: {other[0]}'", f"it knows {', '.join(kind)}")
            yield {f"{name}.{one}": self._value(f"{name} {number}: {one}", wanted, item.get(one)) for one, wanted in kind.items()}

    def _lines(
        self, values: Mapping[str, Any], lists: Mapping[str, tuple[Mapping[str, str], ...]], used: set[str]
    ) -> Iterator[str]:
        for each, lines in groupby(self.lines, lambda line: line.each):
            block = tuple(lines)
            if each:
                used.add(each)
            for item in lists[each] if each else ({},):
                for line in block:
                    yield from self._line(line, {**lists, **values, **item}, used)

    def _line(self, line: Line, found: Mapping[str, Any], used: set[str]) -> Iterator[str]:
        """The line, or none where a condition is not met."""
        unmet = [one for one in line.conditions if not _met(one, found)]
        # What keeps a line from being typed has its effect too.
        used |= {one.removeprefix("not ") for one in unmet if one.startswith("not ")}
        if unmet:
            return
        used |= {one.removeprefix("not ").partition("=")[0] for one in line.conditions}
        for name in re.findall(r"{([\w.]+)}", line.text):
            if found[name] is None:
                raise self._wrong(f"lacks a value for {name!r}", f"its line is {line.text.strip()!r}")
            used.add(name)
        yield re.sub(r"{([\w.]+)}", lambda match: str(found[match[1]]), line.text)

    def _wrong(self, problem: str, cure: str | None = None) -> UsageError:
        return UsageError(f"the role {self.name!r} {problem}", cure=cure)


def _met(condition: str, found: Mapping[str, Any]) -> bool:
    if condition.startswith("not "):
        return not _met(condition[4:], found)
    name, _, choice = condition.partition("=")
    return bool(found[name] == choice if choice else found[name])


# --- reading a template ---


@cache
def template(name: str, folder: Path = HERE) -> Template:
    """By the name of its file. UsageError where there is none, or where it is wrong in itself."""
    file = folder / f"{name}.yaml"
    if not file.exists():
        known = ", ".join(names(folder))
        raise UsageError(f"there is no role {name!r}", cure=f"one of {known}")
    said = yaml.safe_load(file.read_text(encoding="utf-8"))
    one: dict[str, Kind] = {}
    many: dict[str, Kind | Mapping[str, Kind]] = {}
    for key, kind in said["values"].items():
        if isinstance(kind, Mapping):
            many[key] = {field: _kind(name, text) for field, text in kind.items()}
        elif kind.startswith("list of "):
            many[key] = _kind(name, kind.removeprefix("list of "))
        else:
            one[key] = _kind(name, kind)
    found = Template(name, said["about"], one, many, tuple(_line(text) for text in said["lines"]))
    for line in found.lines:
        _checked(found, line)
    return found


def names(folder: Path = HERE) -> tuple[str, ...]:
    return tuple(sorted(file.stem for file in folder.glob("*.yaml")))


def _kind(role: str, text: str) -> Kind:
    text, _, rest = text.partition(",")
    name, _, of = text.strip().partition(" ")
    optional = rest.strip() == "optional"
    if name == "number" and (match := re.fullmatch(r"(\d+)-(\d+)", of)):
        return Kind("number", optional, int(match[1]), int(match[2]))
    if name == "one" and of.startswith("of "):
        return Kind("choice", optional, choices=tuple(of.split()[1:]))
    if name not in KINDS or of or rest.strip() not in ("", "optional"):
        raise UsageError(f"the template of the role {role!r} knows no kind {text!r}")
    return Kind(name, optional)


def _line(text: str) -> Line:
    line, bar, rest = text.partition("|")
    if not bar:
        return Line(text.rstrip())
    each = None
    conditions = []
    words = iter(rest.split())
    for word in words:
        if word == "each":
            each = next(words)
        else:
            conditions.append(f"not {next(words)}" if word == "not" else word)
    return Line(line.rstrip(), each, tuple(conditions))


def _checked(template: Template, line: Line) -> None:
    """That a line speaks of values that there are."""
    item = template.many.get(line.each, {}) if line.each else {}
    inner = {line.each} if isinstance(item, Kind) else {f"{line.each}.{field}" for field in item}
    asked = {one.removeprefix("not ").partition("=")[0] for one in line.conditions} | ({line.each} if line.each else set())
    named = set(re.findall(r"{([^}]*)}", line.text))
    unknown = (asked - {*template.one, *template.many} - inner) | (named - inner - set(template.one))
    if unknown:
        raise UsageError(f"the template of the role {template.name!r} has no value {sorted(map(str, unknown))[0]!r}: {line.text!r}")
