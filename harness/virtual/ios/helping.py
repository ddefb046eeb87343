"""What "?" and Tab do with a line, by a mode's grammar. Pure."""

from __future__ import annotations

from harness.virtual.ios.grammar import CR, Grammar, Wrong, told
from harness.virtual.ios.tables.help import HELP

_COLUMNS = 78


def help_for(grammar: Grammar, text: str) -> list[str]:
    """The lines that IOS prints for a "?" behind this text: after a space or nothing the words that may follow, each with its help;
    directly behind a word those that it begins."""
    negation, rest = _negation(text)
    if text and not text[-1].isspace():
        found = grammar.completions(rest if negation else text)
        return [*_in_columns(found), ""] if found else ["% Unrecognized command"]
    following = grammar.follow(rest if negation else text)
    if isinstance(following, Wrong):
        if following.what == "ambiguous":
            return told(following, text, 0)
        return ["% Unrecognized command"]
    if negation:
        following = [one for one in following if one[0] != CR]
    if not following:
        return ["% Unrecognized command"]
    width = max(len(shown) for shown, _, _ in following)
    return [f"  {shown:<{width}}  {_text(shown, own, before)}".rstrip() for shown, own, before in following] + [""]


def completed(grammar: Grammar, text: str) -> str | None:
    """The line with its last word in full; None where that is not one keyword's beginning."""
    negation, rest = _negation(text)
    if not text or text[-1].isspace():
        return None
    found = grammar.completions(rest if negation else text)
    last = text.split()[-1]
    return text[: len(text) - len(last)] + found[0] + " " if len(found) == 1 else None


def _negation(text: str) -> tuple[bool, str]:
    """Whether the line begins with "no" or "default", and what comes behind: any command may."""
    head, space, rest = text.lstrip().partition(" ")
    return (bool(space) and head in ("no", "default")), rest


def _text(shown: str, own: str, before: tuple[str, ...]) -> str:
    if own or shown == CR:
        return own
    return HELP.get(" ".join([*before, shown])) or HELP.get(shown, "")


def _in_columns(words: list[str]) -> list[str]:
    width = max(len(word) for word in words) + 2
    each = max(1, _COLUMNS // width)
    return ["".join(f"{word:<{width}}" for word in words[n : n + each]).rstrip() for n in range(0, len(words), each)]
