"""Who comes and who leaves when, drawn before the first client dials. Pure: the same arguments, the same plan."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.storm.shape import Shape


class Turn(StrEnum):
    JOIN = "join"
    LEAVE = "leave"  # as Windows hangs up
    VANISH = "vanish"  # without a word


@dataclass(frozen=True, slots=True)
class Move:
    """At `at` seconds from the beginning `client` takes that turn."""

    at: float
    client: str
    turn: Turn


Plan = tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class Habits:
    """How long clients stay and keep away, in seconds: exponentially distributed around the means, but never less than the least.
    `vanishing` is the share of stays that end without a word."""

    stay_s: float = 3600.0
    away_s: float = 900.0
    least_stay_s: float = 60.0
    least_away_s: float = 60.0
    vanishing: float = 0.1


def storm(clients: Sequence[str], shape: Shape, stay_s: float | None = None) -> Plan:
    """Everybody comes once, in the order given, and stays; or leaves `stay_s` seconds after it came."""
    joins = [Move(at, client, Turn.JOIN) for client, at in zip(clients, shape.times(len(clients)), strict=True)]
    leaves = [] if stay_s is None else [Move(move.at + stay_s, move.client, Turn.LEAVE) for move in joins]
    return tuple(sorted((*joins, *leaves), key=lambda move: move.at))


def departure(clients: Sequence[str], shape: Shape) -> Plan:
    """Everybody leaves once, in the order given."""
    return tuple(Move(at, client, Turn.LEAVE) for client, at in zip(clients, shape.times(len(clients)), strict=True))


def churn(clients: Iterable[str], seconds: float, seed: int, habits: Habits) -> Plan:
    """Everybody's moves in `seconds`, in order. They begin away, each for a different time; nobody joins in the last minute, and
    whoever is there at the end stays."""
    moves = []
    for client in clients:
        chance = random.Random(f"{seed} {client}")  # everybody's own: one client more changes nothing for the others
        at = chance.uniform(0.0, habits.away_s)
        while at < seconds - habits.least_stay_s:
            moves.append(Move(at, client, Turn.JOIN))
            at += habits.least_stay_s + chance.expovariate(1.0 / habits.stay_s)
            if at >= seconds:
                break
            moves.append(Move(at, client, Turn.VANISH if chance.random() < habits.vanishing else Turn.LEAVE))
            at += habits.least_away_s + chance.expovariate(1.0 / habits.away_s)
    return tuple(sorted(moves, key=lambda move: (move.at, move.client)))
