"""Marks on connections keep the established alive and do no more: known-bad controls between the fault and its cure."""

import pytest


@pytest.mark.behaviour("LNX-01")
@pytest.mark.plays("pair", on=["connmark-kernel"])
def test_established_lives_and_newcomer_stays_down(judge):
    judge(newcomer_up=False)


@pytest.mark.behaviour("LNX-02")
@pytest.mark.plays("pair", on=["connmark-user"])
def test_established_lives(judge):
    """How long the newcomer takes varies from 16 s to over 40 s: noted, not judged."""
    judge()
