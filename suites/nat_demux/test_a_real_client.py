"""A real Linux client (strongSwan, xl2tpd, pppd in a guest) has what the simulated ones have, alone and beside them.

Nothing of the harness's own protocol cores takes part on its side. It needs what a Linux gateway needs of this machine, and is
played
where all scenarios are (--all-variants, --variant).
"""

import pytest

DEMUX = ["demux*"]


@pytest.mark.behaviour("DMX-01")
@pytest.mark.plays("real-newcomer", on=["plain"])
def test_a_real_newcomer_kills_and_takes_over(judge):
    judge(newcomer_up=True)


@pytest.mark.behaviour("DMX-07")
@pytest.mark.plays("real-beside", on=DEMUX)
def test_clients_survive_a_real_newcomer(judge):
    judge()


@pytest.mark.behaviour("DMX-10")
@pytest.mark.plays("real-alone", on=DEMUX)
def test_a_real_first_client_gets_1024(judge):
    judge()


@pytest.mark.behaviour("DMX-14")
@pytest.mark.plays("real-alone", on=DEMUX)
def test_a_real_clients_phase_2_rekey_keeps_everything(judge):
    judge()


@pytest.mark.behaviour("DMX-15")
@pytest.mark.plays("real-alone", on=DEMUX)
def test_a_real_clients_phase_1_rekey_keeps_the_port(judge):
    judge()


@pytest.mark.behaviour("DMX-16")
@pytest.mark.plays("real-alone", on=DEMUX)
def test_a_real_clients_old_and_new_sa_share_the_port(judge):
    judge()


@pytest.mark.behaviour("DMX-19")
@pytest.mark.plays("real-beside", on=DEMUX)
def test_a_real_client_returns_to_nobody_elses_port(judge):
    judge()


@pytest.mark.behaviour("DMX-22")
@pytest.mark.plays("real-beside", on=DEMUX)
def test_destination_port_selects_a_real_clients_sa(judge):
    judge()


@pytest.mark.behaviour("DMX-24")
@pytest.mark.plays("real-alone", "real-beside", on=DEMUX)
def test_a_real_client_never_sees_the_translated_port(judge):
    judge()


@pytest.mark.behaviour("DMX-25")
@pytest.mark.plays("real-beside", on=DEMUX)
def test_no_payload_crosses_to_or_from_a_real_client(judge):
    judge()
