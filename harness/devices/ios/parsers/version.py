"""`show version`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.devices.ios.reading import read
from harness.devices.rows import Rows


@dataclass(frozen=True, slots=True)
class Version:
    """`show version`. `version` as "12.4(24)T", `image` the feature set's name "C7200-ADVENTERPRISEK9-M", `file` where it was
    booted from, `model` "7206VXR", `board` the processor board's ID, `register` "0x2102". None for what was not said."""

    hostname: str | None = None
    version: str | None = None
    image: str | None = None
    model: str | None = None
    board: str | None = None
    uptime: str | None = None
    file: str | None = None
    register: str | None = None


_VERSION = {
    "version": re.compile(r"^(?:Cisco )?IOS .*\([A-Za-z0-9_-]+\), (?:Experimental )?Version ([^\s,]+)", re.M),
    "image": re.compile(r"^(?:Cisco )?IOS .*?\(([A-Za-z0-9]\w*-\w+-\w+)\), (?:Experimental )?Version ", re.M),
    "hostname": re.compile(r"^\s*(\S+) uptime is ", re.M),
    "uptime": re.compile(r"^\s*\S+ uptime is (.+?)\s*$", re.M),
    "file": re.compile(r'^System image file is "([^"]+)"', re.M),
    "model": re.compile(r"^[Cc]isco (\S+) \([^)]*\) processor\b", re.M),
    "board": re.compile(r"^Processor board ID (\S+)", re.M),
    "register": re.compile(r"^Configuration register is (0x[0-9A-Fa-f]+)", re.M),
}
NEEDED = ("version", "hostname")
_END = re.compile(r"Configuration register is 0x|System Serial Number +: \S")
"""How the last line begins: Catalysts of 17.x with several supervisors tell no register, and end with their hardware. Without
either the text was cut off."""


def parse_version(text: str) -> Rows[Version]:
    """One row where the text is whole; none where it is empty or was cut off, and its lines are then unread."""
    read_text = read(text)
    plain = "\n".join(read_text.lines)
    found = {name: match[1] for name, pattern in _VERSION.items() if (match := pattern.search(plain))}
    filled = [line for line in read_text.lines if line.strip()]
    ended = "register" in found or bool(filled and not read_text.cut and _END.match(filled[-1].strip()))
    if ended and all(name in found for name in NEEDED):
        return Rows((Version(**found),))
    return read_text.rows((), filled, "it comes neither to the configuration register nor to a serial number" if filled else "")


_UNITS_S = {"year": 31536000, "week": 604800, "day": 86400, "hour": 3600, "minute": 60}


def up_for(uptime: str) -> int | None:
    """"2 days, 12 hours, 6 minutes" in seconds; None where it is none."""
    found = re.findall(r"(\d+) (year|week|day|hour|minute)s?", uptime)
    return sum(int(count) * _UNITS_S[unit] for count, unit in found) if found else None
