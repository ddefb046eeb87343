"""`show interfaces [NAME]`: state and counters of interfaces.

Layouts: that of all releases since 11.3, in which a block begins with "… is up, line protocol is up". Newer ones say "Kbit/sec",
and count multicasts and unknown protocols too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.devices.ios.reading import read
from harness.devices.rows import Rows


@dataclass(frozen=True, slots=True)
class InterfaceState:
    """One interface. `status` and `protocol` as printed ("up", "administratively down", "up (spoofing)"). `address` with its
    prefix's length, or that of the interface that lends its own, which is `unnumbered` then. `lcp` "Open", "Closed" …; `open` the
    network protocols that are open. Counters are packets and octets since they were last cleared. `others` are all other lines."""

    name: str
    status: str
    protocol: str
    packets_in: int
    octets_in: int
    packets_out: int
    octets_out: int
    hardware: str | None = None
    address: str | None = None
    unnumbered: str | None = None
    mtu: int | None = None
    bandwidth_kbit: int | None = None
    encapsulation: str | None = None
    lcp: str | None = None
    open: tuple[str, ...] = ()
    keepalive_s: int | None = None
    input_errors: int | None = None
    output_errors: int | None = None
    others: tuple[str, ...] = ()


BOUND = "Bound to:"
"""Stands between a dialer and the interface that it is bound to."""
_HEADING = re.compile(r"([A-Z][\w-]*\d[\d/.:]*) is ([a-z][a-z ]*?), line protocol is (\w+(?: \(\w+\))?)(?: \(.+\))?\s*")
_SINGLE: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("hardware", re.compile(r"Hardware is (.+?)(?:, address is .+)?")),
    ("address", re.compile(r"Internet address is (\S+)")),
    ("input_errors", re.compile(r"(\d{1,20}) input errors, .*")),
    ("output_errors", re.compile(r"(\d{1,20}) output errors, .*")),
)
_UNNUMBERED = re.compile(r"Interface is unnumbered\. Using address of (\S+) \((\S+)\)")
_MTU = re.compile(r"MTU (\d{1,7}) bytes(?:, sub MTU \d+)?, BW (\d{1,12}) Kbit(?:/sec)?.*")
_ENCAPSULATION = re.compile(r"Encapsulation ([\w.-]+)(?:, LCP (\w+))?.*")
_LCP = re.compile(r"LCP (\w+)(?:, .*)?")
_OPEN = re.compile(r"Open: (.+)")
_KEEPALIVE = re.compile(r"Keepalive set \((\d{1,6}) sec\)")
_IN = re.compile(r"(\d{1,20}) packets input, (\d{1,20}) bytes(?:, .*)?")
_OUT = re.compile(r"(\d{1,20}) packets output, (\d{1,20}) bytes(?:, .*)?")


def parse_interfaces(text: str) -> Rows[InterfaceState]:
    """A block without both counters is no row: its lines are unread, and `cut` says so."""
    found = read(text)
    rows: list[InterfaceState] = []
    unread: list[str] = []
    blocks: list[list[str]] = []
    for line in found.lines:
        if not line.strip() or line.strip() == BOUND:
            continue
        if _HEADING.fullmatch(line):
            blocks.append([line])
        elif blocks and line[:1].isspace():
            blocks[-1].append(line)
        else:
            unread.append(line)
    cut = ""
    for block in blocks:
        row = _row(block)
        if row is not None:
            rows.append(row)
        else:
            unread += block
            cut = f"what is said of {block[0].split()[0]} does not come to its end"
    return found.rows(rows, unread, cut)


def _row(block: list[str]) -> InterfaceState | None:
    heading = _HEADING.fullmatch(block[0])
    fields: dict[str, object] = {}
    others = []
    for line in (one.strip() for one in block[1:]):
        single = next(((name, match[1]) for name, pattern in _SINGLE if (match := pattern.fullmatch(line))), None)
        if single is not None:
            fields[single[0]] = int(single[1]) if single[0].endswith("errors") else single[1]
        elif match := _UNNUMBERED.fullmatch(line):
            fields |= {"unnumbered": match[1], "address": match[2]}
        elif match := _MTU.fullmatch(line):
            fields |= {"mtu": int(match[1]), "bandwidth_kbit": int(match[2])}
        elif match := _ENCAPSULATION.fullmatch(line):
            fields |= {"encapsulation": match[1], **({"lcp": match[2]} if match[2] else {})}
        elif match := _LCP.fullmatch(line):
            fields["lcp"] = match[1]
        elif match := _OPEN.fullmatch(line):
            fields["open"] = tuple(match[1].replace(",", " ").split())
        elif match := _KEEPALIVE.fullmatch(line):
            fields["keepalive_s"] = int(match[1])
        elif match := _IN.fullmatch(line):
            fields |= {"packets_in": int(match[1]), "octets_in": int(match[2])}
        elif match := _OUT.fullmatch(line):
            fields |= {"packets_out": int(match[1]), "octets_out": int(match[2])}
        else:
            others.append(line)
    if heading is None or not {"packets_in", "packets_out"} <= set(fields):
        return None
    return InterfaceState(heading[1], heading[2], heading[3], others=tuple(others), **fields)  # type: ignore[arg-type]
