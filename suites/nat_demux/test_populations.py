"""Clients of other kinds, in other places, and from before NAT traversal."""

import pytest


@pytest.mark.behaviour("DMX-27")
@pytest.mark.plays("two-nats", on=["demux"])
def test_one_inside_address_behind_two_nats(judge):
    judge()


@pytest.mark.behaviour("DMX-28")
@pytest.mark.plays("mixed", on=["demux"])
def test_clients_with_and_without_a_nat_and_a_lac_live_together(judge):
    judge()


@pytest.mark.behaviour("DMX-70")
@pytest.mark.plays("windows-2000", on=["demux"])
def test_windows_2000_with_the_update_connects(judge):
    judge()


@pytest.mark.behaviour("DMX-71")
@pytest.mark.plays("windows-2000-unpatched", on=["demux"])
def test_windows_2000_without_the_update_fails_by_itself(judge):
    judge()


@pytest.mark.behaviour("DMX-72")
@pytest.mark.plays("windows-98", on=["demux"])
def test_windows_98_has_no_client_of_its_own(judge):
    judge()


@pytest.mark.behaviour("DMX-73")
@pytest.mark.plays("windows-xp", "windows-vista", "pair", "windows-10", on=["demux"])
def test_newer_windows(judge):
    """The pair is two Windows 7 clients."""
    judge()
