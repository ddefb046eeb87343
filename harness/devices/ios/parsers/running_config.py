"""`show running-config`, whole or in part: what stands in it of crypto, vpdn, interfaces, NAT and pools, as values.

A section's own lines stand below it, indented. What has no field stays in the row (`others`), and a section of another kind becomes
`Other`: nothing of the text is left out. Keys and passwords are Secret, and `***` in what is kept as text.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from harness.devices.ios.parsers import configured
from harness.devices.ios.parsers.configured import Value, masked
from harness.devices.ios.reading import read
from harness.devices.rows import Rows

_NO_CONTENT = re.compile(r"\s*(?:!.*|Building configuration\.\.\.\s*|Current configuration ?:.*|Using \d+ out of .*|end\s*)")
_A_WHOLE_ONE = re.compile(r"\s*(?:Building configuration\.\.\.|Current configuration ?:.*|version \d[\w.()]*)\s*")

_SECTIONS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], list[str]], Value]], ...] = (
    (re.compile(r"crypto isakmp policy (\d{1,5})"), configured.isakmp_policy),
    (re.compile(r"crypto isakmp key (?:([06]) )?(\S+) (?:address (\S+)(?: (\d[\d.]+))?|hostname (\S+))( no-xauth)?"),
     configured.isakmp_key),
    (re.compile(r"crypto ipsec transform-set (\S+) (\S.*)"), configured.transform_set),
    (re.compile(r"crypto dynamic-map (\S+) (\d{1,5})"), configured.dynamic_map),
    (re.compile(r"crypto map (\S+) (\d{1,5})(?: (ipsec-\w+|gdoi))?(?: dynamic (\S+))?(?: (discover))?(?: profile (\S+))?"),
     configured.crypto_map),
    (re.compile(r"vpdn-group (.+)"), configured.vpdn_group),
    (re.compile(r"interface (\S.*)"), configured.interface),
    (re.compile(r"ip local pool (\S+) (\d[\d.]+)(?: (\d[\d.]+))?(?: group (\S+))?(?: (.+))?"), configured.local_pool),
    (re.compile(r"ip nat pool (\S+) (\d[\d.]+) (\d[\d.]+) (netmask|prefix-length) (\S+)(?: (.+))?"), configured.nat_pool),
    (re.compile(r"ip nat (inside|outside) (source|destination) (list|static|route-map) (\S.*)"), configured.nat_rule),
    (re.compile(r"ip nat service (?:list (\S+) )?(\S.*)"), configured.nat_service),
    (re.compile(r"(no )?((?:vpdn|crypto isakmp|crypto ipsec|ip nat translation|l2tp) ?.*)"), configured.setting),
)  # fmt: skip


def parse_running_config(text: str) -> Rows[Value]:
    """Rows are the values of `configured`, in the text's order. `cut` where a whole configuration does not come to its `end`."""
    found = read(text)
    rows: list[Value] = []
    heading: str | None = None
    below: list[str] = []
    strays: list[str] = []
    whole = ended = False
    for line in found.lines:
        whole = whole or _A_WHOLE_ONE.fullmatch(line) is not None
        if line.strip():  # a device prints an empty line behind it
            ended = line.strip() == "end" and not line[:1].isspace()
        if not line.strip() or _NO_CONTENT.fullmatch(line):
            continue
        if not line[0].isspace():
            if heading is not None:
                rows.append(_value(heading, below))
            heading, below = line.strip(), []
        elif heading is None:
            strays.append(line)
        else:
            below.append(line.strip())
    cut = "" if ended or not whole else "the configuration does not come to its end"
    going_on = not found.broken or found.broken[0].isspace()
    if heading is not None and (found.cut or cut) and going_on:
        strays += found.lines[_last(found.lines, heading) :]
    elif heading is not None:
        rows.append(_value(heading, below))
    return found.rows(rows, strays, cut)


def _last(lines: tuple[str, ...], heading: str) -> int:
    return max(number for number, line in enumerate(lines) if line.strip() == heading)


def _value(heading: str, below: list[str]) -> Value:
    for pattern, make in _SECTIONS:
        if match := pattern.fullmatch(heading):
            return make(match, below)
    return configured.Other(masked(heading), tuple(masked(line) for line in below))
