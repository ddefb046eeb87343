"""Packet rules beside those of somebody's: in chains of our own, to which the kernel's chains jump first. Pure.

What is there stays, with its policies; ours only drop what is unprotected or mark what is a client's, and then theirs are asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

PREFIX = "natstorm-"
COMMAND = "iptables-legacy -w 10"
"""Waits for whoever else is changing rules."""
RESTORE = "iptables-legacy-restore -w 10 --noflush"

_FILTER = ("INPUT", "OUTPUT")
"""Of the table filter these are always there: a gateway that is silent drops in both."""


def chains(rules: str) -> dict[str, tuple[str, ...]]:
    """The chains that rules for iptables-restore are in, by table, in their order; those of _FILTER among them."""
    found: dict[str, tuple[str, ...]] = {}
    table = ""
    for line in rules.splitlines():
        if line.startswith("*"):
            table = line[1:]
            found[table] = _FILTER if table == "filter" else ()
        elif match := re.match(r"(?::|-A )(\S+)", line):
            known = found.get(table, ())
            found[table] = known if match[1] in known else (*known, match[1])
    return {**found, "filter": found.get("filter", _FILTER)}


def own_chains(rules: str) -> str:
    """The same rules for `iptables-restore --noflush`."""
    bodies: dict[str, list[str]] = {}
    table = ""
    for line in rules.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A "):
            bodies.setdefault(table, []).append(f"-A {PREFIX}{line[3:]}")
    parts = []
    for table, names in chains(rules).items():
        made = [f":{PREFIX}{name} - [0:0]" for name in names]
        jumps = [f"-I {name} 1 -j {PREFIX}{name}" for name in names]
        parts += [f"*{table}", *made, *bodies.get(table, []), *jumps, "COMMIT"]
    return "\n".join(parts) + "\n"


def removal(tables: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Lines of bash that take them away, as often as they are there; nothing else is touched."""
    lines = []
    for table, names in tables.items():
        for name in names:
            command, own = f"{COMMAND} -t {table}", f"{PREFIX}{name}"
            jumps = f"while {command} -D {name} -j {own}; do :; done"
            lines.append(f"{{ {jumps}; {command} -F {own}; {command} -X {own}; }} 2>/dev/null")
    return tuple(lines)
