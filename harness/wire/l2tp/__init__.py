"""L2TPv2 (RFC 2661): header, AVPs, reliable control channel, one tunnel with one session; either role."""

from harness.wire.l2tp.core import Frame, L2tpCore, inner_packet

__all__ = ["Frame", "L2tpCore", "inner_packet"]
