"""PPP over Ethernet (RFC 2516), sans-IO: the host that calls, and the access concentrator that takes calls."""

from harness.wire.pppoe.concentrator import Arrived, Closed, Concentrator, Opened
from harness.wire.pppoe.host import Host

__all__ = ["Arrived", "Closed", "Concentrator", "Host", "Opened"]
