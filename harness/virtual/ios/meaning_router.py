"""Which role a configuration has, and the settings of it: an LNS with one policy for all clients (`set nat demux` and the like), or
LNS and LAC by VPDN groups with crypto profiles. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from harness.errors import UsageError
from harness.virtual.aaa.settings import DEFAULT_LISTS
from harness.virtual.ios import meaning, meaning_aaa, meaning_pppoe, meaning_rip, meaning_vpdn
from harness.virtual.ios.configuration import Entry
from harness.virtual.ios.meaning_pppoe import PppoeAccess
from harness.virtual.rip import RipConfig
from harness.virtual.settings import FIXED, Personality, Settings
from harness.virtual.vpdn.crypto import Crypto

OF_GROUPS = ("terminate-from", "lcp renegotiation", "ip pmtu", "ip dfbit set")
"""Lines of a vpdn-group that one policy for all does not know."""
NO_ADDRESS = "0.0.0.0"
"""Both ends of the pool of a router that has none."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """`settings` None: nothing is served. `keys` answers for whom there is which key. `lacks` says in sentences what does not
    work. `rip`: what is told of routes on the callers' links, None: nothing. `pppoe`: where callers come in by Ethernet."""

    settings: Settings | None
    keys: Crypto = field(default_factory=Crypto)
    lacks: tuple[str, ...] = ()
    rip: RipConfig | None = None
    pppoe: tuple[PppoeAccess, ...] = ()


def meant(tree: Entry, base: Personality) -> Meaning:
    """`base` gives what no command of a router says: retransmissions, vendor IDs, limits."""
    keys = Crypto(keys=meaning.keys(tree), named=meaning.named_keys(tree))
    try:
        found, lacks = _meant(tree, base, keys), list[str]()
        routes = None if found.settings is None else meaning_rip.rip(tree, lacks)
        pppoe = meaning_pppoe.accesses(tree, lacks)
        return replace(found, rip=routes, pppoe=pppoe, lacks=(*found.lacks, *lacks))
    except UsageError as error:  # a router takes lines that fit nothing, a pool that ends before it begins
        return Meaning(None, keys, (str(error),))


def _meant(tree: Entry, base: Personality, keys: Crypto) -> Meaning:
    if _by_groups(tree):
        return _grouped(tree, base, keys)
    found = meaning.lns(tree, base)
    keys = replace(keys, entries=meaning.by_peer(tree))
    lacks = list(found.lacks)
    for group in tree.find("vpdn-group"):
        if group.first("request-dialin") is not None:
            lacks.append(f"vpdn-group {group.words[1]}: the LAC needs a crypto map with profiles, or none, on the interface")
        unheeded = [line for line in OF_GROUPS if group.find(line)]
        if unheeded and found.settings is not None:
            lacks.append(f"vpdn-group {group.words[1]}: {', '.join(unheeded)}: only beside a crypto map with profiles, or none")
    return Meaning(found.settings, keys, tuple(lacks))


def _by_groups(tree: Entry) -> bool:
    """A crypto map without profiles on the interface is one policy for whoever comes, unless a group asks for a profile: that group
    is served by none then. Else groups decide where there is anything that one policy does not know."""
    applied = next((name for one in tree.find("interface") if not one.has("shutdown") and (name := one.value("crypto map"))), None)
    entries = [] if applied is None else [one for one in tree.find(f"crypto map {applied}") if one.words[3].isdecimal()]
    groups = tree.find("vpdn-group")
    if any(one.words[5:6] == ("profile",) for one in entries) or any(group.find("l2tp security") for group in groups):
        return True
    if entries:
        return False
    asked = ("request-dialin", *OF_GROUPS)
    return meaning_vpdn.has_profiles(tree) or any(group.find(one) for group in groups for one in asked)


def _grouped(tree: Entry, base: Personality, keys: Crypto) -> Meaning:
    lacks: list[str] = []
    vpdn = meaning_vpdn.vpdn(tree, lacks)
    wires = [one for one in tree.find("interface") if meaning.address_of(one) and not one.has("shutdown")]
    applied = [one for one in wires if one.value("crypto map")]
    named = [one for one in wires if one.words[1].startswith(("Fast", "Gigabit", "Ethernet"))]
    outside = next(iter((*applied, *named)), None)
    address = meaning.address_of(outside)
    if vpdn is None or address is None:
        return Meaning(None, keys, (*lacks, *([] if address else ["no interface towards the peers has an address"])))
    proposals = meaning.ike_proposals(tree)
    if applied and not (proposals and keys.keys):
        lacks.append("no key for an address, or no policy with pre-shared keys: no SA can come up")
    name = tree.value("hostname") or "Router"
    entries = (entry for one in applied[:1] for entry in tree.find(f"crypto map {one.value('crypto map')}"))
    template = next((one for one in tree.find("interface") if one.words[1].startswith("Virtual-Template")), None)
    personality = meaning.base_changed(
        base,
        ipsec=True,
        demux=any(entry.has("set nat demux") for entry in entries),
        checksum="ignore" if tree.has("vpdn ip udp ignore checksum") else "verify",
        ike_proposals=proposals,
        esp_proposals=(),
        dpd=meaning.keepalive(tree),
        echo=meaning.link_keepalive(template, base),
        idle=None,
        secret=None,
        challenge=False,
        host_name=name,
        ppp_name=name,
        authentication=(),
    )
    lender = None if template is None else meaning.lender(tree, template)
    ends = next(iter(vpdn.pools.values()), (NO_ADDRESS, NO_ADDRESS))
    settings = Settings(
        personality,
        address=str(address.ip),
        users=meaning.users(tree),
        ppp_address=str((meaning.address_of(lender) or address).ip),
        pool_first=NO_ADDRESS,
        pool_last=NO_ADDRESS,
        lan=meaning.lan(tree, outside, ends[0]),
        routes=meaning.routes(tree, outside),
        vpdn=vpdn,
        aaa=meaning_aaa.aaa(tree, DEFAULT_LISTS, outside, lacks),
    )
    return Meaning(settings, keys, tuple(lacks))


def differences(old: Settings, new: Settings) -> Mapping[str, Any]:
    """The settings that differ, by name, with their new values."""
    names = [f.name for f in fields(old) if f.name != "personality"]
    found = {name: getattr(new, name) for name in names if getattr(old, name) != getattr(new, name)}
    look = (f.name for f in fields(old.personality))
    found |= {
        name: getattr(new.personality, name) for name in look if getattr(old.personality, name) != getattr(new.personality, name)
    }
    return found


def needs_rebuild(old: Settings, new: Settings) -> bool:
    """Whether what differs can only be set before the start: what the core says, another role, and another range of a pool."""
    if set(FIXED) & differences(old, new).keys() or (old.vpdn is None) is not (new.vpdn is None):
        return True
    if old.vpdn is None or new.vpdn is None:
        return False
    shared = old.vpdn.pools.keys() & new.vpdn.pools.keys()
    return any(old.vpdn.pools[name] != new.vpdn.pools[name] for name in shared)
