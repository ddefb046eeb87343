"""What both ends list of their SAs, and that each can be found by what the NAT made of it."""

import pytest


@pytest.mark.behaviour("NTT-22")
@pytest.mark.plays("pair", "together", on=["demux*"])
def test_main_mode_sas_match_by_cookies(judge):
    judge()


@pytest.mark.behaviour("NTT-23")
@pytest.mark.plays("pair", "together", on=["demux*"])
def test_the_main_mode_sa_shows_the_sockets(judge):
    judge()


@pytest.mark.behaviour("NTT-24")
@pytest.mark.plays("pair", "together", on=["demux*"])
def test_a_socket_finds_one_quick_mode_sa(judge):
    judge()


@pytest.mark.behaviour("NTT-26")
@pytest.mark.plays("together", on=["demux*"])
def test_the_correlator_is_unambiguous(judge):
    judge()


@pytest.mark.behaviour("NTT-26")
@pytest.mark.plays("crowd", on=["demux"])
def test_a_thousand_sas_are_told_apart(judge):
    judge(at_least=1000)


@pytest.mark.behaviour("NTT-29")
@pytest.mark.plays("pair", "together")
def test_the_traces_align(judge):
    judge()


@pytest.mark.behaviour("NTT-32")
@pytest.mark.plays("pair", "together", on=["demux*"])
def test_the_gateways_monitor_counts_every_client(judge):
    judge()


@pytest.mark.behaviour("NTT-34")
@pytest.mark.plays("idle", on=["demux"])
def test_renewals_while_idle(judge):
    judge()
