"""What a router of somebody's is looked at for before a run, and cleared of about each script, by the part that it plays. Data."""

from __future__ import annotations

from dataclasses import dataclass

from harness.devices.ios import gateway_view
from harness.devices.ios.configurations import Section
from harness.devices.ios.gateway import ASKED, CLEARED
from harness.model.router_lab import WIRE
from harness.model.sites import NAT


@dataclass(frozen=True, slots=True)
class Part:
    """`asked`: commands that show whether somebody's tunnels are up; `cleared`: those that end what a script has left. `own`: how
    lines begin that would be a part of what a script configures, where they are there already: another group, key, list or route
    would go before its own."""

    asked: tuple[str, ...]
    cleared: tuple[str, ...]
    own: tuple[str, ...]

    def in_the_way(self, there: Section) -> tuple[str, ...]:
        """The lines of a router's configuration beside which no script can be played; keys are left out."""
        return tuple(" ".join(line.split()[:3]) for line in there if line.startswith(self.own))


_CRYPTO = ("crypto map ", "crypto isakmp ", "crypto keyring ", "crypto ipsec ")
TUNNELS = Part(ASKED, CLEARED, ("vpdn-group ", "bba-group ", *_CRYPTO))
"""A LAC or an LNS."""
TRANSLATOR = Part((), ("clear ip nat translation *",), ("ip nat ", *(f"access-list {number} " for number in (1, 10, 11, 20))))
"""A NAT: one without a line of `ip nat` has nobody's entries. It need not know IPsec."""
ENDPOINT = Part(
    (gateway_view.IPSEC,),
    ("clear crypto sa", "clear crypto isakmp"),
    (*_CRYPTO, "crypto dynamic-map ", "ip route 0.0.0.0 0.0.0.0 ", *(f"access-list {number} " for number in range(101, 107))),
)
"""A VPN endpoint. Its default route leads to its peers while a script is played."""


def part_of(role: str) -> Part:
    if role in WIRE:
        return TUNNELS
    return TRANSLATOR if role == NAT else ENDPOINT
