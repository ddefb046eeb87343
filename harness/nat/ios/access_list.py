"""Access lists as `ip nat service list` and `ip nat inside source list` use them: which endpoints a service is for."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

ANY = (0, 0xFFFF_FFFF)
Match = tuple[int, int]
"""Address and wildcard: bits that are set in the wildcard do not count."""


@dataclass(frozen=True, slots=True)
class Line:
    """`source` is the inside local address, `destination` the outside one. A standard list's lines leave the latter open."""

    permit: bool
    source: Match = ANY
    destination: Match = ANY


@dataclass(frozen=True, slots=True)
class AccessList:
    """The first line that matches decides; what no line matches is denied."""

    lines: tuple[Line, ...]

    def permits(self, source: bytes, destination: bytes) -> bool:
        here, there = int.from_bytes(source), int.from_bytes(destination)
        for line in self.lines:
            if _matches(line.source, here) and _matches(line.destination, there):
                return line.permit
        return False

    @classmethod
    def of(cls, lines: Iterable[str]) -> AccessList:
        return cls(tuple(map(parse, lines)))


def _matches(match: Match, address: int) -> bool:
    expected, wildcard = match
    return (address ^ expected) & ~wildcard & 0xFFFF_FFFF == 0


def parse(text: str) -> Line:
    """A line without its `access-list NUMBER`: "permit 10.1.1.1", "deny 10.1.0.0 0.0.255.255", "permit ip any host 192.0.2.1".
    ValueError where it is none; ports and protocols other than ip are none here."""
    action, *words = text.split()
    if action not in ("permit", "deny"):
        raise ValueError(f"{text!r} begins with neither permit nor deny")
    extended = words[:1] == ["ip"]
    words = words[extended:]
    source, words = _match(text, words)
    destination, words = _match(text, words) if extended else (ANY, words)
    if words:
        raise ValueError(f"{' '.join(words)!r} is too much in {text!r}")
    return Line(action == "permit", source, destination)


def _match(text: str, words: list[str]) -> tuple[Match, list[str]]:
    match words:
        case ["any", *rest]:
            return ANY, rest
        case ["host", address, *rest]:
            return (_address(address), 0), rest
        case [address, wildcard, *rest] if _is_address(wildcard):
            return (_address(address), _address(wildcard)), rest
        case [address, *rest]:
            return (_address(address), 0), rest
    raise ValueError(f"an address is missing in {text!r}")


def _address(text: str) -> int:
    return int(ipaddress.IPv4Address(text))


def _is_address(text: str) -> bool:
    try:
        _address(text)
    except ValueError:
        return False
    return True
