"""IKE preserve-port: port 500 on both sides of the NAT, for whom the access list permits."""

import pytest


@pytest.mark.behaviour("ESN-20")
@pytest.mark.routers("esp-preserve-port")
def test_regular_nat_changes_a_port(judge):
    judge()


@pytest.mark.behaviour("ESN-21")
@pytest.mark.routers("esp-preserve-port")
def test_port_500_on_both_sides(judge):
    judge()


@pytest.mark.behaviour("ESN-22")
@pytest.mark.routers("esp-preserve-port")
def test_two_clients_keep_500_and_live(judge):
    judge()


@pytest.mark.behaviour("ESN-23")
@pytest.mark.routers("esp-demanded-port")
def test_a_gateway_that_demands_500(judge):
    judge()


@pytest.mark.behaviour("ESN-25")
@pytest.mark.routers("esp-two-of-three")
def test_who_is_not_listed_has_its_port_changed(judge):
    judge()


@pytest.mark.behaviour("ESN-26")
@pytest.mark.routers("esp-prerequisites")
def test_what_is_missing_is_missed(judge):
    judge()


@pytest.mark.behaviour("ESN-27")
@pytest.mark.routers("esp-preserve-port")
def test_no_form_switches_it_off(judge):
    judge()
