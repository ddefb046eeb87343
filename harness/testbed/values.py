"""What a value in a testbed file may be: one function each, from what YAML or pyATS gives to what the model holds.

Each raises BadValue with the problem and the cure; where it stands in the file is the caller's to say.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_MAX_PORT = 65535

_HARNESS = Path(__file__).resolve().parents[1]
_REAL_CLIENT = "real-linux"
"""A client that is a machine of its own: it has no file, it is what it is."""


class BadValue(Exception):
    """`item` is the position in a list of what is wrong; None where it is the value as a whole."""

    def __init__(self, problem: str, cure: str, item: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.cure = cure
        self.item = item


def text(value: Any) -> str:
    """Text that is not empty. A number is taken as its digits, since YAML reads an unquoted 1234 as one."""
    if isinstance(value, bool) or not isinstance(value, str | int) or str(value) == "":
        raise BadValue(f"{value!r} is not a text", "write a word, in quotes where in doubt")
    return str(value)


def address(value: Any) -> str:
    """An IPv4 address."""
    try:
        return str(ipaddress.IPv4Address(str(value)))
    except ValueError as error:
        raise BadValue(f"{value!r} is not an IPv4 address ({error})", "four numbers from 0 to 255, as in 203.0.113.231") from error


def interface_address(value: Any) -> str:
    """An IPv4 address with its prefix length, a host's and not the network's own."""
    try:
        if "/" not in str(value):
            raise ValueError("the prefix length is missing")
        parsed = ipaddress.IPv4Interface(str(value))
    except ValueError as error:
        raise BadValue(f"{value!r} is not an IPv4 address with prefix length ({error})", "as in 203.0.113.231/24") from error
    network = parsed.network
    if network.prefixlen < 31 and parsed.ip in (network.network_address, network.broadcast_address):
        raise BadValue(f"{value} is no host's address in {network}", f"choose one between the ends of {network}")
    return str(parsed)


def prefix(value: Any) -> str:
    """An IPv4 network."""
    try:
        return str(ipaddress.IPv4Network(str(value)))
    except ValueError as error:
        cure = "as in 10.0.0.0/24, with no bits below the prefix length"
        raise BadValue(f"{value!r} is not an IPv4 prefix ({error})", cure) from error


def ports(value: Any) -> tuple[int, int]:
    """"FIRST-LAST", both UDP ports."""
    match = re.fullmatch(r"(\d{1,5})-(\d{1,5})", str(value))
    first, last = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= first <= last <= _MAX_PORT:
        raise BadValue(f"{value!r} is not a range of ports", "as in 1024-65535, the lower one first")
    return first, last


def addresses(value: Any) -> tuple[str, str]:
    """"FIRST-LAST", both IPv4 addresses."""
    parts = str(value).split("-")
    if len(parts) != 2:
        raise BadValue(f"{value!r} is not a range of addresses", "as in 172.16.1.10-172.16.1.200")
    first, last = address(parts[0].strip()), address(parts[1].strip())
    if ipaddress.IPv4Address(first) > ipaddress.IPv4Address(last):
        raise BadValue(f"{value!r} runs backwards", "the lower address comes first")
    return first, last


def count(value: Any) -> int:
    """A whole number from 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadValue(f"{value!r} is not a whole number from 1", "as in 30")
    return value


def choices(value: Any, known: tuple[str, ...]) -> tuple[str, ...]:
    """A list, not empty, of different ones of `known`."""
    if not isinstance(value, list) or not value:
        raise BadValue(f"{value!r} is not a list", f"one or more of {', '.join(known)}")
    for number, item in enumerate(value):
        if item not in known:
            raise BadValue(f"{item!r} is not known", f"one of {', '.join(known)}", number)
        if item in value[:number]:
            raise BadValue(f"{item!r} is listed twice", "remove one", number)
    return tuple(value)


def choice(value: Any, known: tuple[str, ...]) -> str:
    if value not in known:
        raise BadValue(f"{value!r} is not known", f"one of {', '.join(known)}")
    return str(value)


def interface_name(value: Any) -> str:
    if not isinstance(value, str) or not _INTERFACE.fullmatch(value):
        raise BadValue(f"{value!r} cannot be an interface's name", "1 to 15 letters, digits, dots, dashes or underscores")
    return value


def client_personality(value: Any) -> str:
    """What the clients are: one of the files in harness/clients/personalities, or a real machine."""
    return _personality(value, (*_names("clients"), _REAL_CLIENT))


def nat_personality(value: Any) -> str:
    """What the NAT is: one of the files in harness/nat/personalities."""
    return _personality(value, _names("nat"))


def _names(room: str) -> tuple[str, ...]:
    """What the files say is read, and judged, by the room itself; here only the names count."""
    return tuple(sorted(file.stem for file in (_HARNESS / room / "personalities").glob("*.yaml")))


def _personality(value: Any, known: Iterable[str]) -> str:
    name, names = text(value), tuple(known)
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.7)
        cure = f"did you mean {close[0]!r}?" if close else f"one of {', '.join(names)}"
        raise BadValue(f"there is no personality {name!r}", cure)
    return name
