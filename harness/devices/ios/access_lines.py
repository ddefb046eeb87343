"""The lines by which a Cisco router takes calls by PPPoE, on an interface of its own, and what must not be on it before. Pure."""

from __future__ import annotations

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
    """Calls are taken on the interface `callers`; the links borrow the address of `wire`. By a profile where the release has them
    ("PPPoE Profiles", 12.2(15)T), before that by a vpdn-group, as the Wide-Area Networking Configuration Guide of 12.2 has it
    ("Configuring Broadband Access"). Lines of a section are indented."""
    template = (f"interface Virtual-Template{TEMPLATE}", f" ip unnumbered {wire}", f" mtu {MTU}", " ppp authentication chap")
    try:
        profiles = ios_releases.has("pppoe-profiles", release)
    except UsageError:  # a train beside those that documents name: as routers had it from the beginning
        profiles = False
    if profiles:
        group: tuple[str, ...] = (f"bba-group pppoe {NAME}", f" virtual-template {TEMPLATE}")
        enabled = f" pppoe enable group {NAME}"
    else:
        group = (f"vpdn-group {NAME}", " accept-dialin", "  protocol pppoe", f"  virtual-template {TEMPLATE}")
        enabled = " pppoe enable"
    return (*template, *group, f"interface {callers}", " no shutdown", enabled)


def in_the_way(there: Section) -> tuple[str, ...]:
    """The lines of a router's configuration beside which no script can be played; keys are left out."""
    return tuple(" ".join(line.split()[:3]) for line in there if line.startswith(OWN))
