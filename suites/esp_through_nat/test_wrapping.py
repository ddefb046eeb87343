"""L2TP clients through this NAT: without NAT traversal, and with the UDP wrapping that the document recommends."""

import pytest


@pytest.mark.behaviour("ESN-17")
@pytest.mark.plays("wrapped-and-bare", on=["demux"])
def test_transport_mode_without_wrapping(judge):
    judge()


@pytest.mark.behaviour("ESN-18")
@pytest.mark.plays("wrapped-and-bare", on=["demux"])
def test_wrapped_clients_live(judge):
    judge()
