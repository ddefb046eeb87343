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


@pytest.mark.behaviour("NTT-02")
@pytest.mark.plays("no-natt", on=["demux"])
def test_nat_d_only_if_both_announce(judge):
    judge()


@pytest.mark.behaviour("NTT-09")
@pytest.mark.plays("no-nat", on=["plain"])
def test_without_a_nat_nothing_floats(judge):
    judge()
