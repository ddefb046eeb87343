"""`show users`: lines, and interfaces with the users of PPP on them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from harness.devices.ios.reading import read, seconds
from harness.devices.rows import Rows


@dataclass(frozen=True, slots=True)
class LineUser:
    """One line. `line` is "vty 0", `number` its absolute number; `own` is the line that asked. `idle_s` seconds; None for
    "never"."""

    line: str
    number: int | None
    own: bool = False
    user: str | None = None
    host: str | None = None
    idle_s: int | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True)
class InterfaceUser:
    """One interface's user. `mode` as printed ("PPPoVPDN", "Virtual PPP (L2TP )"); `idle_s` seconds, None where it shows "-";
    `peer` the address that PPP gave him."""

    interface: str
    user: str | None
    mode: str | None
    idle_s: int | None = None
    peer: str | None = None


_LINES = re.compile(r"\s*Line\s+User\s+Host\(s\)\s+Idle\s+Location\s*")
_INTERFACES = re.compile(r"\s*Interface\s+User\s+Mode\s+Idle\s+Peer Address\s*")
_LINE = re.compile(r"\s*(\*)?\s*(?:(\d{1,6})\s+)?(con|aux|tty|vty|lpt|console|AUX|CON|TTY|VTY)\s+(\d[\d/]{0,10})(?:\s+(\S.*?))?\s*")
_IDLE = re.compile(r"\d{1,3}:\d\d(?::\d\d)?|(?:\d{1,4}[ywdh]){1,2}|\d{1,6}|never|-")
_INTERFACE = re.compile(
    r"\s*([A-Za-z][\w./:-]*)\s+(?:(\S+)\s+)?"
    r"((?:Sync|Async|Virtual|Multilink|Dial) PPP(?: \([^)]*\))?|PPPo[A-Z]\w*|PPP|SLIP|[\w.]+)?\s+(-|\d[\w:]*|never)(?:\s+(\S+))?\s*"
)
_ALONE = re.compile(r"\s{20,}(\S+)\s*")


def parse_users(text: str) -> Rows[LineUser | InterfaceUser]:
    """Rows are LineUser, then InterfaceUser."""
    found = read(text)
    rows: list[LineUser | InterfaceUser] = []
    unread: list[str] = []
    table, host_column = "", 0
    for line in found.lines:
        if not line.strip():
            continue
        if _LINES.fullmatch(line):
            table, host_column = "lines", line.index("Host(s)")
        elif _INTERFACES.fullmatch(line):
            table = "interfaces"
        elif table == "lines" and (match := _LINE.fullmatch(line)) and (row := _line(match, host_column)) is not None:
            rows.append(row)
        elif rows and (match := _ALONE.fullmatch(line)) and (placed := _placed(rows[-1], match[1])) is not None:
            rows[-1] = placed
        elif table == "interfaces" and (match := _INTERFACE.fullmatch(line)):
            peer = None if match[5] in (None, "-") else match[5]
            rows.append(InterfaceUser(match[1], match[2], match[3], seconds(match[4]), peer))
        else:
            unread.append(line)
    return found.rows(rows, unread)


def _placed(row: LineUser | InterfaceUser, where: str) -> LineUser | InterfaceUser | None:
    """The row with what found no place on its line."""
    if isinstance(row, LineUser):
        return replace(row, location=where) if row.location is None else None
    return replace(row, peer=where) if row.peer is None else None


def _line(match: re.Match[str], host_column: int) -> LineUser | None:
    number = int(match[2]) if match[2] else None
    row = LineUser(f"{match[3]} {match[4]}", number, match[1] is not None)
    words = (match[5] or "").split()
    if not words:
        return row
    if len(words) == 1 and _IDLE.fullmatch(words[0]):
        return replace(row, idle_s=_minutes(words[0]))
    if words[0] != "idle" and ("idle" in words[1:2] or match.start(5) < host_column):
        row, words = replace(row, user=words[0]), words[1:]
    if words == ["idle"]:
        return replace(row, host="idle")
    if not 2 <= len(words) <= 3 or not _IDLE.fullmatch(words[1]):
        return None
    return replace(row, host=words[0], idle_s=_minutes(words[1]), location=words[2] if len(words) == 3 else None)


def _minutes(text: str) -> int | None:
    """"00:01:30"; older releases: "01:58" and "3" are minutes and seconds, and minutes."""
    if re.fullmatch(r"\d{1,6}", text):
        return int(text) * 60
    if re.fullmatch(r"\d{1,3}:\d\d", text):
        minutes, _, rest = text.partition(":")
        return int(minutes) * 60 + int(rest)
    return seconds(text)
