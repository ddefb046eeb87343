"""ESP (RFC 4303): an SA a direction. What lies in it, and what it lies in, is its owner's business."""

from harness.wire.esp.replay import ReplayWindow
from harness.wire.esp.sa import InboundSa, OutboundSa, spi_of
from harness.wire.esp.transforms import AUTHENTICATIONS, ENCRYPTIONS

__all__ = ["AUTHENTICATIONS", "ENCRYPTIONS", "InboundSa", "OutboundSa", "ReplayWindow", "spi_of"]
