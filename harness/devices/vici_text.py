"""`swanctl --raw`: charon's vici messages as text, one event a line.

    list-sa event {l2tp {uniqueid=2 version=1 … child-sas {l2tp-2 {name=l2tp … local-ts=[203.0.113.231/32[udp/l2f]]}}}}
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from harness.devices.rows import Rows

Section = dict[str, Any]  # str, list of str, or Section


@dataclass(frozen=True, slots=True)
class ChildSa:
    """One ESP SA pair. SPIs as 8 hex digits; marks None where none is set."""

    unique: int
    state: str
    spi_in: str
    spi_out: str
    mark_in: int | None
    mark_out: int | None


@dataclass(frozen=True, slots=True)
class IkeSa:
    unique: int
    state: str
    peer_address: str
    peer_port: int
    icookie: str
    rcookie: str
    peer_id: str
    children: tuple[ChildSa, ...]


def parse_sas(text: str) -> Rows[IkeSa]:
    """`swanctl --list-sas --raw`."""
    rows: list[IkeSa] = []
    unread: list[str] = []
    for line in filter(str.strip, text.splitlines()):
        if line.startswith("list-sas reply"):
            continue
        try:
            if not line.startswith("list-sa event "):
                raise ValueError("neither event nor reply")
            event = read_message(line.removeprefix("list-sa event "))
            rows += [_ike_sa(sa) for sa in event.values()]
        except (ValueError, KeyError, AttributeError):
            unread.append(line)
    return Rows(tuple(rows), tuple(unread))


def _ike_sa(sa: Section) -> IkeSa:
    children = tuple(_child_sa(child) for child in sa.get("child-sas", {}).values() if "spi-in" in child)
    return IkeSa(
        int(sa["uniqueid"]),
        sa["state"],
        sa["remote-host"],
        int(sa["remote-port"]),
        sa["initiator-spi"],
        sa["responder-spi"],
        sa.get("remote-id", ""),
        children,
    )


def _child_sa(child: Section) -> ChildSa:
    marks = [int(child[key], 16) if key in child else None for key in ("mark-in", "mark-out")]
    return ChildSa(int(child["uniqueid"]), child["state"], child["spi-in"], child["spi-out"], marks[0], marks[1])


_TOKEN = re.compile(
    r"""\s* (?: (?P<close>\})
            | (?P<name>[^\s={}\[\]]+) (?: (?P<items>=\[(?:[^\[\]]|\[[^\]]*\])*\])   # a list; its items may hold brackets themselves
                                      | (?P<value>=(?!\[)[^\s{}]*)
                                      | \s*(?P<open>\{) ) )""",
    re.VERBOSE,
)


def read_message(text: str) -> Section:
    """One message in braces to nested dictionaries. ValueError where it is not whole."""
    if not text.startswith("{"):
        raise ValueError("a message begins with a brace")
    stack: list[Section] = [{}]
    position = 1
    while stack:
        token = _TOKEN.match(text, position)
        if token is None:
            raise ValueError(f"cannot be read at column {position}: {text[position : position + 20]!r}")
        position = token.end()
        if token["close"]:
            done = stack.pop()
            if not stack:
                if text[position:].strip():
                    raise ValueError("text after the message's end")
                return done
        elif token["open"]:
            inner: Section = {}
            stack[-1][token["name"]] = inner
            stack.append(inner)
        elif token["items"] is not None:
            stack[-1][token["name"]] = token["items"][2:-1].split(" ")
        else:
            stack[-1][token["name"]] = token["value"][1:]
    raise ValueError("a brace too many")
