"""`show ip nat translations` with any of esp, icmp, pptp, tcp, udp, verbose and vrf.

Two layouts of the verbose view: IOS ("create 00:00:02, use 00:00:00, left 00:04:59, flags:extended, use_count:1") and IOS-XE
("create: 02/15/12 11:38:01, use: …, timeout: 00:00:00", one attribute more on each of several lines).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from harness.devices.ios.reading import read, seconds
from harness.devices.rows import Rows


@dataclass(frozen=True, slots=True)
class Details:
    """What the verbose view adds. `create_s`, `use_s`: seconds since the entry was made and last used; `left_s` until it goes;
    `timeout_s` its whole life. IOS-XE tells two points in time instead (`created`, `used`: MM/DD/YY HH:MM:SS). `flags` as printed,
    "0x100000" among them. `others` are attributes that have no field, by name."""

    create_s: int | None = None
    use_s: int | None = None
    left_s: int | None = None
    timeout_s: int | None = None
    created: str | None = None
    used: str | None = None
    flags: tuple[str, ...] = ()
    map_id: str | None = None
    use_count: int | None = None
    entry_id: str | None = None
    lc_entries: int | None = None
    others: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Translation:
    """One entry. `protocol` is "esp", "icmp", "tcp", "udp" …, None for a mere pair of addresses ("---"); an address or port that is
    not part of the entry is None. Ports of an icmp entry are its identifiers. An esp entry has SPIs in the place of ports, 8 hex
    digits in small letters: `inside_spi` that of the inside host's own SA (beside its local address), `outside_spi` that of the
    outside host's (beside its global one); None where it shows 0. `table` counts the heading lines before the row, from 1: `vrf`
    prints two tables."""

    protocol: str | None
    inside_global: str | None
    inside_global_port: int | None
    inside_local: str | None
    inside_local_port: int | None
    outside_local: str | None
    outside_local_port: int | None
    outside_global: str | None
    outside_global_port: int | None
    inside_spi: str | None = None
    outside_spi: str | None = None
    table: int = 1
    details: Details | None = None


_HEADING = re.compile(r"\s*Pro\s+Inside global\s+Inside local\s+Outside local\s+Outside global\s*")
_ROW = re.compile(r"\s*(---|[a-z]{2,6}|\d{1,3})\s+([\w.:-]+)\s+([\w.:-]+)\s+([\w.:-]+)\s+([\w.:-]+)\s*")
_TOTAL = re.compile(r"\s*Total number of translations:\s*(\d{1,10})\s*")
_ADDRESS = re.compile(r"[\d.]{3,15}|(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}")
_ATTRIBUTE = re.compile(
    r"\s*(create|use|left|timeout|[Ff]lags|Map-Id\(In\)|Map-Id\(Out\)|use_count|entry-id|lc_entries|Mac-Address|Input-IDB|Output-IDB|"
    r"RuleID|ALG Application Type|WLAN-Flags|In_pkts|In_bytes|Out_pkts|Out_bytes|Group_id|vrf|appl_type|"
    r"Format\(H:M:S\) Time-left)\s*(?::|\s)\s*"
)
_FLAGS = re.compile(r"\s*(?:[a-z][a-z-]*|0x[0-9A-Fa-f]+)\s*(?:,|$)")
_NONE = frozenset(("---", "--"))
NO_FLAGS_YET = ("flags", "")
"""IOS 12 breaks the line between the word and what they are."""


def parse_nat_translations(text: str) -> Rows[Translation]:
    """Rows are Translation. `cut` where the device's own total is higher than the number of rows."""
    found = read(text)
    rows: list[Translation] = []
    unread: list[str] = []
    table, total = 0, None
    whose: list[tuple[str, str]] = []
    match_row = _ROW.fullmatch
    for line in found.lines:
        if (match := match_row(line)) and (row := _row(match, table or 1)) is not None:
            if whose:
                _attach(rows, whose)
            rows.append(row)
        elif not line or line.isspace():
            continue
        elif _HEADING.fullmatch(line):
            table += 1
        elif match := _TOTAL.fullmatch(line):
            total = int(match[1])
        elif whose[-1:] == [NO_FLAGS_YET] and _FLAGS.match(line):
            whose[-1:] = _attributes(f"flags: {line}")
        elif rows and (attributes := _attributes(line)):
            whose += attributes
        else:
            unread.append(line)
    waiting = whose[-1:] == [NO_FLAGS_YET]
    _attach(rows, whose)
    cut = ""
    if total is not None and len(rows) + len(unread) < total:
        cut = f"it tells of {total} translations, and holds {len(rows)}"
    elif waiting or (len(rows) > 1 and rows[-1].details is None and rows[-2].details is not None and total is None):
        cut = "what the verbose view says of the last entry is not all there"
    return found.rows(rows, unread, cut)


def _row(match: re.Match[str], table: int) -> Translation | None:
    protocol, *places = match.groups()
    ends: list[tuple[str | None, str]] = []
    for place in places:
        if place in _NONE:
            ends.append((None, ""))
            continue
        address, colon, port = place.rpartition(":")
        if not colon or (":" in address and "." not in address):
            address, port = place, ""
        if not _ADDRESS.fullmatch(address):
            return None
        ends.append((address, port))
    (a, ap), (b, bp), (c, cp), (d, dp) = ends
    if protocol == "esp":
        try:
            spis = [None if int(port, 16) == 0 else f"{int(port, 16):08x}" for port in (bp or "0", dp or "0")]
        except ValueError:
            return None
        return Translation("esp", a, None, b, None, c, None, d, None, spis[0], spis[1], table)
    try:
        ports = [int(port) if port else None for port in (ap, bp, cp, dp)]
    except ValueError:
        return None
    kind = None if protocol in _NONE else protocol
    return Translation(kind, a, ports[0], b, ports[1], c, ports[2], d, ports[3], None, None, table)


def _attributes(line: str) -> list[tuple[str, str]]:
    """(name, value) of everything on the line; nothing where some of it is no attribute."""
    found: list[tuple[str, str]] = []
    starts = list(_ATTRIBUTE.finditer(line))
    if not starts or starts[0].start() != 0:
        return []
    for match, after in zip(starts, [*starts[1:], None], strict=True):
        between = line[match.end() : len(line) if after is None else after.start()]
        if after is not None and not between.endswith(",") and not after[0][0].isspace():
            return []
        found.append((match[1], between.strip().rstrip(",").strip()))
    return found


_FIELDS = {"create": "create_s", "use": "use_s", "left": "left_s", "timeout": "timeout_s", "Format(H:M:S) Time-left": "left_s"}
_POINTS = {"create": "created", "use": "used"}
_COUNTS = {"use_count": "use_count", "lc_entries": "lc_entries"}
_TEXTS = {"entry-id": "entry_id", "Map-Id(In)": "map_id"}


def _attach(rows: list[Translation], whose: list[tuple[str, str]]) -> None:
    """Gives the last row what was said below it, and empties `whose`."""
    if not whose or not rows:
        return
    fields: dict[str, object] = {}
    others: list[tuple[str, str]] = []
    for name, value in whose:
        if name in _FIELDS and (time := seconds(value)) is not None:
            fields[_FIELDS[name]] = time
        elif name in _POINTS and value[:1].isdigit():
            fields[_POINTS[name]] = value
        elif name in _COUNTS and re.fullmatch(r"\d{1,10}", value):
            fields[_COUNTS[name]] = int(value)
        elif name in _TEXTS:
            fields[_TEXTS[name]] = value
        elif name.lower() == "flags":
            fields["flags"] = tuple(flag.strip() for flag in value.split(",") if flag.strip())
        else:
            others.append((name, value))
    rows[-1] = replace(rows[-1], details=Details(**fields, others=tuple(others)))  # type: ignore[arg-type]
    whose.clear()
