"""SAs are replaced beneath sessions, and nothing above them changes."""

import pytest


@pytest.mark.behaviour("DMX-14")
@pytest.mark.plays("rekey", on=["demux"])
def test_a_quick_mode_rekey_keeps_port_tunnel_and_address(judge):
    judge()


@pytest.mark.behaviour("DMX-15")
@pytest.mark.plays("rekey", on=["demux"])
def test_a_main_mode_rekey_keeps_the_port(judge):
    judge()


@pytest.mark.behaviour("DMX-16")
@pytest.mark.plays("rekey", on=["demux"])
def test_old_and_new_sa_share_the_port_and_nothing_is_lost(judge):
    judge()


@pytest.mark.behaviour("DMX-78")
@pytest.mark.plays("rekey-storm", on=["demux"])
def test_all_survive_a_rekey_of_all(judge):
    judge()
