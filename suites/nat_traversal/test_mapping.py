"""What the NAT changes in each packet, and that it changes nothing else."""

import pytest


@pytest.mark.behaviour("NTT-10")
@pytest.mark.plays("pair")
def test_port_500_is_translated(judge):
    judge()


@pytest.mark.behaviour("NTT-12")
@pytest.mark.plays("pair")
def test_port_4500_is_translated(judge):
    judge()


@pytest.mark.behaviour("NTT-13")
@pytest.mark.plays("pair")
def test_mappings_differ(judge):
    judge()


@pytest.mark.behaviour("NTT-14")
@pytest.mark.plays("pair")
def test_payload_crosses_untouched_outbound(judge):
    judge()


@pytest.mark.behaviour("NTT-15")
@pytest.mark.plays("pair")
def test_payload_crosses_untouched_inbound(judge):
    judge()


@pytest.mark.behaviour("NTT-16")
@pytest.mark.plays("pair")
def test_nothing_else_changes(judge):
    judge()


@pytest.mark.behaviour("NTT-17")
@pytest.mark.plays("pair")
def test_gateway_end_is_unchanged(judge):
    judge()


@pytest.mark.behaviour("NTT-18")
@pytest.mark.plays("pair")
def test_housekeeping_keeps_the_clients_apart(judge):
    judge()


@pytest.mark.behaviour("NTT-27")
@pytest.mark.plays("alone", "pair", "order", "together", "endings")
def test_nothing_crosses_in_clear(judge):
    judge()
