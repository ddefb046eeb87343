"""What a terminal adds to a device's output is taken away, and what speaks for an output that was cut off is found. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from harness.devices.rows import Rows

Row = TypeVar("Row")

_PAGER = re.compile(r" *-{2,} ?[Mm]ore ?-{2,} ?(?:\x08+ *\x08+|\r *\r)?")
"""IOS's pager, and how it wipes itself away once a key is pressed: the line that follows stands behind it."""

_ECHO = re.compile(r"\s*(?:[\w.:-]{1,64}(?:\([\w-]+\))?[#>] ?)?(?:do )?(?:sho?w?|debug|more)\s+\S.*")
_PROMPT = re.compile(r"[\w.:-]{1,64}(?:\([\w-]+\))?[#>]\s*")

_CLOCK_AND_LOAD = re.compile(r"\s*(?:Load for five secs: .*|Time source is .*|No time source, .*)")
"""What `terminal exec prompt timestamp` puts before each output."""

IN_A_LINE = "the text ends in the middle of a line"
IN_THE_PAGER = "the text ends at --More--"


@dataclass(frozen=True, slots=True)
class Text:
    """`lines`, one for each of the text's own, so that numbers count from there: what the terminal added is an empty line. `broken`
    is a last line that does not end, and is not among them; `cut` why the text is held to be incomplete."""

    lines: tuple[str, ...]
    broken: str = ""
    cut: str = ""

    def rows(self, rows: Iterable[Row], unread: Iterable[str] = (), cut: str = "") -> Rows[Row]:
        """What a parser has found. `unread` are some of `lines`, the same objects: equal lines are told apart by that. The
        text's own end speaks before the parser's finding."""
        wanted = Counter(id(line) for line in unread)
        left: list[tuple[int, str]] = []
        for number, line in enumerate(self.lines, 1) if wanted else ():
            if wanted[id(line)] > 0:
                wanted[id(line)] -= 1
                left.append((number, line))
        left.append((len(self.lines) + 1, self.broken))
        left = [(number, line) for number, line in left if line.strip()]
        return Rows(tuple(rows), tuple(line for _, line in left), self.cut or cut, tuple(number for number, _ in left))


def read(text: str) -> Text:
    """A text that a device printed. The command's echo at its beginning and the prompt at its end are none of the output. Without
    that prompt, a last line without its line feed is held to be broken: half an address can look like a whole one."""
    paged = "more" in text.lower()
    in_the_pager = paged and _PAGER.sub("\x00", text).rstrip().endswith("\x00")
    plain = (_PAGER.sub("", text) if paged else text).replace("\r\n", "\n").replace("\r", "")
    lines = plain.split("\n")
    last = lines.pop()
    filled = [number for number, line in enumerate(lines) if line.strip()]
    if filled and _ECHO.fullmatch(lines[filled[0]]):
        lines[filled[0]] = ""
    for number in filled[:4]:
        if _CLOCK_AND_LOAD.fullmatch(lines[number]):
            lines[number] = ""
    if not last.strip() and filled and _PROMPT.fullmatch(lines[filled[-1]]):
        lines[filled[-1]] = ""
        return Text(tuple(lines))
    if _PROMPT.fullmatch(last):
        return Text(tuple(lines))
    if in_the_pager:
        return Text(tuple(lines), last, IN_THE_PAGER)
    return Text(tuple(lines), last, IN_A_LINE if last.strip() else "")


def seconds(text: str) -> int | None:
    """"00:04:59" as seconds, and "1d02h", "3w4d", "7y5w" with what they round to. None for what is no such time."""
    if match := _CLOCK.fullmatch(text):
        return int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3] or 0)
    if match := _LONG.fullmatch(text):
        return sum(int(number) * _UNIT_S[unit] for number, unit in re.findall(r"(\d+)([ywdhms])", match[0]))
    return None


_CLOCK = re.compile(r"(\d{1,4}):(\d{1,2})(?::(\d{1,2}))?")
_LONG = re.compile(r"(?:\d{1,4}[ywdhms]){1,6}")
_UNIT_S = {"y": 365 * 86400, "w": 7 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1}
