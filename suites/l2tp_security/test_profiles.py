"""Crypto profiles: templates, their clones, what they negotiate, and the keys."""

from __future__ import annotations

import pytest


@pytest.mark.behaviour("SEC-50")
@pytest.mark.routers("l2tp-profile")
def test_template_before_tunnels(judge):
    judge()


@pytest.mark.behaviour("SEC-51")
@pytest.mark.routers("l2tp-profile")
def test_clone_on_demand(judge):
    judge()


@pytest.mark.behaviour("SEC-52")
@pytest.mark.routers("l2tp-profile")
def test_clone_inherits(judge):
    judge()


@pytest.mark.behaviour("SEC-53")
@pytest.mark.routers("l2tp-two-lns")
def test_clone_per_tunnel(judge):
    judge()


@pytest.mark.behaviour("SEC-54")
@pytest.mark.routers("l2tp-profile")
def test_clone_is_removed(judge):
    judge()


@pytest.mark.behaviour("SEC-55")
@pytest.mark.routers("l2tp-profile")
def test_other_udp_is_clear(judge):
    judge()


@pytest.mark.behaviour("SEC-56")
@pytest.mark.routers("l2tp-profile-not-heeded")
def test_peer_is_ignored(judge):
    judge()


@pytest.mark.behaviour("SEC-57")
@pytest.mark.routers("l2tp-profile-not-heeded")
def test_address_list_is_ignored(judge):
    judge()


@pytest.mark.behaviour("SEC-58")
@pytest.mark.routers("l2tp-profile-names")
def test_names_are_unique(judge):
    judge()


@pytest.mark.behaviour("SEC-59")
@pytest.mark.routers("l2tp-transform-sets")
def test_up_to_six_transform_sets(judge):
    judge()


@pytest.mark.behaviour("SEC-60")
@pytest.mark.routers("l2tp-transform-sets")
def test_first_match_is_used(judge):
    judge()


@pytest.mark.behaviour("SEC-61")
@pytest.mark.routers("l2tp-no-common-transform")
def test_no_common_transform(judge):
    judge()


@pytest.mark.behaviour("SEC-62")
@pytest.mark.routers("l2tp-modes")
def test_mode_of_the_transform_set(judge):
    judge()


@pytest.mark.behaviour("SEC-63")
@pytest.mark.routers("l2tp-no-map")
def test_no_map_no_protection(judge):
    judge()


@pytest.mark.behaviour("SEC-64")
@pytest.mark.routers("l2tp-modes")
def test_no_key_exchange_without_pfs(judge):
    judge()


@pytest.mark.behaviour("SEC-65")
@pytest.mark.routers("l2tp-keys")
def test_keys_by_address(judge):
    judge()
