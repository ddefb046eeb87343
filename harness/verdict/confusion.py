"""Confusion matrices of marked traffic: whose words arrived where, towards the far end and towards the clients."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.model import FrameKind, Observation, Side
from harness.verdict.reading import UNTRACEABLE, Reading, mark_of


@dataclass(frozen=True, slots=True)
class Confusion:
    """`cells[owner][receiver]` counts frames; the last column is UNTRACEABLE, a receiver that is no client of the run. `strays` are
    the frames off the diagonal. `lost[owner]` counts marks that were sent this way and arrived nowhere."""

    towards: str
    cells: dict[str, dict[str, int]]
    strays: tuple[Observation, ...]
    lost: dict[str, int]

    @property
    def identity(self) -> bool:
        return not self.strays

    @property
    def carried(self) -> int:
        return sum(sum(row.values()) for row in self.cells.values())

    def facts(self) -> dict[str, object]:
        return {"towards": self.towards, "cells": self.cells, "lost": self.lost, "strays": len(self.strays)}


def towards_far_end(reading: Reading) -> Confusion:
    """Marks that came out of the tunnels (far end): the owner in the mark against the owner of the PPP source address."""
    seen = []
    for o in reading.frames(Side.FAR_END):
        mark = mark_of(o)
        if mark is not None and not reading.ppp_owners(o.dst):
            owner = reading.numbered(mark.owner)
            seen.append((o, owner, _receiver(reading.ppp_owners(o.src), owner), (mark.sequence, mark.answer)))
    return _matrix(reading, "the far end", seen, _sent(reading, reading.way(Side.INSIDE, "up", FrameKind.ESP)))


def towards_clients(reading: Reading) -> Confusion:
    """Marks as the gateway encrypted them (outside): the owner in the mark against the owner of the SA; and where the NAT handed
    them over (inside): against the owner of the address. A frame is a stray if either differs."""
    handed = {c.outside.frame: c.inside.dst for c in reading.crossings() if c.direction == "down"}
    seen = []
    for o in reading.way(Side.OUTSIDE, "down", FrameKind.ESP):
        mark = mark_of(o)
        if mark is None:
            continue
        owner = reading.numbered(mark.owner)
        receiver = reading.sa_owner(o) or UNTRACEABLE
        if receiver == owner and o.frame in handed:
            receiver = reading.at_address(handed[o.frame]) or UNTRACEABLE
        seen.append((o, owner, receiver, (mark.sequence, mark.answer)))
    down = (o for o in reading.frames(Side.FAR_END) if reading.ppp_owners(o.dst))
    return _matrix(reading, "the clients", seen, _sent(reading, down))


def _receiver(candidates: frozenset[str], owner: str) -> str:
    """The owner, if the address is (also) the owner's: an address may be given out again after its first holder left."""
    return owner if owner in candidates else min(candidates, default=UNTRACEABLE)


def _sent(reading: Reading, frames: Iterable[Observation]) -> dict[str, set[tuple[int, bool]]]:
    found: dict[str, set[tuple[int, bool]]] = {}
    for o in frames:
        mark = mark_of(o)
        if mark is not None:
            found.setdefault(reading.numbered(mark.owner), set()).add((mark.sequence, mark.answer))
    return found


def _matrix(
    reading: Reading,
    towards: str,
    seen: list[tuple[Observation, str, str, tuple[int, bool]]],
    sent: dict[str, set[tuple[int, bool]]],
) -> Confusion:
    names = (*reading.clients, UNTRACEABLE)
    cells = {owner: dict.fromkeys(names, 0) for owner in names}
    arrived: dict[str, set[tuple[int, bool]]] = {}
    strays = []
    for o, owner, receiver, sequence in seen:
        cells[owner][receiver] += 1
        arrived.setdefault(owner, set()).add(sequence)
        if owner != receiver or owner == UNTRACEABLE:
            strays.append(o)
    lost = {c: len(sent.get(c, set()) - arrived.get(c, set())) for c in reading.clients}
    return Confusion(towards, cells, tuple(strays), lost)
