"""ESP in transport mode (RFC 4303), as carried in UDP port 4500 without a marker (RFC 3948)."""

from harness.wire.esp.replay import ReplayWindow
from harness.wire.esp.sa import InboundSa, OutboundSa, spi_of
from harness.wire.esp.transforms import AUTHENTICATIONS, ENCRYPTIONS

__all__ = ["AUTHENTICATIONS", "ENCRYPTIONS", "InboundSa", "OutboundSa", "ReplayWindow", "spi_of"]
