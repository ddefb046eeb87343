"""The port by which a demultiplexing gateway's L2TP knows each client, and that it never shows on the wire."""

import pytest

DEMUX = ["demux*"]


@pytest.mark.behaviour("DMX-10")
@pytest.mark.plays("pair", on=DEMUX)
def test_first_client_gets_1024(judge):
    judge()


@pytest.mark.behaviour("DMX-11")
@pytest.mark.plays("pair", on=DEMUX)
def test_second_client_gets_1025(judge):
    judge()


@pytest.mark.behaviour("DMX-12")
@pytest.mark.plays("pair", "together", on=DEMUX)
def test_each_client_has_a_port_of_its_own(judge):
    judge()


@pytest.mark.behaviour("DMX-17")
@pytest.mark.plays("endings", on=DEMUX)
def test_ports_follow_the_order_of_arrival(judge):
    """In this scenario client 2 comes before client 1."""
    judge()


@pytest.mark.behaviour("DMX-20")
@pytest.mark.plays("pair", on=DEMUX)
def test_source_port_is_translated_inbound(judge):
    judge()


@pytest.mark.behaviour("DMX-21")
@pytest.mark.plays("pair", on=DEMUX)
def test_destination_port_is_translated_back_outbound(judge):
    judge()


@pytest.mark.behaviour("DMX-22")
@pytest.mark.plays("pair", on=DEMUX)
def test_destination_port_selects_the_sa(judge):
    judge()


@pytest.mark.behaviour("DMX-24")
@pytest.mark.plays("pair", "together", on=DEMUX)
def test_translated_ports_stay_inside_the_gateway(judge):
    judge()
