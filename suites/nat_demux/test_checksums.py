"""What a gateway makes of a checksum that was computed over an address which the NAT took away."""

import pytest


@pytest.mark.behaviour("DMX-36")
@pytest.mark.plays("checksum", on=["demux"])
def test_wrong_checksums_are_dropped_absent_ones_accepted(judge):
    judge()
