"""RADIUS (RFC 2865), its accounting (RFC 2866), Message-Authenticator (RFC 2869) and Microsoft's attributes (RFC 2548)."""

from harness.wire.radius.client import RadiusClient
from harness.wire.radius.packet import Code
from harness.wire.radius.values import Outgoing, Server

__all__ = ["Code", "Outgoing", "RadiusClient", "Server"]
