"""PPP as L2TP carries it: LCP (RFC 1661), PAP (RFC 1334), CHAP (RFC 1994) and Microsoft's two kinds of it (RFC 2433, RFC 2759),
IPCP (RFC 1332); either role."""

from harness.wire.ppp.core import PppCore

__all__ = ["PppCore"]
