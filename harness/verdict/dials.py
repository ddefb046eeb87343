"""A client's lives: from one moment at which it dials to the next, and the frames inside the NAT that are its own in one of them.

When a client dials is the scenario's doing and stands in its records (STARTED), or, in captures taken elsewhere, shows by the main
mode and the tunnel with which a life begins; what became of it is read off the wire. A client
that returned still gets what the gateway has to say to the life before: that is known by its SA, and left out.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from harness.model import Observation, Record, RecordKind, Side
from harness.verdict.reading import Reading, ike, spi_of

FOREVER = float("inf")
STAMP_GRAIN_S = 0.001
"""A client may note that it started this long after the capture has its first datagram, or before."""

T = TypeVar("T", Observation, Record)


@dataclass(frozen=True, slots=True)
class Dial:
    """One life of `client`, counted from 1: `began` <= t < `until`. The first began before anything, the last never ends."""

    client: str
    number: int
    began: float
    until: float

    def holds(self, t: float) -> bool:
        return self.began <= t < self.until

    def part(self, rows: Sequence[T]) -> Sequence[T]:
        """What of `rows`, which are in the order of time, falls into this life."""
        if self.began == -FOREVER and self.until == FOREVER:
            return rows
        return rows[bisect_left(rows, self.began, key=_time) : bisect_left(rows, self.until, key=_time)]


def _time(row: Observation | Record) -> float:
    return row.t


def dials(reading: Reading, client: str) -> tuple[Dial, ...]:
    """Every life of a client, oldest first; one, of all time, where it dialled once or never."""
    if reading.evidence.accounts:
        started = [r.t for r in reading.records(client, RecordKind.STARTED)]
    else:
        identity = reading.identities.get(client)
        started = [life.since for life in identity.lives if life.since is not None] if identity is not None else []
    again = [t - STAMP_GRAIN_S for t in started[1:]]
    edges = [-FOREVER, *again, FOREVER]
    return tuple(Dial(client, n, a, b) for n, (a, b) in enumerate(pairwise(edges), 1))


def latest(reading: Reading, client: str) -> Dial:
    return dials(reading, client)[-1]


def own_frames(reading: Reading, dial: Dial) -> Sequence[Observation]:
    """The frames inside the NAT, by time, that bear the client's address, are of its own SA or main mode, and carry no other
    client's words; none of them of an SA of a life before."""
    frames = dial.part(reading.once(_own_frames).get(dial.client, ()))
    before = left_behind(reading, dial)
    return [o for o in frames if (spi_of(o) or ike(o, "icookie")) not in before] if before else frames


def records_in(reading: Reading, dial: Dial, kind: RecordKind) -> Sequence[Record]:
    return dial.part(reading.records(dial.client, kind))


def _own_frames(reading: Reading) -> Mapping[str, Sequence[Observation]]:
    found: dict[str, list[Observation]] = {client: [] for client in reading.clients}
    for o in reading.frames(Side.INSIDE):
        direction = reading.direction(o)
        client = None if direction is None else reading.at_address(o.src if direction == "up" else o.dst)
        if client is None or reading.flow_owner(o) != client:
            continue
        if direction == "down" and reading.content_owner(o) not in (None, client):
            continue  # somebody else's words, delivered here by mistake
        found[client].append(o)
    return found


def left_behind(reading: Reading, dial: Dial) -> frozenset[str]:
    """Cookies and SPIs of the lives before this one."""
    identity = reading.identities.get(dial.client)
    if identity is None or dial.number == 1:
        return frozenset()
    before = [life for life in identity.lives if life.since is not None and life.since < dial.began]
    return frozenset(name for life in before for name in (*(c for c, _ in life.cookies), *life.spis_in, *life.spis_out))
