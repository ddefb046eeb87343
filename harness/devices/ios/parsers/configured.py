"""What a configuration's sections mean, as values, and how each is made of its heading and the lines below it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from harness.model.secret import Secret

_SECRET = re.compile(
    r"(?<![\w-])((?:password|secret|key|key-string|community|pre-shared-key)(?: [0-9])?) (?!address\b|hostname\b)(\S+)"
)


def masked(line: str) -> str:
    """The line with what is secret in it as `***`."""
    return _SECRET.sub(r"\1 ***", line)


@dataclass(frozen=True, slots=True)
class IsakmpPolicy:
    """`crypto isakmp policy`: None is what the release has by default. `lifetime_s` seconds."""

    priority: int
    encryption: str | None = None
    hash: str | None = None
    authentication: str | None = None
    group: str | None = None
    lifetime_s: int | None = None
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IsakmpKey:
    """`crypto isakmp key`, for an address with its mask ("0.0.0.0" for any) or for a host name."""

    key: Secret
    address: str | None = None
    mask: str | None = None
    hostname: str | None = None
    no_xauth: bool = False


@dataclass(frozen=True, slots=True)
class TransformSet:
    """`crypto ipsec transform-set`. `mode` "transport" or "tunnel", None for the default (tunnel)."""

    name: str
    transforms: tuple[str, ...]
    mode: str | None = None
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MapEntry:
    """`crypto map NAME NUMBER` or, with kind "template", `crypto dynamic-map NAME NUMBER`. `dynamic` is the dynamic map that it
    stands for, `profile` the name under which it is a crypto profile. `lifetime_s` seconds, `lifetime_kb` kilobytes."""

    name: str
    sequence: int
    kind: str
    dynamic: str | None = None
    discover: bool = False
    profile: str | None = None
    peers: tuple[str, ...] = ()
    match_address: str | None = None
    transform_sets: tuple[str, ...] = ()
    pfs: str | None = None
    lifetime_s: int | None = None
    lifetime_kb: int | None = None
    nat_demux: bool = False
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VpdnGroup:
    """`vpdn-group`. `role` is "accept-dialin", "request-dialin", …; `crypto_profile` that of `l2tp security`, with `keep_sa`.
    `lcp_renegotiation` "always" or "on-mismatch"; None for what is not configured."""

    name: str
    role: str | None = None
    protocol: str | None = None
    virtual_template: int | None = None
    domains: tuple[str, ...] = ()
    terminate_from: str | None = None
    initiate_to: str | None = None
    local_name: str | None = None
    tunnel_authentication: bool = True
    tunnel_password: Secret | None = None
    crypto_profile: str | None = None
    keep_sa: bool = False
    lcp_renegotiation: str | None = None
    ip_pmtu: bool = False
    df_bit: str | None = None
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Interface:
    """`interface`. `nat` is "inside" or "outside"; `pool` that of `peer default ip address pool`."""

    name: str
    address: str | None = None
    mask: str | None = None
    unnumbered: str | None = None
    nat: str | None = None
    crypto_map: str | None = None
    pool: str | None = None
    ppp_authentication: tuple[str, ...] = ()
    shutdown: bool = False
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LocalPool:
    """`ip local pool`."""

    name: str
    begin: str
    end: str
    group: str | None = None
    options: str | None = None


@dataclass(frozen=True, slots=True)
class NatPool:
    """`ip nat pool`. `size` is a netmask or a prefix length, as `by` says."""

    name: str
    begin: str
    end: str
    by: str
    size: str
    options: str | None = None


@dataclass(frozen=True, slots=True)
class NatRule:
    """`ip nat inside source …`. `by` is "list", "static" or "route-map"; `what` the list, the map or the static pair's words."""

    side: str
    of: str
    by: str
    what: str
    pool: str | None = None
    interface: str | None = None
    vrf: str | None = None
    overload: bool = False


@dataclass(frozen=True, slots=True)
class NatService:
    """`ip nat service`. `service` as "ESP spi-match", "IKE preserve-port", "ftp tcp port 2021"."""

    access_list: str | None
    service: str


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of vpdn, crypto isakmp, crypto ipsec or ip nat translation that stands alone; `on` is False for its `no` form."""

    words: str
    on: bool = True


@dataclass(frozen=True, slots=True)
class Other:
    """A section of another kind, as it stands, without what is secret in it."""

    heading: str
    below: tuple[str, ...] = ()


Value = (
    IsakmpPolicy | IsakmpKey | TransformSet | MapEntry | VpdnGroup | Interface | LocalPool
    | NatPool | NatRule | NatService | Setting | Other
)  # fmt: skip


def isakmp_policy(heading: re.Match[str], below: list[str]) -> IsakmpPolicy:
    names = {"encr": "encryption", "encryption": "encryption", "hash": "hash", "authentication": "authentication", "group": "group"}
    fields: dict[str, object] = {}
    others = []
    for line in below:
        word, _, rest = line.partition(" ")
        if word in names and rest:
            fields[names[word]] = rest
        elif match := re.fullmatch(r"lifetime (\d{1,10})", line):
            fields["lifetime_s"] = int(match[1])
        else:
            others.append(line)
    return IsakmpPolicy(int(heading[1]), **fields, others=_kept(others))  # type: ignore[arg-type]


def isakmp_key(heading: re.Match[str], below: list[str]) -> IsakmpKey:
    return IsakmpKey(Secret(heading[2]), heading[3], heading[4], heading[5], heading[6] is not None)


def transform_set(heading: re.Match[str], below: list[str]) -> TransformSet:
    modes = [line[5:] for line in below if line.startswith("mode ")]
    others = [line for line in below if not line.startswith("mode ")]
    return TransformSet(heading[1], tuple(heading[2].split()), modes[-1] if modes else None, _kept(others))


def dynamic_map(heading: re.Match[str], below: list[str]) -> MapEntry:
    return MapEntry(heading[1], int(heading[2]), "template", **_of_map(below))  # type: ignore[arg-type]


def crypto_map(heading: re.Match[str], below: list[str]) -> MapEntry:
    name, sequence, kind, dynamic, discover, profile = heading.groups()
    return MapEntry(name, int(sequence), kind or "", dynamic, discover is not None, profile, **_of_map(below))  # type: ignore[arg-type]


def _of_map(below: list[str]) -> dict[str, object]:
    fields: dict[str, object] = {}
    peers: list[str] = []
    others = []
    for line in below:
        if match := re.fullmatch(r"set peer (\S+).*", line):
            peers.append(match[1])
        elif match := re.fullmatch(r"set transform-set (\S.*)", line):
            fields["transform_sets"] = tuple(match[1].split())
        elif match := re.fullmatch(r"set pfs(?: (\S+))?", line):
            fields["pfs"] = match[1] or "group1"
        elif match := re.fullmatch(r"set security-association lifetime (seconds|kilobytes) (\d{1,12})", line):
            fields["lifetime_s" if match[1] == "seconds" else "lifetime_kb"] = int(match[2])
        elif match := re.fullmatch(r"match address (\S+)", line):
            fields["match_address"] = match[1]
        elif line == "set nat demux":
            fields["nat_demux"] = True
        else:
            others.append(re.sub(r"(session-key \w+ \w+ \d+) .*", r"\1 ***", line))
    return fields | {"peers": tuple(peers), "others": _kept(others)}


_GROUP: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("role", re.compile(r"((?:accept|request)-(?:dialin|dialout))")),
    ("protocol", re.compile(r"protocol (\S+)")),
    ("terminate_from", re.compile(r"terminate-from hostname (\S+)")),
    ("initiate_to", re.compile(r"initiate-to ip (\S+).*")),
    ("local_name", re.compile(r"local name (\S+)")),
    ("lcp_renegotiation", re.compile(r"lcp renegotiation (always|on-mismatch)")),
    ("df_bit", re.compile(r"ip dfbit (\S+)")),
)


def vpdn_group(heading: re.Match[str], below: list[str]) -> VpdnGroup:
    fields: dict[str, object] = {}
    domains: list[str] = []
    others = []
    for line in below:
        simple = next(((name, match[1]) for name, pattern in _GROUP if (match := pattern.fullmatch(line))), None)
        if simple is not None:
            fields[simple[0]] = simple[1]
        elif match := re.fullmatch(r"virtual-template (\d{1,5})", line):
            fields["virtual_template"] = int(match[1])
        elif match := re.fullmatch(r"domain (\S+)", line):
            domains.append(match[1])
        elif match := re.fullmatch(r"l2tp tunnel password (?:\d )?(\S+)", line):
            fields["tunnel_password"] = Secret(match[1])
        elif match := re.fullmatch(r"l2tp security crypto-profile (\S+)( keep-sa)?", line):
            fields |= {"crypto_profile": match[1], "keep_sa": match[2] is not None}
        elif match := re.fullmatch(r"(no )?l2tp tunnel authentication", line):
            fields["tunnel_authentication"] = match[1] is None
        elif line == "ip pmtu":
            fields["ip_pmtu"] = True
        else:
            others.append(line)
    return VpdnGroup(heading[1], domains=tuple(domains), others=_kept(others), **fields)  # type: ignore[arg-type]


def interface(heading: re.Match[str], below: list[str]) -> Interface:
    fields: dict[str, object] = {}
    others = []
    for line in below:
        if match := re.fullmatch(r"ip address (\d[\d.]+) (\d[\d.]+)", line):
            fields |= {"address": match[1], "mask": match[2]}
        elif match := re.fullmatch(r"ip address (negotiated|dhcp)", line):
            fields["address"] = match[1]
        elif match := re.fullmatch(r"ip unnumbered (\S+)", line):
            fields["unnumbered"] = match[1]
        elif match := re.fullmatch(r"ip nat (inside|outside)", line):
            fields["nat"] = match[1]
        elif match := re.fullmatch(r"crypto map (\S+)", line):
            fields["crypto_map"] = match[1]
        elif match := re.fullmatch(r"peer default ip address pool (\S+)", line):
            fields["pool"] = match[1]
        elif match := re.fullmatch(r"ppp authentication (\S.*)", line):
            fields["ppp_authentication"] = tuple(match[1].split())
        elif line == "shutdown":
            fields["shutdown"] = True
        else:
            others.append(line)
    return Interface(heading[1], others=_kept(others), **fields)  # type: ignore[arg-type]


def local_pool(heading: re.Match[str], below: list[str]) -> LocalPool:
    return LocalPool(heading[1], heading[2], heading[3] or heading[2], heading[4], heading[5])


def nat_pool(heading: re.Match[str], below: list[str]) -> NatPool:
    return NatPool(*heading.group(1, 2, 3, 4, 5, 6))


def nat_rule(heading: re.Match[str], below: list[str]) -> NatRule:
    side, of, by, rest = heading.groups()
    found: dict[str, str] = {}
    words = rest.split()
    overload = "overload" in words
    words = [word for word in words if word != "overload"]
    for name in ("pool", "interface", "vrf"):
        if name in words[:-1] and not (by == "static" and name == "interface"):
            at = words.index(name)
            found[name] = words[at + 1]
            del words[at : at + 2]
    return NatRule(side, of, by, " ".join(words), overload=overload, **found)


def nat_service(heading: re.Match[str], below: list[str]) -> NatService:
    return NatService(heading[1], heading[2])


def setting(heading: re.Match[str], below: list[str]) -> Setting | Other:
    """A line with others below it is a section of another kind."""
    if below:
        return Other(masked(heading[0]), _kept(below))
    return Setting(masked(heading[2]), heading[1] is None)


def _kept(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(masked(line) for line in lines)
