"""Who is where in the world of tunnel-mode endpoints about a NAT, and what they are configured with. Pure.

    host 10.1.n.5 ── west-n 10.0.0.1n ──┐                          ┌── east-k 203.0.113.24k ── host 10.2.k.5
                     west-2 10.0.0.12 ──┼── nat 203.0.113.232 ─────┤
                     …                  ┘                          └── …
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any

from harness.model.sites import EAST, NAT, NAT_OUTSIDE, WEST, Site, numbered

__all__ = ("EAST", "NAT", "NAT_OUTSIDE", "WEST", "Site")

NAT_POOL = IPv4Network("203.0.113.232/29")
"""Addresses outside that the NAT can have beside its own."""
OUTSIDE, INSIDE = "FastEthernet0/0", "FastEthernet0/1"
SPI_MATCHING = "crypto ipsec nat-transparency spi-matching"
NEITHER = "no crypto ipsec nat-transparency udp-encaps"
"""ESP as IP protocol 50, with SPIs of chance."""
SPI_MATCH, PRESERVE_PORT = "ip nat service list 10 ESP spi-match", "ip nat service list 10 IKE preserve-port"
"""What the NAT is told, for everybody inside."""
RUNNING = "show running-config | include nat|^end"
"""What a router has of NAT and of NAT transparency, and whether that is all; no keys."""


def sites_of(options: Mapping[str, Any]) -> tuple[tuple[Site, ...], tuple[Site, ...]]:
    """The endpoints in the west and in the east, as a script's options have them."""
    return numbered(WEST, int(options.get(WEST, 1))), numbered(EAST, int(options.get(EAST, 1)))


def flow(here: Site, there: Site) -> str:
    """What an access list permits for traffic from one site's network to the other's."""
    return f"permit ip {here.network}.0 0.0.0.255 {there.network}.0 0.0.0.255"


def base(site: Site, transforms: str = "esp-aes esp-sha-hmac") -> tuple[str, ...]:
    """Addresses, a key for anybody, a policy and a transform set; no protection yet."""
    return (
        f"hostname {site.name}",
        "crypto isakmp policy 10",
        " encryption aes",
        " authentication pre-share",
        " group 2",
        "crypto isakmp key cisco address 0.0.0.0 0.0.0.0",
        f"crypto ipsec transform-set ts {transforms}",
        f"interface {OUTSIDE}",
        f" ip address {site.address} 255.255.255.0",
        f"interface {INSIDE}",
        f" ip address {site.network}.1 255.255.255.0",
        f"ip route 0.0.0.0 0.0.0.0 {OUTSIDE}",
    )


def client(site: Site, concentrators: tuple[Site, ...]) -> tuple[str, ...]:
    """A static entry for each concentrator: everything from its network to theirs."""
    lines = list(base(site))
    for peer in concentrators:
        acl, entry = 100 + peer.number, 10 * peer.number
        lines += [
            f"access-list {acl} {flow(site, peer)}",
            f"crypto map vpn {entry} ipsec-isakmp",
            f" set peer {peer.address}",
            " set transform-set ts",
            f" match address {acl}",
        ]
    return (*lines, f"interface {OUTSIDE}", " crypto map vpn")


def concentrator(site: Site, clients: tuple[Site, ...]) -> tuple[str, ...]:
    """Takes requests of anybody, for the flows to those clients' networks."""
    return (
        *base(site),
        *(f"access-list 101 {flow(site, peer)}" for peer in clients),
        "crypto dynamic-map any 10",
        " set transform-set ts",
        " match address 101",
        "crypto map vpn 10 ipsec-isakmp dynamic any",
        f"interface {OUTSIDE}",
        " crypto map vpn",
    )
