"""What a real Linux client, the gateway and the wire say of its SAs is the same."""

import pytest

REAL = ("real-alone", "real-beside")
DEMUX = ["demux*"]


@pytest.mark.behaviour("NTT-22")
@pytest.mark.plays(*REAL, on=DEMUX)
def test_a_real_clients_cookies_match(judge):
    judge()


@pytest.mark.behaviour("NTT-23")
@pytest.mark.plays(*REAL, on=DEMUX)
def test_a_real_clients_sockets_match(judge):
    judge()


@pytest.mark.behaviour("NTT-24")
@pytest.mark.plays(*REAL, on=DEMUX)
def test_address_and_port_find_a_real_clients_sa(judge):
    judge()


@pytest.mark.behaviour("NTT-25")
@pytest.mark.plays(*REAL, on=DEMUX)
def test_a_real_clients_sa_carries_traffic(judge):
    judge()


@pytest.mark.behaviour("NTT-27")
@pytest.mark.plays(*REAL, on=DEMUX)
def test_nothing_of_a_real_client_goes_in_clear(judge):
    judge()


@pytest.mark.behaviour("NTT-28")
@pytest.mark.plays("real-beside", on=DEMUX)
def test_real_and_simulated_clients_live_together(judge):
    judge()
