"""Two clients behind one NAT live at the same time, where the gateway tells them apart."""

import pytest


@pytest.mark.behaviour("NTT-28")
@pytest.mark.plays("pair", on=["demux*"])
def test_clients_live_together(judge):
    judge()
