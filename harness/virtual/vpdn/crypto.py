"""What a router is told of IPsec for its VPDN groups: transform sets, crypto profiles in a map, keys, lifetimes. Values only.

A crypto profile (`crypto map MAP SEQ ipsec-isakmp profile NAME`) is a template: it negotiates nothing until a tunnel wants it, and
nothing at all unless its map is applied to the interface.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.errors import UsageError
from harness.model import Secret
from harness.wire.config import EspProposal
from harness.wire.esp import AUTHENTICATIONS, ENCRYPTIONS

Mode = Literal["tunnel", "transport"]
MOST_TRANSFORM_SETS = 6


@dataclass(frozen=True, slots=True)
class TransformSet:
    """Names of ciphers as in a personality. `mode` is tunnel unless the set says transport, as on the real device. A set without
    `authentication` can be configured, and protects no tunnel: L2TP security asks for ESP with it."""

    name: str
    encryption: str
    authentication: str | None
    mode: Mode = "tunnel"

    def __post_init__(self) -> None:
        known = self.encryption in ENCRYPTIONS and self.authentication in (None, *AUTHENTICATIONS)
        if not known:
            raise UsageError(
                f"transform set {self.name} names {self.encryption} and {self.authentication}",
                cure=f"one of {', '.join(ENCRYPTIONS)}, with one of {', '.join(AUTHENTICATIONS)}",
            )


@dataclass(frozen=True, slots=True)
class CryptoProfile:
    """`sets` in order of preference, one to six. Lifetimes None: the router's global ones. `pfs` is a group's name. `peer` and
    `match_address` may have been configured, and count for nothing in a profile."""

    map_name: str
    sequence: int
    name: str
    sets: tuple[TransformSet, ...]
    lifetime_s: int | None = None
    lifetime_kb: int | None = None
    pfs: str | None = None
    peer: str | None = None
    match_address: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.sets) <= MOST_TRANSFORM_SETS:
            raise UsageError(
                f"crypto map {self.map_name} {self.sequence} has {len(self.sets)} transform sets",
                cure=f"one to {MOST_TRANSFORM_SETS}, the best first",
            )

    @property
    def mode(self) -> Mode:
        """That of the first set: one SA has one mode, and sets of the other are passed over."""
        return self.sets[0].mode

    @property
    def flawed(self) -> tuple[TransformSet, ...]:
        """Those that are passed over for want of authentication."""
        return tuple(one for one in self.sets if one.authentication is None)


@dataclass(frozen=True, slots=True)
class Crypto:
    """`applied` is the map on the interface towards the peers, None for none. `keys` are pre-shared keys by the peer's address or
    network ("10.0.0.12", "10.0.0.0/8", "0.0.0.0/0"); the longest prefix counts. `named` are those of peers that say a name before
    a key is needed, in aggressive mode. `entries` are those of a map without profiles, in the order in which they are tried: for
    whom (no address: anybody), and what quick mode is offered. `lifetime_s` and `lifetime_kb` are global.
    `rekey_margin` is the share of an SA's life after which whoever began it begins the next one.

    UsageError where two profiles of one map have one name or one sequence number, or a key's address cannot be read."""

    profiles: tuple[CryptoProfile, ...] = ()
    applied: str | None = None
    interface: str = "FastEthernet0/0"
    keys: Mapping[str, Secret] = field(default_factory=dict)
    named: Mapping[str, Secret] = field(default_factory=dict)
    entries: tuple[tuple[tuple[str, ...], tuple[EspProposal, ...]], ...] = ()
    lifetime_s: int = 3600
    lifetime_kb: int = 4_608_000
    rekey_margin: float = 0.8

    def __post_init__(self) -> None:
        names = Counter(f"{one.map_name} has two profiles of the name {one.name}" for one in self.profiles)
        names += Counter(f"{one.map_name} has two entries of the sequence number {one.sequence}" for one in self.profiles)
        twice = [problem for problem, times in names.items() if times > 1]
        if twice:
            raise UsageError(f"crypto map {twice[0]}", cure="give each its own")
        for network in self.keys:
            try:
                ipaddress.IPv4Network(network)
            except ValueError as error:
                raise UsageError(f"a key is for {network!r}, which is no address or network", cure="as in 10.0.0.0/8") from error

    @property
    def active(self) -> tuple[CryptoProfile, ...]:
        """The profiles of the map on the interface, lowest sequence number first: those that can protect anything."""
        found = (one for one in self.profiles if one.map_name == self.applied)
        return tuple(sorted(found, key=lambda one: one.sequence))

    def profile(self, name: str) -> CryptoProfile | None:
        """The active one of this name."""
        return next((one for one in self.active if one.name == name), None)

    def key_for(self, address: str) -> bytes | None:
        """None: the peer has no key here, and gets nowhere."""
        peer = ipaddress.IPv4Address(address)
        networks = [ipaddress.IPv4Network(network) for network in self.keys]
        found = max((network for network in networks if peer in network), key=lambda network: network.prefixlen, default=None)
        if found is None:
            return None
        return next(key.reveal().encode() for name, key in self.keys.items() if ipaddress.IPv4Network(name) == found)

    def rows_for(self, address: str) -> tuple[EspProposal, ...]:
        """What the entries for that peer have, the first one's before the next one's."""
        return tuple(row for peers, rows in self.entries if not peers or address in peers for row in rows)

    def lifetimes(self, profile: CryptoProfile) -> tuple[int, int]:
        """(seconds, kilobytes) that a profile proposes."""
        seconds = self.lifetime_s if profile.lifetime_s is None else profile.lifetime_s
        kilobytes = self.lifetime_kb if profile.lifetime_kb is None else profile.lifetime_kb
        return seconds, kilobytes

    def proposals(self, profile: CryptoProfile) -> tuple[EspProposal, ...]:
        """A profile's transform sets as quick mode offers them."""
        lives = self.lifetimes(profile)
        sets = ((one.encryption, one.authentication) for one in profile.sets if one.mode == profile.mode)
        return tuple(EspProposal(cipher, proof, *lives) for cipher, proof in sets if proof is not None)
