"""From MM5 on everything is on UDP 4500, through one mapping a client (RFC 3947, RFC 3948)."""

import pytest


@pytest.mark.behaviour("NTT-05")
@pytest.mark.plays("pair")
def test_main_mode_floats_at_mm5(judge):
    judge()


@pytest.mark.behaviour("NTT-06")
@pytest.mark.plays("pair")
def test_floated_ike_has_its_marker(judge):
    judge()


@pytest.mark.behaviour("NTT-07")
@pytest.mark.plays("pair")
def test_one_mapping_carries_ike_and_esp(judge):
    judge()


@pytest.mark.behaviour("NTT-08")
@pytest.mark.plays("alone", on=["demux*"])
def test_keepalives_come_from_behind_the_nat_only(judge):
    judge()


@pytest.mark.behaviour("NTT-25")
@pytest.mark.plays("pair")
def test_quick_mode_sa_exists_on_both_peers(judge):
    judge()


@pytest.mark.behaviour("NTT-05")
@pytest.mark.plays("rekey", on=["demux"])
def test_a_renewed_main_mode_stays_afloat(judge):
    judge()
