"""The addresses of IOS access lists: `any`, `host A`, `A WILDCARD`. In a wildcard, set bits are those that do not matter."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

ALL = 0xFFFF_FFFF
Wildcard = tuple[int, int]
"""Address and wildcard, as numbers."""
ANY: Wildcard = (0, ALL)


def matches(pattern: Wildcard, address: int) -> bool:
    return (address ^ pattern[0]) & ~pattern[1] & ALL == 0


def read(words: Sequence[str], *, bare: bool = False) -> tuple[Wildcard, list[str]]:
    """(what the words begin with, the words behind it). `bare`: an address without a wildcard is a host, as in standard lists.
    ValueError says in words what is wrong."""
    first, *rest = _some(words, "an address")
    if first == "any":
        return ANY, rest
    if first == "host":
        host, *rest = _some(rest, "a host's address")
        return (number(host), 0), rest
    address = number(first)
    if bare and not (rest and _is_address(rest[0])):
        return (address, 0), rest
    wildcard, *rest = _some(rest, "a wildcard mask")
    return (address, number(wildcard)), rest


def number(word: str) -> int:
    """ValueError where it is no IPv4 address."""
    try:
        return int(ipaddress.IPv4Address(word))
    except ValueError:
        raise ValueError(f"{word!r} is no IPv4 address") from None


def _some(words: Sequence[str], what: str) -> Sequence[str]:
    if not words:
        raise ValueError(f"the line ends where {what} has to be")
    return words


def _is_address(word: str) -> bool:
    try:
        number(word)
    except ValueError:
        return False
    return True
