"""The kinds of words that a command may hold beside its keywords: how each looks in help, and which words it takes. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

INTERFACES = (
    "Async", "ATM", "BRI", "BVI", "Dialer", "Ethernet", "FastEthernet", "GigabitEthernet", "Loopback", "Null", "Serial", "Tunnel",
    "Virtual-Access", "Virtual-Template",
)  # fmt: skip
SHORT = {"vt": "Virtual-Template", "vi": "Virtual-Access", "at": "ATM", "as": "Async"}
"""Short names that are no beginnings of the long ones, or of more than one."""
LOGICAL = ("BVI", "Dialer", "Loopback", "Tunnel", "Virtual-Template")
"""Interfaces that a configuration makes and removes; the others are the hardware's."""
_NAME = re.compile(r"([A-Za-z][A-Za-z-]*?)\s*(\d+(?:/\d+){0,3}(?:\.\d+)?(?::\d+)?)")


def interface_type(letters: str) -> str | None:
    """The full name of a type of interfaces, of which any unambiguous beginning will do; case does not matter."""
    low = letters.lower()
    if low in SHORT:
        return SHORT[low]
    found = [name for name in INTERFACES if name.lower().startswith(low)]
    exact = [name for name in found if name.lower() == low]
    return (exact or found)[0] if len(exact or found) == 1 else None


def interface(text: str) -> str | None:
    """The full name, "FastEthernet0/0", of what was written as "fa0/0" or "FastEthernet 0/0"; None where it is none."""
    match = _NAME.fullmatch(text)
    kind = interface_type(match[1]) if match else None
    return f"{kind}{match[2]}" if match and kind else None


def short_interface(name: str) -> str:
    """As tables print it: "Fa0/0"."""
    match = _NAME.fullmatch(name)
    if match is None:
        return name
    back = {long: short.capitalize() for short, long in SHORT.items()}
    return back.get(match[1], match[1][:2]) + match[2]


def address(text: str) -> str | None:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        return None


def mask(text: str) -> str | None:
    """A subnet mask: ones, then zeros."""
    if (found := address(text)) is None:
        return None
    inverted = ~int(ipaddress.IPv4Address(found)) & 0xFFFFFFFF
    return found if inverted & (inverted + 1) == 0 else None


@dataclass(frozen=True, slots=True)
class Kind:
    """`shown` and `help` are what "?" tells; `take` gives the word in its canonical form, or None. The higher the `rank`, the
    sooner it is preferred where a word fits more than one."""

    shown: str
    help: str
    take: Callable[[str], str | None]
    rank: int = 2


def _pattern(pattern: str) -> Callable[[str], str | None]:
    compiled = re.compile(pattern)
    return lambda text: text if compiled.fullmatch(text) else None


KINDS = {
    "WORD": Kind("WORD", "a name", lambda text: text, rank=1),
    "LINE": Kind("LINE", "the rest of the line", lambda text: text, rank=0),
    "A.B.C.D": Kind("A.B.C.D", "IP address", address),
    "MASK": Kind("A.B.C.D", "IP subnet mask", mask),
    "WILD": Kind("A.B.C.D", "Wildcard bits", address),
    "TIME": Kind("hh:mm:ss", "Current time", _pattern(r"([01]?\d|2[0-3]):[0-5]\d:[0-5]\d")),
    "HEX": Kind("Hex-data", "hexadecimal digits", _pattern(r"[0-9A-Fa-f]+")),
    "FILE": Kind("WORD", "a file", _pattern(r"(?:flash|nvram|system|tftp|bootflash|disk0):\S*"), rank=1),
    "IFNAME": Kind("interface", "a type and number, as FastEthernet0/0", interface),
}

_RANGE = re.compile(r"<(\d+)-(\d+)>")


def kind_of(word: str) -> Kind | None:
    """What a word of a command's syntax stands for; None where it is a keyword."""
    if word in KINDS:
        return KINDS[word]
    if (match := _RANGE.fullmatch(word)) is None:
        return None
    low, high = int(match[1]), int(match[2])

    def take(text: str) -> str | None:
        return str(int(text)) if text.isdecimal() and text.isascii() and low <= int(text) <= high else None

    return Kind(word, "a number", take)
