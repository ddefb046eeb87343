"""What client and gateway agree behind a NAT, and what the NAT does to it: the same on every gateway variant."""

import pytest


@pytest.mark.behaviour("DMX-30")
@pytest.mark.plays("pair")
def test_both_ends_recognise_the_nat(judge):
    judge()


@pytest.mark.behaviour("DMX-31")
@pytest.mark.plays("pair")
def test_transport_mode_in_udp_is_requested(judge):
    judge()


@pytest.mark.behaviour("DMX-32")
@pytest.mark.plays("pair")
def test_proxies_are_the_inside_address_and_the_gateway(judge):
    judge()


@pytest.mark.behaviour("DMX-33")
@pytest.mark.plays("pair")
def test_outside_source_is_the_nat(judge):
    judge()


@pytest.mark.behaviour("DMX-34")
@pytest.mark.plays("pair")
def test_inner_port_crosses_the_nat_unchanged(judge):
    judge()


@pytest.mark.behaviour("DMX-35")
@pytest.mark.plays("pair")
def test_inner_checksum_is_that_of_the_inside_address(judge):
    judge()
