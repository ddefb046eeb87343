"""Tunnels through a NAT: one for each address, one for many, and SPI matching."""

import pytest


@pytest.mark.behaviour("ESN-01")
@pytest.mark.routers("esp-plain-nat")
def test_plain_nat_needs_no_support(judge):
    judge()


@pytest.mark.behaviour("ESN-02")
@pytest.mark.routers("esp-nothing-then-nat")
def test_one_tunnel_with_the_feature_off(judge):
    judge()


@pytest.mark.behaviour("ESN-03")
@pytest.mark.routers("esp-three-tunnels")
def test_several_tunnels_are_up_together(judge):
    judge()


@pytest.mark.behaviour("ESN-04")
@pytest.mark.routers("esp-three-tunnels")
def test_esp_goes_without_udp(judge):
    judge()


@pytest.mark.behaviour("ESN-05")
@pytest.mark.routers("esp-three-tunnels")
def test_tunnels_are_in_tunnel_mode(judge):
    judge()


@pytest.mark.behaviour("ESN-06")
@pytest.mark.routers("esp-prerequisites")
def test_an_older_end_has_no_use_of_it(judge):
    judge()


@pytest.mark.behaviour("ESN-07")
@pytest.mark.routers("esp-nothing-then-nat")
def test_an_entry_waits_for_the_reply(judge):
    judge()


@pytest.mark.behaviour("ESN-08")
@pytest.mark.routers("esp-endpoints-then-nat")
def test_matched_entries_are_there_at_once(judge):
    judge()


@pytest.mark.behaviour("ESN-09")
@pytest.mark.routers("esp-two-of-three")
def test_who_is_not_listed_waits(judge):
    judge()


@pytest.mark.behaviour("ESN-10")
@pytest.mark.routers("esp-nothing-then-nat")
def test_the_nat_alone_gains_nothing(judge):
    judge()


@pytest.mark.behaviour("ESN-11")
@pytest.mark.routers("esp-endpoints-then-nat")
def test_endpoints_alone_gain_nothing(judge):
    judge()


@pytest.mark.behaviour("ESN-12")
@pytest.mark.routers("esp-endpoints-then-nat")
def test_set_up_in_parallel(judge):
    judge()


@pytest.mark.behaviour("ESN-13")
@pytest.mark.routers("esp-every-pair")
def test_every_pair_is_mapped_right(judge):
    judge()


@pytest.mark.behaviour("ESN-14")
@pytest.mark.routers("esp-every-pair")
def test_spis_can_be_told_in_advance(judge):
    judge()


@pytest.mark.behaviour("ESN-15")
@pytest.mark.routers("esp-rekeys")
def test_rekeys_are_followed(judge):
    judge()


@pytest.mark.behaviour("ESN-16")
@pytest.mark.routers("esp-clash", "esp-clash-unmatched")
def test_a_clash_harms_nobody(judge):
    judge()
