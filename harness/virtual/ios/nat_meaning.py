"""What a configuration means for the router's NAT: a plan of it. Pure; what is configured and not honoured is told in sentences.

    ip nat inside, ip nat outside (interfaces)      ip nat inside source list N {interface X | pool P} [overload]
    ip nat pool                                     ip nat inside source static LOCAL GLOBAL
    ip nat service …                                ip nat translation *-timeout, max-entries
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.nat.headers import ESP, TCP, UDP
from harness.nat.ios.ftp import FtpPort
from harness.nat.ios.services import Services
from harness.nat.ios.timers import KINDS
from harness.virtual.access_list import AccessList
from harness.virtual.ios.access_lists import Lists, for_service, lists
from harness.virtual.ios.configuration import Entry

IKE_PORT = 500
POOL = 4096
"""Addresses of a pool that are taken; ours."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`inside`: the network behind the first interface with `ip nat inside`; `outside`: the address that is shared, or in whose
    stead those of `pool` are; either is None where there is none, and nothing is translated then. `sources` are the lists of the
    dynamic rules, `pool` None for the outside address alone. `statics`: inside → outside address. `timeouts` in seconds by the
    names of nat.ios.timers.KINDS, None for never. `own`: every address that the router has itself."""

    inside: ipaddress.IPv4Network | None = None
    outside: str | None = None
    vrf: str = ""
    sources: tuple[AccessList, ...] = ()
    overload: bool = False
    pool: tuple[str, ...] | None = None
    statics: Mapping[str, str] = field(default_factory=dict)
    services: Services = field(default_factory=Services)
    timeouts: Mapping[str, float | None] = field(default_factory=dict)
    max_entries: int | None = None
    own: frozenset[str] = frozenset()
    lacks: tuple[str, ...] = ()

    @property
    def translates(self) -> bool:
        return self.inside is not None and self.outside is not None and bool(self.sources or self.statics)


@dataclass(frozen=True, slots=True)
class _Rule:
    line: str
    source: str
    overload: bool
    addresses: tuple[str, ...] | None
    shared: str | None


def plan(tree: Entry) -> Plan:
    known = lists(tree)
    lacks = [f"`{line}` says more than this NAT looks at, and matches nothing" for line in known.unread]
    inside, outside = _interfaces(tree, "inside"), _interfaces(tree, "outside")
    if len(inside) > 1:
        lacks.append(f"hosts behind {inside[1][0].words[1]} are not translated: this NAT has one inside network")
    vrf = (inside[0][0].value("ip vrf forwarding") or "") if inside else ""
    rules = [rule for rule in _rules(tree, vrf, lacks) if inside and outside]
    first = rules[0] if rules else None
    kept = [rule for rule in rules if first and (rule.overload, rule.addresses, rule.shared) == _kind(first)]
    ignored = (rule.line for rule in rules if rule not in kept)
    lacks += [f"`{line}` is not followed: there is one kind of dynamic rules, and another is the first" for line in ignored]
    shared = first.shared if first and first.shared else str(outside[0][1].ip) if outside else None
    return Plan(
        inside=inside[0][1].network if inside else None,
        outside=shared,
        vrf=vrf,
        sources=tuple(known.get(rule.source) for rule in kept),
        overload=bool(first and first.overload),
        pool=(first.addresses if first else ()),
        statics=_statics(tree, vrf, lacks),
        services=_services(tree, known),
        timeouts=_timeouts(tree),
        max_entries=int(limit) if (limit := tree.value("ip nat translation max-entries")) else None,
        own=frozenset(str(found.ip) for one in tree.find("interface") if (found := _address(one)) is not None),
        lacks=tuple(lacks),
    )


def _kind(rule: _Rule) -> tuple[bool, tuple[str, ...] | None, str | None]:
    return rule.overload, rule.addresses, rule.shared


def _interfaces(tree: Entry, side: str) -> list[tuple[Entry, ipaddress.IPv4Interface]]:
    """Those with an address that are on that side and not shut down."""
    return [
        (one, found)
        for one in tree.find("interface")
        if one.has(f"ip nat {side}") and not one.has("shutdown") and (found := _address(one)) is not None
    ]


def _address(interface: Entry | None) -> ipaddress.IPv4Interface | None:
    for entry in interface.find("ip address") if interface is not None else ():
        if len(entry.words) == 4 and entry.words[2][0].isdigit():
            return ipaddress.IPv4Interface("/".join(entry.words[2:]))
    return None


def _rules(tree: Entry, vrf: str, lacks: list[str]) -> list[_Rule]:
    found = []
    for by in ("list", "route-map"):
        for entry in tree.find(f"ip nat inside source {by}"):
            words = entry.words
            rule = _rule(tree, entry)
            if by == "route-map":
                lacks.append(f"`{entry.line}` is not followed: this NAT knows no route maps")
            elif rule is None:
                lacks.append(f"`{entry.line}` does nothing: its pool does not exist, or its interface has no address")
            elif (words[words.index("vrf") + 1] if "vrf" in words else "") == vrf:
                found.append(rule)
    return found


def _rule(tree: Entry, entry: Entry) -> _Rule | None:
    source, kind, name = entry.words[5:8]
    overload = entry.words[-1] == "overload"
    if kind == "interface":
        address = _address(tree.first(f"interface {name}"))
        return None if address is None else _Rule(entry.line, source, overload, None, str(address.ip))
    words = (tree.value(f"ip nat pool {name}") or "").split()
    if not words:
        return None
    first, last = (int(ipaddress.IPv4Address(one)) for one in words[:2])
    addresses = tuple(str(ipaddress.IPv4Address(one)) for one in range(first, min(last + 1, first + POOL)))
    if not addresses:
        return None
    overload = overload or words[-1] == "overload"
    return _Rule(entry.line, source, overload, None if overload else addresses, addresses[0] if overload else None)


def _statics(tree: Entry, vrf: str, lacks: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in tree.find("ip nat inside source static"):
        words = entry.words[5:]
        if not words[0][0].isdigit():
            lacks.append(f"`{entry.line}` is not followed: this NAT's static translations are of whole addresses")
        elif (words[3] if words[2:3] == ("vrf",) else "") == vrf and words[0] not in found and words[1] not in found.values():
            found[words[0]] = words[1]
    return found


def _services(tree: Entry, known: Lists) -> Services:
    ftp, skinny, others = [], [], set()
    spi_match = preserve_port = None
    for entry in tree.find("ip nat service"):
        match entry.words[3:]:
            case ("list", name, "ESP", "spi-match"):
                spi_match = for_service(known.get(name), ESP)
            case ("list", name, "IKE", "preserve-port"):
                preserve_port = for_service(known.get(name), UDP, IKE_PORT)
            case ("list", name, "ftp", "tcp", "port", port):
                ftp.append(FtpPort(for_service(known.get(name), TCP), int(port)))
            case ("skinny", "tcp", "port", port):
                skinny.append(int(port))
            case more:
                others.add(" ".join(more))
    return Services(spi_match, preserve_port, tuple(ftp), tuple(skinny), frozenset(others))


def _timeouts(tree: Entry) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for kind in KINDS:
        said = tree.value(f"ip nat translation {'timeout' if kind == 'timeout' else f'{kind}-timeout'}")
        if said is not None:
            found[kind] = None if said == "never" else float(said)
    return found
