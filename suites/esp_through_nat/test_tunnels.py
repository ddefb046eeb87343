"""Tunnels through a NAT that knows ESP."""

import pytest


@pytest.mark.behaviour("ESN-03")
@pytest.mark.routers("esp-three-tunnels")
def test_several_tunnels_are_up_together(judge):
    judge()


@pytest.mark.behaviour("ESN-04")
@pytest.mark.routers("esp-three-tunnels")
def test_esp_goes_without_udp(judge):
    judge()
