"""The lines that make a Cisco router the gateway of a testbed: an LNS for Windows clients, as "L2TP-IPsec Support for NAT and PAT
Windows Clients" has it. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from harness.devices.ios.configurations import Section
from harness.errors import UsageError
from harness.model.secret import Secret

POLICIES = (
    ("aes 256", "14"),
    ("aes", "14"),
    ("3des", "14"),
    ("3des", "2"),
)
"""Cipher and group of the ISAKMP policies, all with SHA-1, strongest first: what Windows clients of all ages offer. They take the
first numbers, for the router takes the first policy that fits, and a policy that is there keeps what no line says."""
LIFETIME_S = 86400
SETS = (("NATSTORM-AES256", "esp-aes 256"), ("NATSTORM-AES", "esp-aes"), ("NATSTORM-3DES", "esp-3des"))
"""Transform sets and their ciphers, all with SHA-1 and in transport mode."""
MAP, POOL, GROUP = "NATSTORM", "NATSTORM", "NATSTORM"
TRANSFORMS = f"set transform-set {' '.join(name for name, _ in SETS)}"
LOOPBACK, TEMPLATE = "Loopback1701", 17
"""Numbers that a router hardly has already: what has them is changed, until it is put back."""
DYNAMIC = "crypto dynamic-map NATSTORM 10"
LEAST_KEEPALIVE_S, LEAST_LIFE_S = 10, 120
LIFE_S = 3600
"""What an ESP SA lives without a line."""
METHODS = "ms-chap-v2 chap"


@dataclass(frozen=True, slots=True)
class ClientsLns:
    """`interface` is the one towards the clients, which has its address already. Times in seconds; `keepalive_s` None: the router
    never asks whether a peer is there; `lifetime_s` of ESP SAs, None: as the router has it. `peer` is the address that the clients
    come from, the NAT's."""

    interface: str
    psk: Secret
    ppp_address: str
    pool_first: str
    pool_last: str
    users: Mapping[str, Secret] = field(default_factory=dict)
    keepalive_s: float | None = None
    lifetime_s: int | None = None
    demux: bool = True
    peer: str = ""


def gateway_lines(lns: ClientsLns) -> tuple[str, ...]:
    """Lines of a section are indented. They hold secrets. UsageError where one of these cannot be typed at a router."""
    return tuple(_lines(lns))


def demux_lines(on: bool) -> tuple[str, ...]:
    """What turns demultiplexing on or off for SAs that are made from now on."""
    return DYNAMIC, f" {'' if on else 'no '}set nat demux"


def in_the_way(there: Section, lns: ClientsLns) -> tuple[str, ...]:
    """The lines of a router's configuration that would go before ours: what takes the clients' tunnels, or is another key for them.
    Keys are left out."""
    return (*_other_groups(there), *_other_keys(there, lns.peer))


def _other_groups(there: Section) -> Iterator[str]:
    """A group that names nobody takes whoever no other group does."""
    for line, below in there.items():
        anybody = not any(one.startswith("terminate-from ") for one in below)
        takes = {"protocol l2tp", "protocol any"} & below.get("accept-dialin", {}).keys()
        if line.startswith("vpdn-group ") and line != f"vpdn-group {GROUP}" and takes and anybody:
            yield line


def _other_keys(there: Section, peer: str) -> Iterator[str]:
    """The longest prefix goes first, and ours is for anybody."""
    for line in there:
        start, found, where = line.partition(" address ")
        words = where.split()
        if not start.startswith("crypto isakmp key ") or not found or not words or not peer:
            continue
        mask = words[1] if len(words) > 1 and words[1][0].isdecimal() else "255.255.255.255"
        if words[0] != "0.0.0.0" and ipaddress.IPv4Address(peer) in ipaddress.IPv4Network(f"{words[0]}/{mask}", strict=False):
            yield f"crypto isakmp key *** address {where}"


def _typed(word: str, whose: str) -> str:
    """A question mark would ask for help, a space begin another word."""
    if re.fullmatch(r"[!-~]+", word) is None or "?" in word:
        cure = "choose another, of ASCII's letters, digits and signs but ?"
        raise UsageError(f"{whose} cannot be typed at a router: it is empty, or has a space, a ? or what is not ASCII", cure=cure)
    return word


def _lines(lns: ClientsLns) -> Iterator[str]:
    for user, password in lns.users.items():
        known = _typed(user, "a user's name")
        yield f"username {known} password 0 {_typed(password.reveal(), f'the password of {known}')}"
    yield f"ip local pool {POOL} {lns.pool_first} {lns.pool_last}"
    yield from ("vpdn enable", "vpdn ip udp ignore checksum", f"vpdn-group {GROUP}")
    yield from (" accept-dialin", "  protocol l2tp", f"  virtual-template {TEMPLATE}", " no l2tp tunnel authentication")
    for number, (cipher, group) in enumerate(POLICIES, 1):
        yield from (f"crypto isakmp policy {number}", f" encr {cipher}", " hash sha", " authentication pre-share")
        yield from (f" group {group}", f" lifetime {LIFETIME_S}")
    yield f"crypto isakmp key {_typed(lns.psk.reveal(), 'the pre-shared key')} address 0.0.0.0 0.0.0.0"
    if lns.keepalive_s is not None:
        yield f"crypto isakmp keepalive {max(LEAST_KEEPALIVE_S, round(lns.keepalive_s))}"
    if lns.lifetime_s not in (None, LIFE_S):
        yield f"crypto ipsec security-association lifetime seconds {max(LEAST_LIFE_S, lns.lifetime_s or 0)}"
    for name, cipher in SETS:
        yield from (f"crypto ipsec transform-set {name} {cipher} esp-sha-hmac", " mode transport")
    yield DYNAMIC
    if lns.demux:
        yield " set nat demux"
    yield f" {TRANSFORMS}"
    yield f"crypto map {MAP} 6000 ipsec-isakmp dynamic NATSTORM"
    yield from (f"interface {LOOPBACK}", f" ip address {lns.ppp_address} 255.255.255.255")
    yield from (f"interface Virtual-Template{TEMPLATE}", f" ip unnumbered {LOOPBACK}", f" peer default ip address pool {POOL}")
    yield f" ppp authentication {METHODS}"
    yield from (f"interface {lns.interface}", f" crypto map {MAP}")
