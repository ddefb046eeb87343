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


Sa = tuple[str | None, str | None]
"""A client and one of its SPIs: two clients may have chosen the same."""


def heard_until(reading: Reading, sa: Sa) -> float:
    """Since when the client does not hear an SA any more that a rekey replaced, or that is of a life before, as the capture inside
    the NAT shows it; infinity while it does. What is still answered after the last SA's end is for others to judge."""
    return min(reading.once(_replaced).get(sa, FOREVER), reading.once(_left_behind).get(sa, FOREVER))


def told_to_end(reading: Reading, side: Side) -> Mapping[Sa, float]:
    """For SAs of either direction, when a Delete of whoever receives on it went by on that side of the NAT."""
    return reading.once(_ended_inside if side is Side.INSIDE else _ended_outside)


def _replaced(reading: Reading) -> Mapping[Sa, float]:
    return _ended(reading, Side.INSIDE, replaced=True)


def _ended_inside(reading: Reading) -> Mapping[Sa, float]:
    return _ended(reading, Side.INSIDE)


def _ended_outside(reading: Reading) -> Mapping[Sa, float]:
    return _ended(reading, Side.OUTSIDE)


def _ended(reading: Reading, side: Side, *, replaced: bool = False) -> Mapping[Sa, float]:
    found: dict[Sa, float] = {}
    for o in reading.frames(side):
        spis, client = deleted(o, "esp"), reading.ike_owner(o)
        if not spis or client is None or (replaced and not reading.replaced(o)):
            continue
        up = reading.direction(o) == "up"
        if side is Side.INSIDE and reading.at_address(o.src if up else o.dst) != client:
            continue  # a Delete that went astray tells its client nothing
        own = reading.identities[client].spis_in if up else reading.identities[client].spis_out
        for spi in set(spis) & set(own):
            found.setdefault((client, spi), o.t)
    return found


def _left_behind(reading: Reading) -> Mapping[Sa, float]:
    found: dict[Sa, float] = {}
    for identity in reading.identities.values():
        for life, after in pairwise(identity.lives):
            if after.since is not None:
                found.update(((identity.client, spi), after.since) for spi in life.spis_in)
    return found
