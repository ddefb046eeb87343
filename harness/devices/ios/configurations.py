"""Configurations of IOS, read by their indentation and compared. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

Section = dict[str, "Section"]
"""A configuration's lines in their order, each with those that stand below it."""

_NOT_CONFIGURATION = re.compile(
    r"!|show running-config|[\w.-]+(?:\(config[^)]*\))?[#>]|"
    r"end$|Building configuration|Current configuration|Using \d+|ntp clock-period "
)
"""Comments, headings, and the one line that a router changes by itself."""


def parse_config(text: str) -> Section:
    """By indentation, `show running-config` or the lines that somebody would type."""
    root: Section = {}
    above: list[tuple[int, Section]] = [(-1, root)]
    for line in text.replace("\r\n", "\n").splitlines():
        words = line.strip()
        if not words or _NOT_CONFIGURATION.match(words):
            continue
        depth = len(line) - len(line.lstrip())
        while above[-1][0] >= depth:
            above.pop()
        above.append((depth, above[-1][1].setdefault(words, {})))
    return root


def whole(text: str) -> bool:
    """Whether a running configuration came to its end."""
    return any(line.strip() == "end" for line in text.splitlines()[-5:])


def back_to(saved: Section, now: Section) -> list[str]:
    """The lines that, typed in configuration mode, lead from `now` to `saved`: first what is too much goes, then what lacks comes.

    Lines below a section are indented by one; the section's own line comes before them, and `exit` after. The order of lines within
    a section is not compared: of a numbered access list it would matter.
    """
    return [*_removals(saved, now), *_additions(saved, now)]


def _removals(saved: Section, now: Section) -> list[str]:
    lines: list[str] = []
    for line, below in now.items():
        if line in saved:
            if inner := _removals(saved[line], below):
                lines += [line, *(f" {one}" for one in (*inner, "exit"))]
        elif (opposite := line[3:] if line.startswith("no ") else f"no {line}") not in saved:
            lines.append(opposite)
    return lines


def _additions(saved: Section, now: Section) -> list[str]:
    lines: list[str] = []
    for line, below in saved.items():
        inner = _additions(below, now.get(line, {}))
        if line not in now or inner:
            lines += [line, *(f" {one}" for one in (*inner, *(["exit"] if inner else [])))]
    return lines


def after(saved: Section, lines: Iterable[str]) -> Section:
    """What the configuration will be once the lines were typed, so far as can be told without the router: it is assumed that a line
    replaces those from which only its last word differs. Where it does not, `back_to` types what is there again, which changes
    nothing."""
    result = _copy(saved)
    _apply(result, parse_config("\n".join(lines)))
    return result


def _apply(to: Section, change: Section) -> None:
    for line, below in change.items():
        if line.startswith("no ") and line not in to:
            to.pop(line[3:], None)
        else:
            if line not in to and not below:
                stem = line.rpartition(" ")[0]
                for other in [one for one, inside in to.items() if not inside and one.rpartition(" ")[0] == stem]:
                    del to[other]
            _apply(to.setdefault(line, {}), below)


def _copy(section: Section) -> Section:
    return {line: _copy(below) for line, below in section.items()}
