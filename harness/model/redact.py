"""Takes the given secrets out of texts before they are written.

A secret is looked for as it is, and as JSON, HTML, hexadecimal and base64 would write it: logs of daemons and reports of
exceptions use all of these.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from harness.model.secret import Secret

MASK = "***"
SHORT = 6
"""Secrets of fewer characters are replaced only where no letter or digit adjoins, else "pw1" would eat into other words."""


class Redactor:
    """Knows the run's secrets and nothing of where they came from. Secrets may be added at any time."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.add(*secrets)

    def add(self, *secrets: Secret) -> None:
        for secret in secrets:
            text = secret.reveal()
            if text:
                self._forms |= _forms(text)
        long = [form for form in self._forms if len(form) >= SHORT]
        short = [form for form in self._forms if len(form) < SHORT]
        # The long ones first, so that no secret is left half visible by another that is its beginning.
        patterns = [*([_any_of(long)] if long else []), *([rf"(?<![^\W_]){_any_of(short)}(?![^\W_])"] if short else [])]
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def text(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def value(self, value: Any) -> Any:
        """The same for a value made of JSON types, keys included. Other types become their redacted str()."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item) for item in value]
        if isinstance(value, bytes):
            return self.text(value.hex())
        return self.text(str(value))


def _forms(text: str) -> set[str]:
    raw = text.encode("utf-8", "surrogatepass")
    return {
        text,
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        html.escape(text),
        repr(raw)[2:-1],
        raw.hex(),
        raw.hex().upper(),
        base64.b64encode(raw).decode("ascii"),
    }


def _any_of(forms: Iterable[str]) -> str:
    """A pattern for any of them, the longest that fits. As a tree of their beginnings: with a thousand users' passwords, one after
    the other at every character of a report would take minutes."""
    tree: dict[str, Any] = {}
    for form in forms:
        node = tree
        for character in form:
            node = node.setdefault(character, {})
        node[""] = {}
    return _pattern_of(tree)


def _pattern_of(tree: dict[str, Any]) -> str:
    branches = [re.escape(character) + _pattern_of(rest) for character, rest in sorted(tree.items()) if character]
    if not branches:
        return ""
    return f"(?:{'|'.join(branches)})" + ("?" if "" in tree else "")
