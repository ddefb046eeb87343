"""L2TPv2 (RFC 2661): header, AVPs, reliable control channel, one tunnel with any number of calls; either role."""

from harness.wire.l2tp.core import L2tpCore
from harness.wire.l2tp.data import Frame, inner_packet
from harness.wire.l2tp.header import tunnel_of

__all__ = ["Frame", "L2tpCore", "inner_packet", "tunnel_of"]
