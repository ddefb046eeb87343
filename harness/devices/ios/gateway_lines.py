"""What makes a Cisco router the gateway of a testbed: the role of an LNS for Windows clients (roles/gateway.yaml), with policies
and transform sets for clients of all ages. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.devices.ios import roles
from harness.devices.ios.configurations import Section
from harness.devices.ios.roles import filler
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
LOOPBACK, TEMPLATE = 1701, 17
"""Numbers that a router hardly has already: what has them is changed, until it is put back."""
DYNAMIC_NUMBER = 10
DYNAMIC = f"crypto dynamic-map {MAP} {DYNAMIC_NUMBER}"
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
    _check_typed(lns)
    settings: dict[str, Any] = {
        "interface": lns.interface,
        "users": [{"name": user, "password": password} for user, password in lns.users.items()],
        "group": GROUP,
        "template": TEMPLATE,
        "ignore_checksum": True,
        "policies": [
            {"number": number, "encryption": cipher, "hash": "sha", "dh_group": group, "lifetime_s": LIFETIME_S}
            for number, (cipher, group) in enumerate(POLICIES, 1)
        ],
        "key": lns.psk,
        "keepalive_s": None if lns.keepalive_s is None else max(LEAST_KEEPALIVE_S, round(lns.keepalive_s)),
        "lifetime_s": None if lns.lifetime_s in (None, LIFE_S) else max(LEAST_LIFE_S, lns.lifetime_s or 0),
        "transform_sets": [{"name": name, "transforms": f"{cipher} esp-sha-hmac"} for name, cipher in SETS],
        "offered": [name for name, _ in SETS],
        "map": "dynamic",
        "demux": lns.demux,
        "crypto_map": MAP,
        "number": 6000,
        "dynamic_map": MAP,
        "dynamic_number": DYNAMIC_NUMBER,
        "loopback": LOOPBACK,
        "loopback_address": lns.ppp_address,
        "authentication": METHODS,
        "pool": POOL,
        "first": lns.pool_first,
        "last": lns.pool_last,
    }
    return roles.gateway(settings).lines


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


def _check_typed(lns: ClientsLns) -> None:
    """UsageError, which names what a user knows it by."""
    _check_word(lns.psk.reveal(), "the pre-shared key")
    for user, password in lns.users.items():
        _check_word(user, "a user's name")
        _check_word(password.reveal(), f"the password of {user}")


def _check_word(word: str, whose: str) -> None:
    """A question mark would ask for help, a space begin another word."""
    if re.fullmatch(filler.WORD, word) is None:
        cure = "choose another, of ASCII's letters, digits and signs but ?"
        raise UsageError(f"{whose} cannot be typed at a router: it is empty, or has a space, a ? or what is not ASCII", cure=cure)
