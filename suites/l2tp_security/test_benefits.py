"""What the section "Benefits" of L2TP Security promises of a protected tunnel."""

from __future__ import annotations

import pytest


@pytest.mark.behaviour("SEC-130")
@pytest.mark.routers("l2tp-idle-call")
def test_nothing_to_be_read(judge):
    judge()


@pytest.mark.behaviour("SEC-131")
@pytest.mark.routers("l2tp-altered-esp")
def test_what_was_altered_is_dropped(judge):
    judge()


@pytest.mark.behaviour("SEC-132")
@pytest.mark.routers("l2tp-repeated-esp")
def test_what_is_old_is_dropped(judge):
    judge()


@pytest.mark.behaviour("SEC-133")
@pytest.mark.routers("l2tp-idle-call")
def test_control_and_data_are_protected(judge):
    judge()


@pytest.mark.behaviour("SEC-134")
@pytest.mark.routers("l2tp-cut-path")
def test_a_dead_peer_is_found_by_hello(judge):
    judge()


@pytest.mark.behaviour("SEC-136")
@pytest.mark.routers("l2tp-neighbours")
def test_routes_cross_the_tunnel(judge):
    judge()


@pytest.mark.behaviour("SEC-137")
@pytest.mark.routers("l2tp-interfaces")
def test_each_call_has_counters_of_its_own(judge):
    judge()
