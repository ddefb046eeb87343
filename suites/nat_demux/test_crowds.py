"""Many clients at once, and clients that come and go."""

import pytest


@pytest.mark.behaviour("DMX-46")
@pytest.mark.plays("churn", "churn-day", on=["demux"])
def test_no_session_ends_without_one_of_the_four_causes(judge):
    judge()


@pytest.mark.behaviour("DMX-75")
@pytest.mark.plays("storm", on=["demux"])
def test_the_established_survive_a_storm(judge):
    judge()


@pytest.mark.behaviour("DMX-76")
@pytest.mark.plays("churn", "churn-day", on=["demux"])
def test_coming_and_going_kills_nobody_and_leaks_no_port(judge):
    judge()
