"""What a NAT shows of its entries, and what becomes of whoever uses them when they are cleared."""

import pytest


@pytest.mark.behaviour("ESN-50")
@pytest.mark.routers("nat-table-esp")
def test_two_rows_a_tunnel(judge):
    judge()


@pytest.mark.behaviour("ESN-51")
@pytest.mark.routers("nat-table-esp")
def test_spis_are_live_ones(judge):
    judge()


@pytest.mark.behaviour("ESN-52")
@pytest.mark.routers("nat-table-esp")
def test_verbose_tells_of_each_half(judge):
    judge()


@pytest.mark.behaviour("ESN-53")
@pytest.mark.routers("nat-table-life")
def test_an_entry_lives_five_minutes(judge):
    judge()


@pytest.mark.behaviour("ESN-54")
@pytest.mark.routers("nat-table-filters")
def test_filters_show_their_own(judge):
    judge()


@pytest.mark.behaviour("ESN-55")
@pytest.mark.routers("nat-table-pool")
def test_simple_entries_without_overload(judge):
    judge()


@pytest.mark.behaviour("ESN-56")
@pytest.mark.routers("nat-table-overload")
def test_extended_entries_with_overload(judge):
    judge()


@pytest.mark.behaviour("ESN-57")
@pytest.mark.routers("nat-table-overload")
def test_verbose_tells_ages(judge):
    judge()


@pytest.mark.behaviour("ESN-58")
@pytest.mark.routers("nat-table-vrf")
def test_a_vrfs_table(judge):
    judge()


@pytest.mark.behaviour("ESN-59")
@pytest.mark.routers("nat-table-overload")
def test_clear_one_udp_entry(judge):
    judge()


@pytest.mark.behaviour("ESN-60")
@pytest.mark.routers("nat-table-esp")
def test_clear_esp_leaves_ike(judge):
    judge()


@pytest.mark.behaviour("ESN-61")
@pytest.mark.routers("nat-table-storm")
def test_clear_all_in_a_storm(judge):
    judge()


@pytest.mark.behaviour("ESN-62")
@pytest.mark.routers("nat-table-overload", "nat-table-gateways")
def test_clear_by_the_outside(judge):
    judge()


@pytest.mark.behaviour("ESN-63")
@pytest.mark.routers("nat-table-esp")
def test_clear_does_not_wait_for_the_time_out(judge):
    judge()


@pytest.mark.behaviour("ESN-64")
@pytest.mark.routers("nat-table-overload")
def test_clear_needs_privilege(judge):
    judge()


@pytest.mark.behaviour("ESN-65")
@pytest.mark.routers("nat-table-12.2-8T", "nat-table-12.2-13T", "nat-table-12.2-15T")
def test_releases_of_the_keywords(judge):
    judge()
