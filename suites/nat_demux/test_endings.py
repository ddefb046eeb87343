"""How one client's session ends, and that nobody else's does. Timers are scaled; the run prints by how much."""

import pytest

DEMUX = ["demux*"]


@pytest.mark.behaviour("DMX-40")
@pytest.mark.plays("endings", on=DEMUX)
def test_deleting_one_clients_sas_ends_that_client_only(judge):
    judge()


@pytest.mark.behaviour("DMX-43")
@pytest.mark.plays("endings", on=DEMUX)
def test_gateway_closes_one_client_only(judge):
    judge()


@pytest.mark.behaviour("DMX-44")
@pytest.mark.plays("endings", on=DEMUX)
def test_client_closes_itself_only(judge):
    judge()


@pytest.mark.behaviour("DMX-45")
@pytest.mark.plays("endings", on=DEMUX)
def test_a_lost_client_is_cleared_away(judge):
    judge()
