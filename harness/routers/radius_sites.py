"""Where the RADIUS servers of a laboratory are, and by which key they know its routers. Pure."""

from __future__ import annotations

from collections.abc import Mapping

SERVERS: Mapping[str, str] = {"radius": "10.0.0.30", "radius-2": "10.0.0.31"}
KEY = "xyzzy5461"
"""Of every one with every router."""
