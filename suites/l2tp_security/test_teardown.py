"""What becomes of IPsec's SAs when an L2TP tunnel has ended, with keep-sa and without."""

from __future__ import annotations

import pytest


@pytest.mark.behaviour("SEC-38")
@pytest.mark.routers("l2tp-teardown")
def test_both_phases_go(judge):
    judge()


@pytest.mark.behaviour("SEC-39")
@pytest.mark.routers("l2tp-keep-sa")
def test_phase_1_is_kept(judge):
    judge()


@pytest.mark.behaviour("SEC-40")
@pytest.mark.routers("l2tp-keep-sa")
def test_quick_mode_is_enough(judge):
    judge()


@pytest.mark.behaviour("SEC-41")
@pytest.mark.routers("l2tp-keep-sa-one-side")
def test_one_side_keeps(judge):
    judge()


@pytest.mark.behaviour("SEC-42")
@pytest.mark.routers("l2tp-keep-sa-visitors")
def test_kept_phase_1s_pile_up(judge):
    judge()


@pytest.mark.behaviour("SEC-43")
@pytest.mark.routers("l2tp-keep-sa-moved")
def test_stale_phase_1_blocks_nothing(judge):
    judge()


@pytest.mark.behaviour("SEC-44")
@pytest.mark.routers("l2tp-keep-sa-life")
def test_kept_phase_1_ends_at_its_life(judge):
    judge()
