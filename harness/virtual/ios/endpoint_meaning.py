"""What a configuration means for a tunnel-mode VPN endpoint: a plan of it. Pure; what is configured and not honoured is told in
sentences.

    crypto map M, crypto dynamic-map, access lists, crypto ipsec transform-set     the policy of the interface with `crypto map M`
    crypto isakmp policy, key, keepalive, nat keepalive, enable                    IKE
    crypto ipsec nat-transparency, security-association lifetime, idle-time        everywhere
    interfaces and routes                                                          which networks lie inside
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from harness.errors import UsageError
from harness.model import Secret
from harness.virtual.crypto_map import (
    LIFETIME_KB,
    LIFETIME_S,
    CryptoMap,
    DynamicReference,
    IsakmpEntry,
    ManualEntry,
    MapEntry,
    Policy,
    SessionKey,
    TransformSet,
)
from harness.virtual.crypto_map_edits import key_octets, remarks, transform_set
from harness.virtual.ios import meaning
from harness.virtual.ios.access_lists import lists
from harness.virtual.ios.configuration import Entry
from harness.virtual.ios.endpoint_sides import Sides, sides
from harness.virtual.ios.meaning import LIFETIME
from harness.virtual.ios.meaning_vpdn import PFS
from harness.virtual.ios.rules import SPI, UDP
from harness.virtual.nat_transparency import NatTransparency
from harness.virtual.vpn_settings import EndpointSettings, IsakmpKey

GATE = "nat-transparency"


@dataclass(frozen=True, slots=True)
class Plan:
    """`settings` is None where no interface can be taken for the outside one, `interface` its name; `up`: it is not shut down.
    `lacks` says in sentences what is configured and does nothing, or not what it says."""

    settings: EndpointSettings | None = None
    interface: str = ""
    up: bool = False
    lacks: tuple[str, ...] = ()


def plan(tree: Entry, features: frozenset[str], known: str = "") -> Plan:
    """`known` is taken for the outside interface where neither a crypto map nor a default route says which it is."""
    lacks: list[str] = []
    around = sides(tree, known, lacks)
    if around is None:
        return Plan(lacks=tuple(lacks))
    policy = _policy(tree, around, lacks)
    lacks += remarks(policy)
    proposals, keys = meaning.ike_proposals(tree), _keys(tree)
    isakmp = not tree.has("no crypto isakmp enable")
    if policy.crypto_map is not None and isakmp and any(not isinstance(one, ManualEntry) for one in policy.crypto_map.entries):
        lacks += [] if proposals else ["no `crypto isakmp policy` with pre-shared keys: no SA can be negotiated"]
        lacks += [] if keys else ["no `crypto isakmp key` for an address: no SA can be negotiated"]
    if (identity := tree.value("crypto isakmp identity")) not in (None, "address"):
        lacks.append(f"`crypto isakmp identity {identity}` is not followed: it is the address")
    idle = tree.value("crypto ipsec security-association idle-time")
    keepalive = tree.value("crypto isakmp nat keepalive")
    settings = EndpointSettings(
        around.address,
        around.inside,
        policy,
        keys,
        ike_proposals=proposals,
        nat_transparency=transparency(tree, features),
        dpd_s=meaning.keepalive(tree),
        keepalive_s=float(keepalive) if keepalive else 0.0,
        idle_s=float(idle) if idle else None,
        isakmp=isakmp,
    )
    return Plan(settings, around.interface, around.up, tuple(lacks))


def transparency(tree: Entry, features: frozenset[str]) -> NatTransparency:
    """A release that does not know the command does not know UDP encapsulation either."""
    spi, off = tree.has(SPI), tree.has(f"no {UDP}")
    return NatTransparency(spi_matching=spi, udp_off=GATE not in features or (off and not spi))


def _keys(tree: Entry) -> tuple[IsakmpKey, ...]:
    return tuple(IsakmpKey(ipaddress.IPv4Network(network), key) for network, key in meaning.keys(tree).items())


# --- the policy ---


def _policy(tree: Entry, around: Sides, lacks: list[str]) -> Policy:
    known = lists(tree)
    lacks += [f"`{line}` says more than is looked at here, and matches nothing" for line in known.unread]
    life = f"crypto ipsec {LIFETIME}"
    sets = dict(_transform_sets(tree, lacks))
    dynamic: dict[str, tuple[IsakmpEntry, ...]] = {}
    for entry in tree.find("crypto dynamic-map"):
        dynamic[entry.words[2]] = (*dynamic.get(entry.words[2], ()), _isakmp_entry(tree, entry, 3, lacks))
    return Policy(
        None if around.crypto_map is None else crypto_map(tree, around.crypto_map, sets, lacks),
        known.found,
        sets,
        dynamic,
        int(tree.value(f"{life} seconds") or LIFETIME_S),
        int(tree.value(f"{life} kilobytes") or LIFETIME_KB),
    )


def _transform_sets(tree: Entry, lacks: list[str]) -> Iterator[tuple[str, TransformSet]]:
    for entry in tree.find("crypto ipsec transform-set"):
        name = entry.words[3]
        transport = (entry.value("mode") or "").startswith("transport")
        try:
            yield name, transform_set(name, entry.words[4:], "transport" if transport else "tunnel")
        except UsageError as error:
            lacks.append(f"`{entry.line}` counts for nothing: {error}")


def crypto_map(tree: Entry, name: str, sets: Mapping[str, TransformSet], lacks: list[str]) -> CryptoMap:
    """The set of that name, be it on an interface or not; without entries where there is none."""
    found: list[MapEntry] = []
    for entry in tree.find(f"crypto map {name}"):
        form = entry.words[4:]
        if not entry.words[3].isdecimal():
            continue
        if form[:1] == ("ipsec-manual",):
            found.append(_manual_entry(tree, entry, sets, lacks))
        elif form[1:2] == ("dynamic",):
            found.append(DynamicReference(int(entry.words[3]), form[2], form[3:] == ("discover",)))
        elif form[1:2] == ("profile",):
            lacks.append(f"`{entry.line}` protects L2TP tunnels, which this role has none of")
        else:
            found.append(_isakmp_entry(tree, entry, 3, lacks))
    return CryptoMap(name, tuple(found), tree.value(f"crypto map {name} client-accounting-list"))


def _isakmp_entry(tree: Entry, entry: Entry, at: int, lacks: list[str]) -> IsakmpEntry:
    own = f"set {LIFETIME}"
    seconds, kilobytes, pfs = entry.value(f"{own} seconds"), entry.value(f"{own} kilobytes"), entry.value("set pfs")
    for line in ("set security-association level per-host", "set security-association idle-time", "set isakmp-profile"):
        if entry.find(line):
            lacks.append(f"{entry.line}: `{line}` is not followed")
    return IsakmpEntry(
        int(entry.words[at]),
        entry.value("match address"),
        tuple(_peers(tree, entry, lacks)),
        tuple((entry.value("set transform-set") or "").split()),
        None if seconds is None else int(seconds),
        None if kilobytes is None else int(kilobytes),
        None if pfs is None else PFS[pfs],
    )


def _peers(tree: Entry, entry: Entry, lacks: list[str]) -> Iterator[str]:
    """In the order in which they are tried: the default one first. A name is looked up among the hosts of the configuration."""
    lines = sorted(entry.find("set peer"), key=lambda one: one.words[-1] != "default")
    for line in lines:
        name = line.words[2]
        address = name if name[0].isdigit() else tree.value(f"ip host {name}")
        if address is None:
            lacks.append(f"{entry.line}: the peer {name} has no address, for want of `ip host {name}`")
        else:
            yield address


def _manual_entry(tree: Entry, entry: Entry, sets: Mapping[str, TransformSet], lacks: list[str]) -> ManualEntry:
    """Keys that do not fit their transform set are left out."""
    names = tuple((entry.value("set transform-set") or "").split())
    made = ManualEntry(int(entry.words[3]), entry.value("match address"), tuple(_peers(tree, entry, lacks)), names)
    if len(names) != 1 or names[0] not in sets:
        return made
    row = sets[names[0]]
    kept = []
    for key in map(_session_key, entry.find("set session-key")):
        try:
            if row.ah if key.protocol == "ah" else row.encryption:
                key_octets(key, row)
                kept.append(key)
        except UsageError as error:
            lacks.append(f"{entry.line}: {error}")
    return replace(made, keys=tuple(kept))


def _session_key(line: Entry) -> SessionKey:
    words = line.words
    spi = int(words[4])
    direction, keys = ("inbound" if words[2] == "inbound" else "outbound"), words[5:]
    if words[3] == "ah":
        return SessionKey(direction, "ah", spi, authenticator=Secret(keys[0]))  # type: ignore[arg-type]
    proof = Secret(keys[3]) if len(keys) > 2 else None
    return SessionKey(direction, "esp", spi, Secret(keys[1]), proof)  # type: ignore[arg-type]
