"""Take away the NAT, or IPsec, and every gateway keeps all its clients: the fault needs both."""

import pytest


@pytest.mark.behaviour("DMX-05")
@pytest.mark.plays("clear", on=["clear"])
def test_without_ipsec_all_stay_up(judge):
    judge()


@pytest.mark.behaviour("DMX-06")
@pytest.mark.plays("no-nat", on=["plain"])
def test_without_a_nat_all_stay_up(judge):
    judge()
