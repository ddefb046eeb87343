"""A marked file judged by its definition: every key and every value, each mistake with its line."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from harness.model.secret import Secret
from harness.testbed import markup, values
from harness.testbed.marks import UNKNOWN, Marked
from harness.testbed.mistakes import Mistakes
from harness.testbed.shape import By, Field, Kind, ListOf, MapOf, Section, Value

Path = tuple[str, ...]


def judged(root: Marked, shape: Section, mistakes: Mistakes) -> Marked:
    """The same tree with the values that the model will hold, and UNKNOWN for each that is a mistake. A misspelt key stands there
    under the name that was meant, so that what is below it is judged as well."""
    return _Walk(mistakes).judge(root, shape, (), {})


def settled(tree: Marked) -> Marked:
    """A judged tree in which every secret has its text: those that have to be typed are asked for now."""
    if isinstance(tree.value, dict):
        return Marked({key: settled(child) for key, child in tree.value.items()}, tree.line)
    return Marked(markup.settled(tree.value), tree.line) if isinstance(tree.value, Secret) else tree


class _Walk:
    def __init__(self, mistakes: Mistakes) -> None:
        self.mistakes = mistakes

    def judge(self, marked: Marked, kind: Kind, path: Path, beside: Mapping[str, Marked]) -> Marked:
        """`beside` are the judged values of the same mapping, as far as they are known."""
        if marked.value is UNKNOWN:
            return marked
        if isinstance(kind, Value):
            return Marked(self._value(marked, kind, path), marked.line)
        if isinstance(kind, ListOf):
            return Marked(self._list(marked, kind, path), marked.line)
        if isinstance(kind, By):
            decides = beside.get(kind.key)
            case = decides.value if decides is not None and isinstance(decides.value, str) else ""
            if not case and not kind.otherwise.fields:
                return Marked(UNKNOWN, marked.line)  # it cannot be told what may stand here, and why not has been said
            return self.judge(marked, kind.cases.get(case, kind.otherwise), path, {})
        if isinstance(kind, MapOf | Section):
            if not isinstance(marked.value, dict):
                cure = "write `key: value` lines below it, or `{}` where there is nothing to say"
                self.mistakes.add(f"a mapping was expected{_below(path)}", marked.line, cure)
                return Marked(UNKNOWN, marked.line)
            if isinstance(kind, Section):
                return Marked(self._section(marked, kind, path), marked.line)
            return Marked({key: self.judge(one, kind.item, (*path, key), {}) for key, one in marked.value.items()}, marked.line)
        return Marked(self._free(marked, path), marked.line)

    def _free(self, marked: Marked, path: Path) -> object:
        below = marked.value.values() if isinstance(marked.value, dict) else marked.value if isinstance(marked.value, list) else ()
        if isinstance(marked.value, markup.Hidden):
            self.mistakes.add(f"{path[-1]}: {marked.value!r} is for secrets", marked.line, "write it out, or %ENV{NAME}")
        for child in below:
            self._free(child, path)
        return marked.plain()

    def _section(self, marked: Marked, section: Section, path: Path) -> dict[str, Marked]:
        children = self._named(marked.value, section, path)
        for key in section.required:
            if key not in children:
                self.mistakes.add(f"{key!r} is missing{_below(path)}", marked.line, f"add `{key}:` there")
        found: dict[str, Marked] = {}
        # what depends on a value beside it comes after that value
        for key, child in sorted(children.items(), key=lambda item: isinstance(_kind(section, item[0]), By)):
            found[key] = self.judge(child, _kind(section, key), (*path, key), found)
        return found

    def _named(self, children: Mapping[str, Marked], section: Section, path: Path) -> dict[str, Marked]:
        """The children by known names alone."""
        named = {key: child for key, child in children.items() if key in section.fields or _is_other(section, child)}
        for key, child in children.items():
            if key in named:
                continue
            meant, cure = _meant(key, tuple(section.fields), section)
            self.mistakes.add(f"{key!r} is not known{_below(path)}", child.line, cure)
            if meant and meant not in children and meant not in named:
                named[meant] = child
        return named

    def _list(self, marked: Marked, kind: ListOf, path: Path) -> object:
        if not isinstance(marked.value, list) or not marked.value:
            known = kind.item.json.get("enum")
            cure = f"one or more of {', '.join(known)}, as in [{known[0]}]" if known else "as in [ONE, OTHER]"
            self.mistakes.add(f"{path[-1]}: {_shown(marked)} is not a list with something in it", marked.line, cure)
            return UNKNOWN
        items: list[object] = []
        for one in marked.value:
            item = one.value if one.value is UNKNOWN else self._value(one, kind.item, path)
            if item is not UNKNOWN and item in items:
                self.mistakes.add(f"{path[-1]}: {item!r} is listed twice", one.line, "remove one")
                item = UNKNOWN
            items.append(item)
        return UNKNOWN if any(item is UNKNOWN for item in items) else tuple(items)

    def _value(self, marked: Marked, kind: Value, path: Path) -> object:
        if isinstance(marked.value, markup.Hidden):
            return self._hidden(marked.value, marked.line, kind, path)
        if marked.written is not None and isinstance(marked.value, int):  # 0123 is 83 to YAML, 1_000 is 1000, 12:30:45 is 45045
            problem = "this is" if kind.secret else f"{marked.written} is"
            cure = "put it in quotes" if kind.text else f"write {marked.value}, or the number that is meant"
            self.mistakes.add(f"{path[-1]}: {problem} another number to YAML", marked.line, cure)
            return UNKNOWN
        try:
            return kind.judge(marked.plain())
        except values.BadValue as bad:
            if marked.written is None:
                problem = bad.problem
            else:  # of the environment, and perhaps a secret in a wrong place
                problem = f"what {marked.written} stands for will not do here"
            self.mistakes.add(f"{path[-1]}: {problem}", marked.line, bad.cure)
            return UNKNOWN

    def _hidden(self, hidden: markup.Hidden, line: int, kind: Value, path: Path) -> object:
        if not kind.secret:
            self.mistakes.add(f"{path[-1]}: %{hidden.kind}{{}} is for secrets", line, "write it out, or %ENV{NAME}")
            return UNKNOWN
        if hidden.kind == "ASK":
            return markup.Asked(prompt=hidden.text or ".".join(path), file=self.mistakes.file, line=line)
        try:
            return Secret(markup.decoded(hidden.text))
        except ValueError as error:
            cure = "encode it anew with `pyats secret encode`, under the same key in pyats.conf; or use %ENV{NAME}"
            self.mistakes.add(f"{path[-1]}: {error}", line, cure)
            return UNKNOWN


def _kind(section: Section, key: str) -> Kind:
    known: Field | None = section.fields.get(key)
    if known is not None:
        return known.kind
    assert section.others is not None
    return section.others.section


def _is_other(section: Section, child: Marked) -> bool:
    """Whether it is a key of the writer's own choice."""
    others = section.others
    return others is not None and isinstance(child.value, dict) and child.find(others.key).value == others.value


def _meant(key: str, names: Sequence[str], section: Section) -> tuple[str | None, str]:
    """The known key that is meant, where one is close enough, and the cure."""
    close = difflib.get_close_matches(key, names, n=1)
    if close:
        return close[0], f"did you mean {close[0]!r}?"
    other = f"; any name for one with `{section.others.key}: {section.others.value}`" if section.others else ""
    return None, f"known here: {', '.join(names)}{other}" if names else "remove it: nothing can be said here"


def _shown(marked: Marked) -> str:
    return "a mapping" if isinstance(marked.value, dict) else repr(marked.plain())


def _below(path: Path) -> str:
    where = ".".join(path)
    return f" in {where}" if where else " in the file"
