"""SAs towards a client that it has given up: what comes on one after that reaches nobody, whatever address it bears.

A Delete names what its sender receives on, and will not receive on any more (RFC 2408 section 3.15). A client that dials anew has
left all that it had behind, and says so to nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from harness.model import Side
from harness.verdict.reading import Reading, deleted

FOREVER = float("inf")


def heard_until(reading: Reading, spi: str | None) -> float:
    """Since when the client does not hear an SA any more, as the capture inside the NAT shows it; infinity while it does."""
    if spi is None:
        return FOREVER
    return min(reading.once(_ended_inside).get(spi, FOREVER), reading.once(_left_behind).get(spi, FOREVER))


def told_to_end(reading: Reading, side: Side) -> Mapping[str, float]:
    """SPI, of either direction → when, on that side of the NAT, a Delete of whoever receives on it went by."""
    return reading.once(_ended_inside if side is Side.INSIDE else _ended_outside)


def _ended_inside(reading: Reading) -> Mapping[str, float]:
    return _ended(reading, Side.INSIDE)


def _ended_outside(reading: Reading) -> Mapping[str, float]:
    return _ended(reading, Side.OUTSIDE)


def _ended(reading: Reading, side: Side) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for o in reading.frames(side):
        spis, client = deleted(o, "esp"), reading.ike_owner(o)
        if not spis or client is None:
            continue
        up = reading.direction(o) == "up"
        if side is Side.INSIDE and reading.at_address(o.src if up else o.dst) != client:
            continue  # a Delete that went astray tells its client nothing
        own = reading.spi_in if up else reading.spi_out
        for spi in spis:
            if own.get(spi) == client:
                found.setdefault(spi, o.t)
    return found


def _left_behind(reading: Reading) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for identity in reading.identities.values():
        for life, after in pairwise(identity.lives):
            if after.since is not None:
                found.update((spi, after.since) for spi in life.spis_in)
    return found
