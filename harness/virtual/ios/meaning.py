"""What a configuration means for the LNS behind it: a gateway's settings. Pure, and nothing is invented: what a configuration
does not have, the gateway does not do.

Which values IOS takes where a line is missing: group 1, DES and SHA of a policy; tunnel mode of a transform set; 3600 s and
4608000 kB.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from harness.model import Secret
from harness.virtual.ios import login, meaning_aaa, passwords
from harness.virtual.ios.configuration import Entry
from harness.virtual.settings import Personality, Settings
from harness.wire.config import EspProposal, IkeProposal

GROUPS = {"1": "modp768", "2": "modp1024", "5": "modp1536", "14": "modp2048", "19": "ecp256", "20": "ecp384"}
HASHES = {"md5": "md5", "sha": "sha1", "sha256": "sha256"}
CIPHERS = {"esp-des": "des", "esp-3des": "3des", "esp-null": "null"}
HMACS = {"esp-md5-hmac": "md5", "esp-sha-hmac": "sha1", "esp-sha256-hmac": "sha256"}
LIFETIME = "security-association lifetime"


@dataclass(frozen=True, slots=True)
class Lns:
    """`settings` is None where no LNS is configured; `lacks` says in sentences what keeps it, or a part of it, from working."""

    settings: Settings | None
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MapEntry:
    """An entry of a crypto map as it counts, a dynamic one in the place of the one that names it. `line` is its heading. `esp` are
    its transform sets, of which those in tunnel mode can carry no L2TP and are left out. `peers`: for whom it is, anybody where
    there are none."""

    line: str
    demux: bool
    esp: tuple[EspProposal, ...]
    peers: tuple[str, ...] = ()


def lns(tree: Entry, base: Personality) -> Lns:
    """`base` gives what no command of a router says: retransmissions, vendor IDs, limits."""
    group = _group(tree)
    if not tree.has("vpdn enable") or group is None:
        return Lns(None, ("no `vpdn enable` with a vpdn-group that has `accept-dialin`",))
    lacks: list[str] = []
    template = tree.first(f"interface Virtual-Template{(group.first('accept-dialin') or group).value('virtual-template') or ''}")
    pool = _pool(tree, template)
    if template is None or pool is None:
        return Lns(None, ("the virtual template, or the pool that it names, does not exist",))
    outside = next((one for one in tree.find("interface") if one.value("crypto map") and not one.has("shutdown")), None)
    entries = tuple(map_entries(tree, outside.value("crypto map") or "")) if outside is not None else ()
    if outside is None:
        lacks.append("no interface has a crypto map: nothing is protected")
        wires = (one for one in tree.find("interface") if one.words[1].startswith(("Fast", "Gigabit", "Ethernet")))
        outside = next((one for one in wires if address_of(one)), None)
    address = address_of(outside)
    if address is None:
        return Lns(None, ("no interface towards the clients has an address",))
    secret = _wildcard_key(tree)
    proposals = ike_proposals(tree)
    esp = tuple(proposal for entry in entries for proposal in entry.esp)
    if entries and not (keys(tree) and proposals and esp):
        lacks.append("no key for an address, no policy with pre-shared keys, or no transform set for transport: no SA can come up")
    password = tunnel_password(tree, group)
    personality = base_changed(
        base,
        ipsec=bool(entries),
        demux=any(entry.demux for entry in entries),
        checksum="ignore" if tree.has("vpdn ip udp ignore checksum") else "verify",
        ike_proposals=proposals,
        esp_proposals=esp,
        dpd=keepalive(tree),
        idle=idle_time(tree, outside.value("crypto map") or "") if outside is not None else None,
        hello=_seconds(group.value("l2tp tunnel hello"), base.hello),
        echo=link_keepalive(template, base),
        secret=password,
        challenge=password is not None,
        host_name=group.value("local name") or tree.value("hostname") or "Router",
        ppp_name=tree.value("hostname") or "Router",
        authentication=meaning_aaa.ppp_methods(template),
    )
    return Lns(
        Settings(
            personality,
            address=str(address.ip),
            psk=Secret(secret or ""),
            users=users(tree),
            ppp_address=str((address_of(lender(tree, template)) or address).ip),
            pool_first=pool[0],
            pool_last=pool[1],
            lan=lan(tree, outside, pool[0]),
            aaa=meaning_aaa.aaa(tree, meaning_aaa.ppp_lists(template), outside, lacks),
            routes=routes(tree, outside),
        ),
        tuple(lacks),
    )


def users(tree: Entry) -> dict[str, Secret]:
    """Those whose password can be read; one that is kept as a digest proves nothing by CHAP."""
    found = {}
    for entry in tree.find("username"):
        known = login.user_of(tree, entry.words[1])
        if known is not None and (plain := passwords.clear(known[1])) is not None:
            found[entry.words[1]] = Secret(plain)
    return found


def base_changed(base: Personality, **changes: object) -> Personality:
    return Settings(base).changed(**changes).personality


def ike_proposals(tree: Entry) -> tuple[IkeProposal, ...]:
    """The policies with pre-shared keys, by priority."""
    found = []
    for policy in tree.find("crypto isakmp policy"):
        if policy.value("authentication") == "pre-share":
            cipher = (policy.value("encr") or "des").split()
            encryption = f"aes-{cipher[1] if len(cipher) > 1 else 128}" if cipher[0] == "aes" else cipher[0]
            group, hash_ = GROUPS[policy.value("group") or "1"], HASHES[policy.value("hash") or "sha"]
            found.append(IkeProposal(encryption, hash_, group, int(policy.value("lifetime") or 86400)))
    return tuple(found)


def map_entries(tree: Entry, name: str) -> Iterator[MapEntry]:
    """A crypto map's entries in the order in which they are tried: by number, those of a dynamic map by theirs. A dynamic map
    that does not exist has none."""
    for entry in tree.find(f"crypto map {name}"):
        words = entry.words
        if "dynamic" in words[5:6]:
            yield from (_map_entry(tree, one) for one in tree.find(f"crypto dynamic-map {words[6]}"))
        elif words[4:5] == ("ipsec-isakmp",):
            yield _map_entry(tree, entry)


def by_peer(tree: Entry) -> tuple[tuple[tuple[str, ...], tuple[EspProposal, ...]], ...]:
    """For whom each entry of the map on the interface is, and what it has, in the order in which they are tried."""
    applied = next((name for one in tree.find("interface") if not one.has("shutdown") and (name := one.value("crypto map"))), "")
    return tuple((entry.peers, entry.esp) for entry in map_entries(tree, applied)) if applied else ()


def _map_entry(tree: Entry, entry: Entry) -> MapEntry:
    own, everywhere = f"set {LIFETIME}", f"crypto ipsec {LIFETIME}"
    seconds = entry.value(f"{own} seconds") or tree.value(f"{everywhere} seconds") or "3600"
    kilobytes = entry.value(f"{own} kilobytes") or tree.value(f"{everywhere} kilobytes") or "4608000"
    found = []
    for name in (entry.value("set transform-set") or "").split():
        words = (tree.value(f"crypto ipsec transform-set {name}") or "").split()
        hmac = next((HMACS[one] for one in words if one in HMACS), None)
        entry_of_set = tree.first(f"crypto ipsec transform-set {name}")
        transport = entry_of_set is not None and (entry_of_set.value("mode") or "").startswith("transport")
        if (cipher := cipher_of(words)) is not None and hmac is not None and transport:
            found.append(EspProposal(cipher, hmac, int(seconds), int(kilobytes)))
    peers = tuple(one.words[2] for one in entry.find("set peer"))
    return MapEntry(entry.line, entry.has("set nat demux"), tuple(found), peers)


def cipher_of(words: list[str]) -> str | None:
    if "esp-aes" in words:
        after = words[words.index("esp-aes") + 1 :][:1]
        return f"aes-{after[0]}" if after and after[0].isdecimal() else "aes-128"
    return next((CIPHERS[one] for one in words if one in CIPHERS), None)


def _group(tree: Entry) -> Entry | None:
    for group in tree.find("vpdn-group"):
        dialin = group.first("accept-dialin")
        if dialin is not None and dialin.value("protocol") in ("l2tp", "any"):
            return group
    return None


def _pool(tree: Entry, template: Entry | None) -> tuple[str, str] | None:
    name = template.value("peer default ip address pool") if template else None
    ends = (tree.value(f"ip local pool {name}") or "").split() if name else []
    return (ends[0], ends[-1]) if ends else None


def address_of(interface: Entry | None) -> ipaddress.IPv4Interface | None:
    words = ((interface.value("ip address") if interface else None) or "").split()
    return ipaddress.IPv4Interface("/".join(words[:2])) if len(words) >= 2 else None


def lender(tree: Entry, template: Entry) -> Entry | None:
    lender = template.value("ip unnumbered")
    return tree.first(f"interface {lender}") if lender else template


def lan(tree: Entry, outside: Entry | None, pool: str) -> str | None:
    """The interface whose network the pool belongs to; without one, the first other than the clients'."""
    others = [found for one in tree.find("interface") if one != outside and not one.has("shutdown") and (found := address_of(one))]
    wide = [one for one in others if one.network.prefixlen < 32]
    near = [one for one in wide if ipaddress.IPv4Address(pool) in one.network]
    return str((near or wide)[0]) if near or wide else None


def _seconds(said: str | None, default: float | None) -> float | None:
    """0 is never."""
    return default if said is None else float(said) or None


def routes(tree: Entry, outside: Entry | None) -> tuple[str, ...]:
    """The networks behind a router: those of its interfaces save the one towards the clients, and of its static routes."""
    up = [one for one in tree.find("interface") if one != outside and not one.has("shutdown")]
    connected = [str(found.network) for one in up if (found := address_of(one))]
    static = [entry.words[2:4] for entry in tree.find("ip route") if entry.words[2] != "vrf"]
    return tuple(dict.fromkeys((*connected, *(str(ipaddress.IPv4Network("/".join(words), strict=False)) for words in static))))


def _wildcard_key(tree: Entry) -> str | None:
    """The key of whoever has no key of its own: `crypto isakmp key … address 0.0.0.0`, or a keyring's."""
    for entry in tree.find("crypto isakmp key"):
        words = entry.words[3:]
        words = words[1:] if words[0] in ("0", "6") and words[1] != "address" else words
        if words[1:3] == ("address", "0.0.0.0"):
            return words[0]
    for ring in tree.find("crypto keyring"):
        for entry in ring.find("pre-shared-key address 0.0.0.0"):
            words = entry.words
            return passwords.clear(" ".join(words[words.index("key") + 1 :]))
    return None


def keys(tree: Entry) -> dict[str, Secret]:
    """Pre-shared keys by the network that they are for, as "10.0.0.12/32"; those that cannot be read are left out. A key for a
    host's name is none for an address."""
    found: dict[str, Secret] = {}
    lines = [entry.words[3:] for entry in tree.find("crypto isakmp key")]
    for words in lines:
        words = words[1:] if words[0] in ("0", "6") and words[1] != "address" else words
        if words[1] == "address":
            found[_network(words[2:4])] = Secret(words[0])
    for ring in tree.find("crypto keyring"):
        for entry in ring.find("pre-shared-key address"):
            at = entry.words.index("key")
            if (plain := passwords.clear(" ".join(entry.words[at + 1 :]))) is not None:
                found.setdefault(_network(entry.words[2:at]), Secret(plain))
    return found


def named_keys(tree: Entry) -> dict[str, Secret]:
    """Pre-shared keys by the name that a peer gives as its identity."""
    found: dict[str, Secret] = {}
    for entry in tree.find("crypto isakmp key"):
        words = entry.words[3:]
        words = words[1:] if words[0] in ("0", "6") and words[1] != "hostname" else words
        if words[1] == "hostname":
            found[words[2]] = Secret(words[0])
    for ring in tree.find("crypto keyring"):
        for entry in ring.find("pre-shared-key hostname"):
            if (plain := passwords.clear(" ".join(entry.words[4:]))) is not None:
                found.setdefault(entry.words[2], Secret(plain))
    return found


def _network(words: tuple[str, ...]) -> str:
    """Of an address and a mask; without a mask it is one host, save 0.0.0.0, which is anybody."""
    masked = [word for word in words if word[:1].isdecimal()]
    mask = masked[1] if len(masked) > 1 else ("0" if masked[0] == "0.0.0.0" else "32")
    return str(ipaddress.IPv4Network(f"{masked[0]}/{mask}", strict=False))


def tunnel_password(tree: Entry, group: Entry) -> str | None:
    """With which tunnels prove themselves; None where they need not. Without a password of its own a group has that of the user
    who is called as the tunnel is."""
    if group.has("no l2tp tunnel authentication"):
        return None
    if (own := group.value("l2tp tunnel password")) is not None:
        return passwords.clear(own)
    found = login.user_of(tree, group.value("local name") or tree.value("hostname") or "Router")
    return (passwords.clear(found[1]) if found else None) or ""


def link_keepalive(template: Entry | None, base: Personality) -> float | None:
    """How often a PPP link is asked whether it lives (LCP Echo-Request), in seconds: `keepalive N`, `no keepalive`; without such a
    line as in `base`."""
    if template is None:
        return base.echo
    seconds = template.value("keepalive")
    return None if template.has("no keepalive") or seconds == "0" else float(seconds or 0) or base.echo


def idle_time(tree: Entry, name: str) -> float | None:
    """After how many seconds without a packet a peer's SAs go: as the entries of that map say, else as all do; None is never."""
    dynamic = [entry.words[6] for entry in tree.find(f"crypto map {name}") if "dynamic" in entry.words[5:6]]
    entries = [*tree.find(f"crypto map {name}"), *(one for map_ in dynamic for one in tree.find(f"crypto dynamic-map {map_}"))]
    own = (entry.value("set security-association idle-time") for entry in entries)
    said = next((one for one in own if one), None) or tree.value("crypto ipsec security-association idle-time")
    return float(said) if said else None


def keepalive(tree: Entry) -> float | None:
    said = tree.value("crypto isakmp keepalive")
    return float(said.split()[0]) if said else None
