"""What routers tell and count of a tunnel, held against the wire."""

from __future__ import annotations

import pytest


@pytest.mark.behaviour("SEC-90")
@pytest.mark.routers("l2tp-debug")
def test_socket_is_opened_then_bound(judge):
    judge()


@pytest.mark.behaviour("SEC-91")
@pytest.mark.routers("l2tp-debug")
def test_events_in_order(judge):
    judge()


@pytest.mark.behaviour("SEC-92")
@pytest.mark.routers("l2tp-debug")
def test_socket_becomes_active(judge):
    judge()


@pytest.mark.behaviour("SEC-93")
@pytest.mark.routers("l2tp-debug")
def test_answer_is_an_sccrp(judge):
    judge()


@pytest.mark.behaviour("SEC-94")
@pytest.mark.routers("l2tp-unacknowledged")
def test_repeated_after_a_second(judge):
    judge()


@pytest.mark.behaviour("SEC-95")
@pytest.mark.routers("l2tp-debug")
def test_set_up_time(judge):
    judge()


@pytest.mark.behaviour("SEC-96")
@pytest.mark.routers("l2tp-engine")
def test_engine_shows_each_connection(judge):
    judge()


@pytest.mark.behaviour("SEC-97")
@pytest.mark.routers("l2tp-engine")
def test_counters_move_with_traffic(judge):
    judge()


@pytest.mark.behaviour("SEC-98")
@pytest.mark.routers("l2tp-engine")
def test_one_direction_a_row(judge):
    judge()


@pytest.mark.behaviour("SEC-99")
@pytest.mark.routers("l2tp-two-lns")
def test_rows_scale(judge):
    judge()
