"""Who comes and goes when: the plan is the seed's, makes sense for each client, and keeps to the habits."""

from __future__ import annotations

from itertools import pairwise
from statistics import mean

from harness.scenario.churn import Habits, Move, Turn, plan

NAMES = tuple(f"c{number}" for number in range(1, 101))
DAY_S = 86_400.0


def of(moves: tuple[Move, ...], client: str) -> list[Move]:
    return [move for move in moves if move.client == client]


def test_each_client_joins_and_leaves_in_turn_with_time_between() -> None:
    habits = Habits(least_stay_s=60, least_away_s=90)
    moves = plan(NAMES, DAY_S, 1, habits)
    assert list(moves) == sorted(moves, key=lambda move: (move.at, move.client))
    for name in NAMES:
        own = of(moves, name)
        assert own[0].turn is Turn.JOIN
        for first, second in pairwise(own):
            assert (first.turn is Turn.JOIN) is not (second.turn is Turn.JOIN)
            assert second.at - first.at >= (60 if first.turn is Turn.JOIN else 90)
        assert own[0].at >= 0
        assert own[-1].at < DAY_S
        assert all(move.at < DAY_S - 60 for move in own if move.turn is Turn.JOIN)


def test_the_same_seed_draws_the_same_and_one_client_more_changes_nothing_for_the_others() -> None:
    moves = plan(NAMES, 3600, 7, Habits())
    assert moves == plan(NAMES, 3600, 7, Habits())
    assert moves != plan(NAMES, 3600, 8, Habits())
    assert tuple(move for move in plan((*NAMES, "c101"), 3600, 7, Habits()) if move.client != "c101") == moves


def test_a_day_keeps_to_the_habits() -> None:
    habits = Habits(stay_s=1800, away_s=600, vanishing=0.2)
    moves = plan(NAMES, DAY_S, 3, habits)
    stays, turns = [], []
    for name in NAMES:
        for first, second in pairwise(of(moves, name)):
            if first.turn is Turn.JOIN:
                stays.append(second.at - first.at - habits.least_stay_s)
                turns.append(second.turn)
    assert len(stays) > 2000
    assert 0.9 < mean(stays) / habits.stay_s < 1.1
    assert 0.16 < turns.count(Turn.VANISH) / len(turns) < 0.24
