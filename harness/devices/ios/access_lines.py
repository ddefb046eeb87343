"""What makes a Cisco router take a testbed's calls by PPPoE (roles/access.yaml), and what must not be on it before. Pure."""

from __future__ import annotations

from harness.devices.ios import roles
from harness.devices.ios.configurations import Section
from harness.errors import UsageError
from harness.model import ios_releases
from harness.model.ios_releases import Release

NAME, TEMPLATE = "NATSTORM", 17
"""A number that a router hardly has already: what has it is changed, until it is put back."""
MTU = 1492
"""What Ethernet leaves of 1500 (RFC 2516 section 7)."""
OWN = ("vpdn-group ", "bba-group ", "crypto map ", "crypto isakmp ", "crypto keyring ", "crypto ipsec ")
"""Lines of a router that would be a part of what a script configures: another group, key or policy would go before its own."""


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


def in_the_way(there: Section) -> tuple[str, ...]:
    """The lines of a router's configuration beside which no script can be played; keys are left out."""
    return tuple(" ".join(line.split()[:3]) for line in there if line.startswith(OWN))
