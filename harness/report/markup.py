"""HTML and SVG without a way to forget escaping: text becomes markup only through `tag`, which escapes it."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable

VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | int | float | None | Iterable["Child"]


def tag(name: str, /, *children: Child, **attributes: str | int | float | bool | None) -> Markup:
    """<name attribute="…">children</name>. Children that are not Markup are escaped; None is left out.

    An attribute's trailing underscore goes, an inner one becomes a hyphen (class_, stroke_width); None and False leave it out.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None and value is not False)
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Markup:
    return Markup("".join(_child(child) for child in children))


def text(value: object) -> Markup:
    """Escaped text. Control and direction-changing characters, which could disguise what a peer sent, are shown by number."""
    return Markup(html.escape(visible(str(value))))


def visible(value: str) -> str:
    if value.isprintable():  # what nearly all text is: nothing of Cc, Cf or Cs in it
        return value
    return "".join(_shown(character) for character in value)


def _shown(character: str) -> str:
    if character in "\n\t" or character == "\u200d":
        return character
    return f"\\u{ord(character):04x}" if unicodedata.category(character) in ("Cc", "Cf", "Cs") else character


def _child(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, str | int | float):
        return text(child)
    return join(child)


def _attribute(key: str, value: str | int | float | bool) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return f' {name}="{html.escape(visible(shown))}"'
