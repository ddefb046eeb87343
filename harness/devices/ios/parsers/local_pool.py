"""`show ip local pool` and `show ip local pool NAME`.

Layouts: "Pool Begin End Free In use" (12.2 and later, "Scope" where there are caches), a column "Blocked" behind in newer ones; the
named form lists addresses below.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.devices.ios.reading import read
from harness.devices.rows import Rows


@dataclass(frozen=True, slots=True)
class PoolRange:
    """One range of a pool, with how many of its addresses are free and in use. `group` is the pool's group, None for the base
    group."""

    pool: str
    begin: str
    end: str
    free: int
    in_use: int
    blocked: int | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class PoolAddress:
    """One address of a pool that was asked for by name. `interface` and `user` of whom it was given to."""

    pool: str
    address: str
    in_use: bool
    interface: str | None = None
    user: str | None = None


_IP = r"(\d{1,3}(?:\.\d{1,3}){3})"
_HEADING = re.compile(r"\s*(?:Pool|Scope)\s+Begin\s+End\s+Free\s+In ?use(?:\s+Blocked)?(?:\s+Cache Size)?\s*")
_RANGE = re.compile(rf"\s*(?:(\S+)\s+)?{_IP}\s+{_IP}\s+(\d{{1,8}})\s+(\d{{1,8}})(?:\s+(\d{{1,8}}))?\s*")
_GROUP = re.compile(r"\s*\*\* pool <(.+?)> is in group <(.+?)>\s*")
_LISTS = re.compile(r"\s*(Available|In ?use) addresses:\s*", re.IGNORECASE)
_ADDRESS = re.compile(rf"\s*{_IP}(?:\s+(\S+))?(?:\s+(\S+))?\s*")
_NONE = re.compile(r"\s*None\s*|\s*%?\s*(?:No (?:local |address )*pools?.*|IP local address pools? not defined.*)", re.IGNORECASE)


def parse_local_pool(text: str) -> Rows[PoolRange | PoolAddress]:
    """Rows are PoolRange, and of a pool that was asked for by name PoolAddress. `cut` where a list is shorter than its range
    says."""
    found = read(text)
    rows: list[PoolRange | PoolAddress] = []
    unread: list[str] = []
    groups: dict[str, str] = {}
    pool, listing = "", ""
    lists: dict[bool, int] = {}
    for line in found.lines:
        if not line.strip() or _HEADING.fullmatch(line) or _NONE.fullmatch(line):
            continue
        if match := _GROUP.fullmatch(line):
            groups[match[1]] = match[2]
        elif match := _LISTS.fullmatch(line):
            listing = match[1].lower()
            lists.setdefault(listing != "available", 0)
        elif match := _RANGE.fullmatch(line):
            if not (pool := match[1] or pool):
                unread.append(line)
                continue
            listing = ""
            blocked = int(match[6]) if match[6] else None
            rows.append(PoolRange(pool, match[2], match[3], int(match[4]), int(match[5]), blocked, groups.get(pool)))
        elif listing and (match := _ADDRESS.fullmatch(line)):
            in_use = listing != "available"
            lists[in_use] += 1
            rows.append(PoolAddress(pool, match[1], in_use, match[2], match[3]))
        else:
            unread.append(line)
    return found.rows(rows, unread, _short(rows, lists, len(unread)))


def _short(rows: list[PoolRange | PoolAddress], lists: dict[bool, int], unread: int) -> str:
    if not lists:
        return ""
    ranges = [row for row in rows if isinstance(row, PoolRange)]
    free, in_use = sum(row.free for row in ranges), sum(row.in_use for row in ranges)
    for what, told, listed in (("free", free, lists.get(False, 0)), ("in use", in_use, lists.get(True, 0))):
        if listed + unread < told:
            return f"it tells of {told} addresses {what}, and lists {listed}"
    return ""
