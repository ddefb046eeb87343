"""The lines that make a Cisco router the gateway of a testbed: an LNS for Windows clients, as "L2TP-IPsec Support for NAT and PAT
Windows Clients" has it."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Interface

from harness.errors import DeviceError
from harness.routers.script import RELEASE
from harness.virtual.ios.router import IosRouter
from harness.virtual.ios.state import State
from harness.virtual.settings import Settings
from harness.wire.config import Entropy

DEVICE = "gateway"

POLICIES = (
    ("aes 256", "14"),
    ("aes", "14"),
    ("3des", "14"),
    ("3des", "2"),
)
"""Cipher and group of the ISAKMP policies, all with SHA-1, strongest first: what Windows clients of all ages offer."""
SETS = (("AES256", "esp-aes 256"), ("AES", "esp-aes"), ("TS1", "esp-3des"))
"""Transform sets and their ciphers, all with SHA-1 and in transport mode."""
MAP = "CRYP_MAP"
DYNAMIC = "crypto dynamic-map DYN_MAP 10"


def router(settings: Settings, entropy: Entropy, *, release: str = RELEASE) -> IosRouter:
    """`settings` are the testbed's and the variant's. DeviceError where the router does not take a line of its configuration."""
    startup = "\n".join([*lines(settings, demux=settings.personality.demux), "end", ""])
    state = State(release=release, startup=startup)
    if state.troubles:
        raise DeviceError(DEVICE, state.troubles[0].line, "its startup configuration has a line that it does not take")
    return IosRouter(state, entropy, settings.personality)


def lines(settings: Settings, *, demux: bool) -> tuple[str, ...]:
    """`settings` gives names, addresses and secrets; `demux` whether the dynamic map has `set nat demux`. A line of a section is
    indented."""
    return tuple(_lines(settings, demux=demux))


def _lines(settings: Settings, *, demux: bool) -> Iterator[str]:
    yield "hostname LNS"
    for user, password in settings.users.items():
        yield f"username {user} password 0 {password.reveal()}"
    yield f"ip local pool POOL {settings.pool_first} {settings.pool_last}"
    yield from ("vpdn enable", "vpdn ip udp ignore checksum", "vpdn-group 1")
    yield from (" accept-dialin", "  protocol l2tp", "  virtual-template 1", " no l2tp tunnel authentication")
    for number, (cipher, group) in enumerate(POLICIES, 1):
        yield from (f"crypto isakmp policy {number}", f" encr {cipher}", " authentication pre-share", f" group {group}")
    yield f"crypto isakmp key {settings.psk.reveal()} address 0.0.0.0 0.0.0.0"
    if settings.personality.dpd is not None:
        yield f"crypto isakmp keepalive {max(10, round(settings.personality.dpd))}"
    for name, cipher in SETS:
        yield from (f"crypto ipsec transform-set {name} {cipher} esp-sha-hmac", " mode transport")
    yield DYNAMIC
    if demux:
        yield " set nat demux"
    yield f" set transform-set {' '.join(name for name, _ in SETS)}"
    yield f"crypto map {MAP} 6000 ipsec-isakmp dynamic DYN_MAP"
    yield from ("interface Loopback0", f" ip address {settings.ppp_address} 255.255.255.255")
    yield from ("interface FastEthernet0/0", f" ip address {settings.address} 255.255.255.0", f" crypto map {MAP}")
    if settings.lan is not None:
        lan = IPv4Interface(settings.lan)
        yield from ("interface FastEthernet0/1", f" ip address {lan.ip} {lan.netmask}")
    yield from ("interface Virtual-Template1", " ip unnumbered Loopback0", " peer default ip address pool POOL")
    yield " ppp authentication ms-chap-v2 chap"
