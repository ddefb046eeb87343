"""Both ends find out about the NAT (RFC 3947)."""

import pytest


@pytest.mark.behaviour("NTT-01")
@pytest.mark.plays("pair")
def test_both_announce_nat_traversal(judge):
    judge()


@pytest.mark.behaviour("NTT-03")
@pytest.mark.plays("pair")
def test_nat_d_shows_the_nat(judge):
    judge()


@pytest.mark.behaviour("NTT-04")
@pytest.mark.plays("pair")
def test_both_know_of_the_nat_after_mm4(judge):
    judge()
