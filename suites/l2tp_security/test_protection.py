"""What a VPDN group with a crypto profile lets onto the wire, and what it takes from it."""

from __future__ import annotations

import pytest


@pytest.mark.behaviour("SEC-02")
@pytest.mark.routers("l2tp-call")
def test_nothing_in_clear_between_lac_and_lns(judge):
    judge()


@pytest.mark.behaviour("SEC-31")
@pytest.mark.routers("l2tp-clear-request")
def test_clear_request_is_ignored(judge):
    judge()
