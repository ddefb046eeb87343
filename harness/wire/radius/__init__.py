"""RADIUS (RFC 2865), its accounting (RFC 2866), Message-Authenticator (RFC 2869) and Microsoft's attributes (RFC 2548)."""

from harness.wire.radius.client import Outgoing, RadiusClient, Server
from harness.wire.radius.packet import Code

__all__ = ["Code", "Outgoing", "RadiusClient", "Server"]
