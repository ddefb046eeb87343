"""Two clients behind one NAT live at the same time, where the gateway tells them apart."""

import pytest


@pytest.mark.behaviour("NTT-28")
@pytest.mark.plays("pair", on=["demux*"])
def test_clients_live_together(judge):
    judge()


@pytest.mark.behaviour("NTT-30")
@pytest.mark.plays("pair", "order", "together", on=["demux*"])
def test_any_order_works(judge):
    judge()


@pytest.mark.behaviour("NTT-31")
@pytest.mark.plays("windows-2000", "windows-xp", "windows-vista", "windows-10", on=["demux"])
def test_an_up_to_date_gateway_serves_every_build(judge):
    judge()
