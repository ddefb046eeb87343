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

from harness.model import Secret

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
        # Longest first, so that no secret is left half visible by another that is its beginning.
        ordered = sorted(self._forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(_bounded(form) for form in ordered)) if ordered else None

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


def _bounded(form: str) -> str:
    quoted = re.escape(form)
    return rf"(?<![^\W_]){quoted}(?![^\W_])" if len(form) < SHORT else quoted
