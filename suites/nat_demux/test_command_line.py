"""The task and the example of `set nat demux`, on a gateway that is configured by its command line."""

import pytest


@pytest.mark.behaviour("DMX-50")
@pytest.mark.plays("static-map", on=["demux*"])
def test_a_static_map_entry_takes_the_line(judge):
    judge()


@pytest.mark.behaviour("DMX-51")
@pytest.mark.plays("dynamic-map", on=["demux*"])
def test_a_dynamic_map_entry_takes_the_line(judge):
    judge()


@pytest.mark.behaviour("DMX-52")
@pytest.mark.plays("dynamic-map", on=["demux*"])
def test_each_step_has_its_prompt(judge):
    judge()


@pytest.mark.behaviour("DMX-53")
@pytest.mark.plays("dynamic-map", on=["demux*"])
def test_global_configuration_refuses_the_line(judge):
    judge()


@pytest.mark.behaviour("DMX-54")
@pytest.mark.plays("release-before", "release-with", on=["demux*"])
def test_only_releases_with_the_feature_take_the_line(judge):
    judge()


@pytest.mark.behaviour("DMX-55")
@pytest.mark.plays("static-map", on=["demux*"])
def test_show_crypto_map_shows_the_line(judge):
    judge()


@pytest.mark.behaviour("DMX-56")
@pytest.mark.plays("dynamic-map", on=["demux*"])
def test_show_crypto_dynamic_map_shows_the_line(judge):
    judge()


@pytest.mark.behaviour("DMX-57")
@pytest.mark.plays("example", on=["demux*"])
def test_listed_sas_are_those_of_the_wire(judge):
    judge()


@pytest.mark.behaviour("DMX-58")
@pytest.mark.plays("example", on=["demux*"])
def test_the_configured_life_is_agreed_and_renewed_in_time(judge):
    judge()


@pytest.mark.behaviour("DMX-59")
@pytest.mark.plays("example-keepalive", on=["demux*"])
def test_dead_peer_detection_keeps_its_interval(judge):
    judge()


@pytest.mark.behaviour("DMX-60")
@pytest.mark.plays("example-keys", on=["demux*"])
def test_the_wildcard_key_is_for_everybody_who_has_it(judge):
    judge()


@pytest.mark.behaviour("DMX-61")
@pytest.mark.plays("example-keys", on=["demux*"])
def test_a_named_key_is_for_that_name(judge):
    judge()


@pytest.mark.behaviour("DMX-62")
@pytest.mark.plays("example", on=["demux*"])
def test_the_transform_of_the_set_is_chosen(judge):
    judge()


@pytest.mark.behaviour("DMX-63")
@pytest.mark.plays("map-order", on=["demux*"])
def test_the_dynamic_entry_comes_last(judge):
    judge()


@pytest.mark.behaviour("DMX-64")
@pytest.mark.plays("example", on=["demux*"])
def test_a_request_without_challenge_is_accepted(judge):
    judge()


@pytest.mark.behaviour("DMX-65")
@pytest.mark.plays("example-ppp", on=["demux*"])
def test_chap_is_offered_first_and_pap_never(judge):
    judge()


@pytest.mark.behaviour("DMX-66")
@pytest.mark.plays("example-pool", on=["demux*"])
def test_the_pool_serves_as_many_as_it_has(judge):
    judge()


@pytest.mark.behaviour("DMX-67")
@pytest.mark.plays("example-pool", on=["demux*"])
def test_excluded_addresses_are_given_to_nobody(judge):
    judge()


@pytest.mark.behaviour("DMX-68")
@pytest.mark.plays("example", on=["demux*"])
def test_the_static_route_leads_to_the_end_host(judge):
    judge()


@pytest.mark.behaviour("DMX-69")
@pytest.mark.plays("static-map", on=["demux*"])
def test_impossible_addresses_are_refused(judge):
    judge()
