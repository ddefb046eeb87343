"""Confusion matrices of marked traffic: whose words arrived where, towards the far end and towards the clients.

At the far end a client is known by the PPP interface its packet came out of, where the capture tells it: that is the gateway's own
doing. The source address, which the sender itself wrote, must fit too; alone it shows whether the gateway confused words, but not
whether it let a client speak by another's link. `received_by` counts what the frames were judged by.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace

from harness.model import Identity, Observation, Side
from harness.verdict.pulse import carriers
from harness.verdict.reading import UNDER_WAY_S, UNTRACEABLE, Reading, mark_of

INTERFACE = "the gateway's PPP interface"
ADDRESS = "the source address, as its sender wrote it"
SA = "the SA and the inside address"
"""What tells a frame's receiver."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """`cells[owner][receiver]` counts frames; the last column is UNTRACEABLE, a receiver that is no client of the run. `strays` are
    the frames off the diagonal. `lost[owner]` counts marks that were sent this way and arrived nowhere; `unseen[owner]` those that
    must have arrived, since what followed from them was seen: the capture missed them."""

    towards: str
    cells: dict[str, dict[str, int]]
    strays: tuple[Observation, ...]
    lost: dict[str, int]
    unseen: dict[str, int]
    received_by: dict[str, int]

    @property
    def identity(self) -> bool:
        return not self.strays

    @property
    def carried(self) -> int:
        return sum(sum(row.values()) for row in self.cells.values())

    def facts(self) -> dict[str, object]:
        return {
            "towards": self.towards,
            "cells": self.cells,
            "lost": self.lost,
            "unseen": self.unseen,
            "strays": len(self.strays),
            "received_by": self.received_by,
        }


def towards_far_end(reading: Reading) -> Confusion:
    """Marks that came out of the tunnels (far end): the owner in the mark against whoever's link they came out of."""
    seen = []
    received_by = {INTERFACE: 0, ADDRESS: 0}
    for o in reading.frames(Side.FAR_END):
        mark = mark_of(o)
        if mark is not None and not reading.ppp_owners(o.dst):
            owner = reading.numbered(mark.owner)
            holders = _holders(reading, o)
            received_by[INTERFACE if holders else ADDRESS] += 1
            by_link = not holders or owner in holders
            receiver = _receiver(reading.ppp_owners(o.src) if by_link else holders, owner)
            seen.append((o, owner, receiver, (mark.sequence, mark.answer)))
    found = _matrix(reading, "the far end", seen, _sent(reading, carriers(reading, Side.INSIDE, "up")))
    return replace(found, unseen=_unseen(reading), received_by=received_by)


def towards_clients(reading: Reading) -> Confusion:
    """Marks as the gateway encrypted them (outside): the owner in the mark against the owner of the SA; and where the NAT handed
    them over (inside): against the owner of the address. A frame is a stray if either differs."""
    handed = {c.outside.frame: c.inside.dst for c in reading.crossings() if c.direction == "down"}
    seen = []
    for o in carriers(reading, Side.OUTSIDE, "down"):
        mark = mark_of(o)
        if mark is None:
            continue
        owner = reading.numbered(mark.owner)
        receiver = reading.flow_owner(o) or UNTRACEABLE
        if receiver == owner and o.frame in handed:
            receiver = reading.at_address(handed[o.frame]) or UNTRACEABLE
        seen.append((o, owner, receiver, (mark.sequence, mark.answer)))
    down = (o for o in reading.frames(Side.FAR_END) if reading.ppp_owners(o.dst))
    found = _matrix(reading, "the clients", seen, _sent(reading, down))
    return replace(found, received_by={SA: len(seen)})


def misdelivered(reading: Reading) -> dict[str, dict[str, int]]:
    """Of each client, how many frames with its words, marked or not, the gateway sent on another client's SA, by that client."""
    found: dict[str, dict[str, int]] = {}
    for o in carriers(reading, Side.OUTSIDE, "down"):
        owner, receiver = reading.content_owner(o), reading.flow_owner(o)
        if owner is not None and receiver is not None and owner != receiver:
            row = found.setdefault(owner, {})
            row[receiver] = row.get(receiver, 0) + 1
    return found


def _holders(reading: Reading, o: Observation) -> frozenset[str]:
    """The clients whose PPP link a far-end frame came out of, by the gateway's accounts next before and next after it; several
    where the interface was given out again between the two, none where the capture does not tell the interface."""
    interface = o.headers.get("interface")
    if interface is None:
        return frozenset()
    times, listed = reading.once(_listed)
    after = bisect_right(times, o.t)
    tunnels = {tunnel for links in listed[max(after - 1, 0) : after + 1] for tunnel in links.get(interface, ())}
    lives = reading.once(_lives_by_tunnel)
    return frozenset(life.client for tunnel in tunnels for life in lives.get(tunnel, ()) if _there(life, o.t))


def _listed(reading: Reading) -> tuple[list[float], list[dict[str, set[int]]]]:
    """The gateway's accounts by time: when each was given, and the tunnels that it lists by interface."""
    views = sorted(reading.evidence.gateway_views, key=lambda v: v.t)
    listed: list[dict[str, set[int]]] = []
    for view in views:
        links: dict[str, set[int]] = {}
        for s in view.sessions:
            if s.interface is not None:
                links.setdefault(s.interface, set()).add(s.tunnel_local)
        listed.append(links)
    return [view.t for view in views], listed


def _lives_by_tunnel(reading: Reading) -> dict[int, list[Identity]]:
    """By the gateway's tunnel ID whoever had it at some time: their numbers are given out again."""
    found: dict[int, list[Identity]] = {}
    for identity in reading.evidence.identities:
        for life in identity.lives or (identity,):
            if life.tunnel_gateway is not None:
                found.setdefault(life.tunnel_gateway, []).append(life)
    return found


def _there(life: Identity, t: float) -> bool:
    return (life.since is None or life.since <= t) and (life.until is None or t <= life.until + UNDER_WAY_S)


def _unseen(reading: Reading) -> dict[str, int]:
    """By client, the marks that must have passed the far end: an answer that the gateway sent, and the question to it."""
    missing = _sent(reading, carriers(reading, Side.OUTSIDE, "down"))
    for marks in missing.values():
        marks |= {(sequence, False) for sequence, _ in marks}
    there = _sent(reading, reading.frames(Side.FAR_END))
    return {c: len(missing.get(c, set()) - there.get(c, set())) for c in reading.clients}


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
    names = (*reading.clients, *(i.client for i in reading.evidence.elsewhere), UNTRACEABLE)
    cells = {owner: dict.fromkeys(names, 0) for owner in names}
    arrived: dict[str, set[tuple[int, bool]]] = {}
    strays = []
    for o, owner, receiver, sequence in seen:
        cells[owner][receiver] += 1
        arrived.setdefault(owner, set()).add(sequence)
        if owner != receiver or owner == UNTRACEABLE:
            strays.append(o)
    lost = {c: len(sent.get(c, set()) - arrived.get(c, set())) for c in reading.clients}
    return Confusion(towards, cells, tuple(strays), lost, dict.fromkeys(reading.clients, 0), {})
