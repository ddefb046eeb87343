"""What makes a Cisco router take a testbed's calls by PPPoE (roles/access.yaml). Pure."""

from __future__ import annotations

from harness.devices.ios import roles
from harness.errors import UsageError
from harness.model import ios_releases
from harness.model.ios_releases import Release

NAME, TEMPLATE = "NATSTORM", 17
"""A number that a router hardly has already: what has it is changed, until it is put back."""
MTU = 1492
"""What Ethernet leaves of 1500 (RFC 2516 section 7)."""


def pppoe_lines(callers: str, wire: str, release: Release) -> tuple[str, ...]:
    """Calls are taken on the interface `callers`, by a profile where the release is known to have them, else by a vpdn-group; the
    links borrow the address of `wire`. Lines of a section are indented."""
    try:
        profiles = ios_releases.has("pppoe-profiles", release)
    except UsageError:  # a train beside those that documents name: as routers had it from the beginning
        profiles = False
    settings = {
        "callers": callers,
        "lender": wire,
        "by": "profile" if profiles else "vpdn-group",
        "group": NAME,
        "template": TEMPLATE,
        "mtu": MTU,
        "authentication": "chap",
    }
    return roles.access(settings).lines
