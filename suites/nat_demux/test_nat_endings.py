"""The NAT ends a session: whose, and what becomes of it."""

import pytest


@pytest.mark.behaviour("DMX-41")
@pytest.mark.plays("nat-clears", on=["demux"])
def test_a_cleared_translation_concerns_only_its_client(judge):
    judge()


@pytest.mark.behaviour("DMX-42")
@pytest.mark.plays("nat-timeout", on=["demux"])
def test_silence_beyond_the_nats_timer_concerns_only_its_client(judge):
    judge()
