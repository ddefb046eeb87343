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


@pytest.mark.behaviour("DMX-13")
@pytest.mark.plays("pair", "rekey", on=["demux"])
def test_the_port_is_there_before_l2tp_hears_of_the_client(judge):
    judge()


@pytest.mark.behaviour("DMX-18")
@pytest.mark.plays("return", on=["demux"])
def test_a_freed_port_is_nobodys_who_lives(judge):
    judge()


@pytest.mark.behaviour("DMX-19")
@pytest.mark.plays("return", on=["demux"])
def test_a_returning_client_takes_nobodys_port(judge):
    judge()


@pytest.mark.behaviour("DMX-23")
@pytest.mark.plays("pair", "rekey", on=["demux"])
def test_the_port_is_translated_back_before_encryption(judge):
    judge()


@pytest.mark.behaviour("DMX-26")
@pytest.mark.plays("floating-port", on=["demux"])
def test_a_clients_own_port_1024_does_not_clash(judge):
    judge()


@pytest.mark.behaviour("DMX-77")
@pytest.mark.plays("port-space", on=["demux"])
def test_one_client_more_than_there_are_ports_is_refused(judge):
    judge(last=1027)
