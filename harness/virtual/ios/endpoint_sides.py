"""Which of a router's interfaces is the outside one, and what lies behind the others. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from harness.virtual.ios.configuration import Entry

NOWHERE = ipaddress.IPv4Network("0.0.0.0/0")


@dataclass(frozen=True, slots=True)
class Sides:
    """`address` is the endpoint's own towards its peers. `inside`: the networks of all other interfaces that are not shut down, and
    those that routes lead to behind them. `crypto_map` is the name of the one on the outside interface; `up`: that is not shut
    down."""

    interface: str
    address: str
    inside: tuple[ipaddress.IPv4Network, ...]
    crypto_map: str | None
    up: bool


def sides(tree: Entry, known: str, lacks: list[str]) -> Sides | None:
    """By the crypto map, else by the default route, else `known`."""
    mapped = [one for one in tree.find("interface") if one.value("crypto map")]
    for extra in mapped[1:]:
        lacks.append(f"the crypto map on {extra.words[1]} is not followed: {mapped[0].words[1]} is the outside interface")
    outside = mapped[0] if mapped else _towards_default(tree) or tree.first(f"interface {known or '?'}")
    if outside is None:
        lacks.append("no interface has a crypto map, and no default route leads out: there is no outside")
        return None
    name, crypto_map = outside.words[1], outside.value("crypto map")
    lender = tree.value(f"crypto map {crypto_map} local-address") if crypto_map else None
    address = next(addresses(outside if lender is None else tree.first(f"interface {lender}")), None)
    if address is None:
        lacks.append(f"{lender or name}, by whose address the endpoint is known, has none")
        return None
    near = [one for one in tree.find("interface") if one.words[1] != name and not one.has("shutdown")]
    networks = [found.network for one in near for found in addresses(one)]
    routed = [network for network, via in routes(tree) if network != NOWHERE and _leads(via, near, networks)]
    up = not outside.has("shutdown")
    return Sides(name, str(address.ip), tuple(dict.fromkeys((*networks, *routed))), crypto_map, up)


def addresses(interface: Entry | None) -> Iterator[ipaddress.IPv4Interface]:
    """The interface's own, then its secondary ones."""
    lines = interface.find("ip address") if interface is not None else ()
    for line in sorted(lines, key=lambda one: one.words[-1] == "secondary"):
        if line.words[2][0].isdigit():
            yield ipaddress.IPv4Interface("/".join(line.words[2:4]))


def routes(tree: Entry) -> Iterator[tuple[ipaddress.IPv4Network, str]]:
    """(network, the next hop's address, or the interface where there is no next hop)"""
    for entry in tree.find("ip route"):
        if entry.words[2] != "vrf":
            hops = entry.words[4:6]
            via = next((one for one in reversed(hops) if "." in one and one[0].isdigit()), hops[0])
            yield ipaddress.IPv4Network("/".join(entry.words[2:4]), strict=False), via


def _leads(via: str, interfaces: list[Entry], networks: list[ipaddress.IPv4Network]) -> bool:
    """Whether a route goes by one of these."""
    if not via[0].isdigit():
        return any(one.words[1] == via for one in interfaces)
    return any(ipaddress.IPv4Address(via) in network for network in networks)


def _towards_default(tree: Entry) -> Entry | None:
    via = next((via for network, via in routes(tree) if network == NOWHERE), None)
    for one in tree.find("interface"):
        if via is not None and _leads(via, [one], [found.network for found in addresses(one)]):
            return one
    return None
