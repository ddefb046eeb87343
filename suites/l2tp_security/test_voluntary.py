"""Clients that tunnel for themselves to an LNS whose group has a crypto profile."""

import pytest


@pytest.mark.behaviour("SEC-20")
@pytest.mark.plays("voluntary", on=["demux*"])
def test_a_client_comes_up_by_itself(judge):
    judge()


@pytest.mark.behaviour("SEC-21")
@pytest.mark.plays("voluntary-bare", on=["demux*"])
def test_esp_without_authentication_carries_nothing(judge):
    judge()


@pytest.mark.behaviour("SEC-22")
@pytest.mark.plays("voluntary", on=["demux*"])
def test_a_request_without_challenge_is_accepted(judge):
    judge()


@pytest.mark.behaviour("SEC-23")
@pytest.mark.plays("voluntary", on=["demux*"])
def test_the_session_outlives_its_sas(judge):
    judge()


@pytest.mark.behaviour("SEC-24")
@pytest.mark.plays("voluntary-volume", on=["demux*"])
def test_volume_ends_an_sa(judge):
    judge()


@pytest.mark.behaviour("SEC-25")
@pytest.mark.plays("voluntary", on=["demux*"])
def test_the_map_goes_before_the_global_life(judge):
    judge()


@pytest.mark.behaviour("SEC-26")
@pytest.mark.plays("voluntary", on=["demux*"])
def test_the_shorter_life_of_the_peer_counts(judge):
    judge()


@pytest.mark.behaviour("SEC-27")
@pytest.mark.plays("voluntary", on=["demux*"])
def test_nothing_is_left_after_the_tunnel(judge):
    judge()


@pytest.mark.behaviour("SEC-122")
@pytest.mark.plays("voluntary-pmtu", on=["demux*"])
def test_no_size_is_swallowed(judge):
    judge()
