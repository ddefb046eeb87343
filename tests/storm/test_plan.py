"""Who comes and goes when: the plan is the seed's, makes sense for each client, and keeps to the habits."""

from __future__ import annotations

from itertools import pairwise
from statistics import mean

from harness.storm.plan import Habits, Move, Turn, churn, departure, storm
from harness.storm.shape import Kind, Shape

NAMES = tuple(f"c{number}" for number in range(1, 101))
DAY_S = 86_400.0


def of(moves: tuple[Move, ...], client: str) -> list[Move]:
    return [move for move in moves if move.client == client]


def test_each_client_joins_and_leaves_in_turn_with_time_between() -> None:
    habits = Habits(least_stay_s=60, least_away_s=90)
    moves = churn(NAMES, DAY_S, 1, habits)
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
    moves = churn(NAMES, 3600, 7, Habits())
    assert moves == churn(NAMES, 3600, 7, Habits())
    assert moves != churn(NAMES, 3600, 8, Habits())
    assert tuple(move for move in churn((*NAMES, "c101"), 3600, 7, Habits()) if move.client != "c101") == moves


def test_a_day_keeps_to_the_habits() -> None:
    habits = Habits(stay_s=1800, away_s=600, vanishing=0.2)
    moves = churn(NAMES, DAY_S, 3, habits)
    stays, turns = [], []
    for name in NAMES:
        for first, second in pairwise(of(moves, name)):
            if first.turn is Turn.JOIN:
                stays.append(second.at - first.at - habits.least_stay_s)
                turns.append(second.turn)
    assert len(stays) > 2000
    assert 0.9 < mean(stays) / habits.stay_s < 1.1
    assert 0.16 < turns.count(Turn.VANISH) / len(turns) < 0.24


def test_in_a_storm_everybody_comes_once_in_order_and_stays() -> None:
    moves = storm(NAMES, Shape(rate=20))
    assert [move.client for move in moves] == list(NAMES)
    assert {move.turn for move in moves} == {Turn.JOIN}
    assert [move.at for move in moves] == [number / 20 for number in range(100)]


def test_whoever_stays_for_a_while_leaves_so_long_after_it_came() -> None:
    moves = storm(NAMES[:4], Shape(rate=2), stay_s=1.25)
    assert [(move.at, move.client, move.turn.value) for move in moves] == [
        (0.0, "c1", "join"),
        (0.5, "c2", "join"),
        (1.0, "c3", "join"),
        (1.25, "c1", "leave"),
        (1.5, "c4", "join"),
        (1.75, "c2", "leave"),
        (2.25, "c3", "leave"),
        (2.75, "c4", "leave"),
    ]


def test_a_departure_is_a_storm_of_leaving() -> None:
    moves = departure(NAMES[:3], Shape(Kind.BURST))
    assert [(move.at, move.client, move.turn) for move in moves] == [(0.0, name, Turn.LEAVE) for name in NAMES[:3]]
