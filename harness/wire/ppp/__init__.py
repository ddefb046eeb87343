"""PPP as L2TP carries it: LCP (RFC 1661), CHAP-MD5 (RFC 1994), MS-CHAPv2 (RFC 2759), IPCP (RFC 1332); either role."""

from harness.wire.ppp.core import PppCore

__all__ = ["PppCore"]
