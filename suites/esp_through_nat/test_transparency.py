"""UDP encapsulation and SPI matching of endpoints about a NAT, by `crypto ipsec nat-transparency`."""

import pytest


@pytest.mark.behaviour("ESN-30")
@pytest.mark.routers("esp-transparency")
def test_udp_encapsulation_is_the_default(judge):
    judge()


@pytest.mark.behaviour("ESN-31")
@pytest.mark.routers("esp-transparency")
def test_spi_matching_takes_the_place(judge):
    judge()


@pytest.mark.behaviour("ESN-32")
@pytest.mark.routers("esp-transparency")
def test_udp_encaps_takes_the_place_back(judge):
    judge()


@pytest.mark.behaviour("ESN-33")
@pytest.mark.routers("esp-transparency")
def test_never_both(judge):
    judge()


@pytest.mark.behaviour("ESN-34")
@pytest.mark.routers("esp-transparency")
def test_no_spi_matching(judge):
    judge()


@pytest.mark.behaviour("ESN-35")
@pytest.mark.routers("esp-transparency")
def test_no_udp_encaps(judge):
    judge()


@pytest.mark.behaviour("ESN-36")
@pytest.mark.routers("esp-transparency")
def test_both_off_in_the_stated_order(judge):
    judge()


@pytest.mark.behaviour("ESN-37")
@pytest.mark.routers("esp-transparency")
def test_both_off_in_reverse(judge):
    judge()


@pytest.mark.behaviour("ESN-38")
@pytest.mark.routers("esp-transparency-idle")
def test_both_off_fails_behind_a_nat(judge):
    judge()


@pytest.mark.behaviour("ESN-39")
@pytest.mark.routers("esp-transparency-releases")
def test_releases_of_the_keywords(judge):
    judge()


@pytest.mark.behaviour("ESN-40")
@pytest.mark.routers("esp-transparency-disagreeing")
def test_ends_that_disagree(judge):
    judge()


@pytest.mark.behaviour("ESN-41")
@pytest.mark.routers("esp-transparency")
def test_live_sas_when_it_changes(judge):
    judge()
