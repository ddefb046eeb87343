"""The lines that make a Cisco router the gateway of a testbed: an LNS for Windows clients, as "L2TP-IPsec Support for NAT and PAT
Windows Clients" has it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from harness.model.secret import Secret

POLICIES = (
    ("aes 256", "14"),
    ("aes", "14"),
    ("3des", "14"),
    ("3des", "2"),
)
"""Cipher and group of the ISAKMP policies, all with SHA-1, strongest first: what Windows clients of all ages offer."""
SETS = (("AES256", "esp-aes 256"), ("AES", "esp-aes"), ("TS1", "esp-3des"))
"""Transform sets and their ciphers, all with SHA-1 and in transport mode."""
MAP, POOL, GROUP = "NATSTORM", "NATSTORM", "NATSTORM"
DYNAMIC = "crypto dynamic-map NATSTORM 10"
LEAST_KEEPALIVE_S, LEAST_LIFE_S = 10, 120
LIFE_S = 3600
"""What an ESP SA lives without a line."""
METHODS = "ms-chap-v2 chap"


@dataclass(frozen=True, slots=True)
class ClientsLns:
    """`interface` is the one towards the clients, which has its address already. Times in seconds; `keepalive_s` None: the router
    never asks whether a peer is there; `lifetime_s` of ESP SAs, None: as the router has it."""

    interface: str
    psk: Secret
    ppp_address: str
    pool_first: str
    pool_last: str
    users: Mapping[str, Secret] = field(default_factory=dict)
    keepalive_s: float | None = None
    lifetime_s: int | None = None
    demux: bool = True


def gateway_lines(lns: ClientsLns) -> tuple[str, ...]:
    """Lines of a section are indented. They hold secrets."""
    return tuple(_lines(lns))


def demux_lines(on: bool) -> tuple[str, ...]:
    """What turns demultiplexing on or off for SAs that are made from now on."""
    return DYNAMIC, f" {'' if on else 'no '}set nat demux"


def _lines(lns: ClientsLns) -> Iterator[str]:
    for user, password in lns.users.items():
        yield f"username {user} password 0 {password.reveal()}"
    yield f"ip local pool {POOL} {lns.pool_first} {lns.pool_last}"
    yield from ("vpdn enable", "vpdn ip udp ignore checksum", f"vpdn-group {GROUP}")
    yield from (" accept-dialin", "  protocol l2tp", "  virtual-template 1", " no l2tp tunnel authentication")
    for number, (cipher, group) in enumerate(POLICIES, 1):
        yield from (f"crypto isakmp policy {number}", f" encr {cipher}", " authentication pre-share", f" group {group}")
    yield f"crypto isakmp key {lns.psk.reveal()} address 0.0.0.0 0.0.0.0"
    if lns.keepalive_s is not None:
        yield f"crypto isakmp keepalive {max(LEAST_KEEPALIVE_S, round(lns.keepalive_s))}"
    if lns.lifetime_s not in (None, LIFE_S):
        yield f"crypto ipsec security-association lifetime seconds {max(LEAST_LIFE_S, lns.lifetime_s or 0)}"
    for name, cipher in SETS:
        yield from (f"crypto ipsec transform-set {name} {cipher} esp-sha-hmac", " mode transport")
    yield DYNAMIC
    if lns.demux:
        yield " set nat demux"
    yield f" set transform-set {' '.join(name for name, _ in SETS)}"
    yield f"crypto map {MAP} 6000 ipsec-isakmp dynamic NATSTORM"
    yield from ("interface Loopback0", f" ip address {lns.ppp_address} 255.255.255.255")
    yield from ("interface Virtual-Template1", " ip unnumbered Loopback0", f" peer default ip address pool {POOL}")
    yield f" ppp authentication {METHODS}"
    yield from (f"interface {lns.interface}", f" crypto map {MAP}")
