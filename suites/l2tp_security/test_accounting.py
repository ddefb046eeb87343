"""Users whom RADIUS judges and counts, and IPsec sessions that are counted too."""

import pytest


@pytest.mark.behaviour("SEC-85")
@pytest.mark.routers("l2tp-accounting")
def test_ipsec_sessions_are_counted_by_the_maps_list(judge):
    judge()


@pytest.mark.behaviour("SEC-135")
@pytest.mark.routers("l2tp-accounting")
def test_users_are_judged_and_counted_by_radius(judge):
    judge()
