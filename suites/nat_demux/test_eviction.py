"""Without demultiplexing a newcomer ends the connection of whoever was there: the known-bad control.

These tests expect the failure. They pass only if the loss is seen and the killer is named; they fail if all is well, because a
harness that sees no fault in a gateway known to have one sees nothing at all.
"""

import pytest


@pytest.mark.behaviour("DMX-01")
@pytest.mark.plays("pair", on=["plain-kernel"])
def test_newcomer_kills_and_stays_down_itself(judge):
    """With the kernel's L2TP the newcomer's own LCP never completes either."""
    judge(newcomer_up=False)


@pytest.mark.behaviour("DMX-01")
@pytest.mark.plays("pair", "order", on=["plain-user", "plain"])
def test_newcomer_kills_and_takes_over(judge):
    judge(newcomer_up=True)


@pytest.mark.behaviour("DMX-02")
@pytest.mark.plays("pair", on=["plain*"])
def test_gateway_cannot_tell_the_clients_apart(judge):
    judge()


@pytest.mark.behaviour("DMX-04")
@pytest.mark.plays("order", on=["plain-user", "plain"])
def test_only_the_last_comer_receives(judge):
    judge()


@pytest.mark.behaviour("DMX-03")
@pytest.mark.plays("eviction", on=["plain"])
def test_cut_off_clients_uplink_still_decrypts(judge):
    judge()


@pytest.mark.behaviour("DMX-08")
@pytest.mark.plays("pair", on=["default"])
def test_a_fresh_configuration_has_the_fault(judge):
    judge()


@pytest.mark.behaviour("DMX-09")
@pytest.mark.plays("demux-removed", on=["demux"])
def test_removal_brings_the_fault_back(judge):
    judge()
