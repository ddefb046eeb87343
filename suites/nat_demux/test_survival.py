"""With demultiplexing every session survives its neighbours."""

import pytest


@pytest.mark.behaviour("DMX-07")
@pytest.mark.plays("pair", "together", on=["demux*"])
def test_everyone_survives_every_newcomer(judge):
    judge()


@pytest.mark.behaviour("DMX-25")
@pytest.mark.plays("pair", "together", on=["demux*"])
def test_every_payload_reaches_its_owner_only(judge):
    judge()


@pytest.mark.behaviour("DMX-29")
@pytest.mark.plays("alone", on=["demux*"])
def test_a_lone_client_works(judge):
    judge()


@pytest.mark.behaviour("DMX-74")
@pytest.mark.plays("together", on=["demux*"])
def test_everyone_comes_up_from_a_simultaneous_start(judge):
    judge()
