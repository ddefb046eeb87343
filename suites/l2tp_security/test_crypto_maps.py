"""What the reference of `crypto map` says of entries: which has a packet, what is negotiated for it, and how they are edited."""

import pytest


@pytest.mark.behaviour("SEC-24")
@pytest.mark.routers("map-volume")
def test_volume_ends_the_sas_of_an_entry(judge):
    judge()


@pytest.mark.behaviour("SEC-70")
@pytest.mark.routers("map-by-number")
def test_the_lowest_number_wins(judge):
    judge()


@pytest.mark.behaviour("SEC-71")
@pytest.mark.routers("map-by-number")
def test_what_does_not_match_falls_through(judge):
    judge()


@pytest.mark.behaviour("SEC-72")
@pytest.mark.routers("map-by-number")
def test_no_match_goes_in_the_clear(judge):
    judge()


@pytest.mark.behaviour("SEC-73")
@pytest.mark.routers("map-dynamic-first")
def test_a_dynamic_entry_in_front_hides_the_static_one(judge):
    judge()


@pytest.mark.behaviour("SEC-74")
@pytest.mark.routers("map-retyped")
def test_what_an_entry_is_cannot_be_changed(judge):
    judge()


@pytest.mark.behaviour("SEC-75")
@pytest.mark.routers("map-traffic")
def test_what_comes_in_the_clear_is_dropped(judge):
    judge()


@pytest.mark.behaviour("SEC-76")
@pytest.mark.routers("map-traffic")
def test_a_dynamic_entry_without_an_sa_drops(judge):
    judge()


@pytest.mark.behaviour("SEC-77")
@pytest.mark.routers("map-traffic")
def test_a_static_entry_without_an_sa_wakes_ike(judge):
    judge()


@pytest.mark.behaviour("SEC-78")
@pytest.mark.routers("map-peers")
def test_either_peer_serves(judge):
    judge()


@pytest.mark.behaviour("SEC-79")
@pytest.mark.routers("map-negotiation")
def test_either_transform_set_is_agreed_on(judge):
    judge()


@pytest.mark.behaviour("SEC-80")
@pytest.mark.routers("map-negotiation")
def test_a_dynamic_entry_takes_an_unknown_peer(judge):
    judge()


@pytest.mark.behaviour("SEC-81")
@pytest.mark.routers("map-negotiation")
def test_a_dynamic_entry_refuses_what_does_not_fit(judge):
    judge()


@pytest.mark.behaviour("SEC-82")
@pytest.mark.routers("map-negotiation")
def test_a_temporary_entry_goes_with_its_sas(judge):
    judge()


@pytest.mark.behaviour("SEC-83")
@pytest.mark.routers("map-discovery")
def test_discover_finds_the_peer(judge):
    judge()


@pytest.mark.behaviour("SEC-84")
@pytest.mark.routers("map-retyped")
def test_keys_by_hand_as_in_the_document(judge):
    judge()


@pytest.mark.behaviour("SEC-86")
@pytest.mark.routers("map-edited")
def test_without_a_keyword_an_entry_is_edited(judge):
    judge()


@pytest.mark.behaviour("SEC-87")
@pytest.mark.routers("map-edited")
def test_an_entry_that_is_removed_protects_no_more(judge):
    judge()
