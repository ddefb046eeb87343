"""The numbers by which IOS's show commands know connections, which changed with 12.4."""

from __future__ import annotations

from functools import cache

from harness.model import ios_releases


@cache
def before_12_4(release: str) -> bool:
    """Whether show commands have their older layout."""
    parsed = ios_releases.parse(release)
    return (parsed.major, parsed.minor) < (12, 4)


@cache
def since_15(release: str) -> bool:
    """Whether they have their newest layout."""
    return ios_releases.parse(release).major >= 15


def ike_conn_id(release: str, number: int) -> int:
    """Of the ISAKMP SA that came up as the `number`th, from 0."""
    return number + (1 if before_12_4(release) else 1001)


def conn_ids(release: str, number: int) -> tuple[int, int]:
    """(inbound, outbound) of a pair of ESP SAs."""
    first = 2000 if before_12_4(release) else 1
    return first + 2 * number, first + 2 * number + 1
