"""What a VPDN group with a crypto profile lets onto the wire and what it takes from it, and what one without it does."""

from __future__ import annotations

import pytest


@pytest.mark.behaviour("SEC-02")
@pytest.mark.routers("l2tp-call")
def test_nothing_in_clear_between_lac_and_lns(judge):
    judge()


@pytest.mark.behaviour("SEC-30")
@pytest.mark.routers("l2tp-unprotected")
def test_unprotected_by_default(judge):
    judge()


@pytest.mark.behaviour("SEC-31")
@pytest.mark.routers("l2tp-clear-request")
def test_clear_request_is_ignored(judge):
    judge()


@pytest.mark.behaviour("SEC-32")
@pytest.mark.routers("l2tp-clear-spoofs")
def test_clear_data_is_dropped(judge):
    judge()


@pytest.mark.behaviour("SEC-33")
@pytest.mark.routers("l2tp-clear-spoofs")
def test_clear_stop_is_ignored(judge):
    judge()


@pytest.mark.behaviour("SEC-34")
@pytest.mark.routers("l2tp-before-the-sas")
def test_nothing_leaves_before_the_sas(judge):
    judge()


@pytest.mark.behaviour("SEC-35")
@pytest.mark.routers("l2tp-unknown-profiles")
def test_unknown_profile(judge):
    judge()


@pytest.mark.behaviour("SEC-36")
@pytest.mark.routers("l2tp-unknown-profiles")
def test_profile_of_another_name(judge):
    judge()


@pytest.mark.behaviour("SEC-37")
@pytest.mark.routers("l2tp-clear-request")
def test_no_form_takes_the_protection_away(judge):
    judge()
