"""Which interface of a router is on which wire: by the links that a testbed file names, and the addresses that scripts name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.model.router_lab import CARD_OF, ESP, LAC, LNS, ON_CARD, ON_INSIDE, ON_OUTSIDE, ON_WIRE, addresses_of
from harness.model.sites import NAT, WEST, site_of
from harness.model.testbed import Interface
from harness.testbed.reading import Reading

Ports = dict[str, dict[str, Interface]]
"""By router, its interfaces by what they are for."""


def names(reading: Reading, device: str, count: int, more: int | None = None, what: str = "") -> tuple[str, ...]:
    """Of the device's interfaces; none where their number is wrong. It may have `more` of them as well, which are for `what`."""
    path = ("topology", device, "interfaces")
    found = reading.keys(*path)
    if found and len(found) not in (count, more):
        have = f"{len(found)} interface{'' if len(found) == 1 else 's'}"
        reading.wrong(f"{device} has {have}", path, f"it takes {count} in this lab{'' if more is None else f', or {more}: {what}'}")
        return ()
    return found


def of_lac(reading: Reading, roles: tuple[str, ...], callers: str | None) -> Ports:
    """Of a LAC and LNSes; `callers` is the link that callers come by."""
    found: Ports = {}
    for role in roles:
        port = _towards_others(reading, role, callers)
        found[role] = {} if port is None else {ON_WIRE: port}
    lac = found[LAC].get(ON_WIRE)
    for role, ports in found.items():
        if lac is not None and ON_WIRE in ports and ports[ON_WIRE].link != lac.link:
            path = ("topology", role, "interfaces", ports[ON_WIRE].name, "link")
            reading.wrong(f"{role} is on link {ports[ON_WIRE].link!r}, where the LAC is not", path, f"`link: {lac.link}`")
    if (port := _callers_port(reading, callers)) is not None:
        found[LAC][ON_CARD] = port
    for name in _towards(reading, LNS, callers):
        if (port := _at(reading, LNS, name, str(callers), {ON_CARD: addresses_of(LNS)[ON_CARD]})) is not None:
            found[LNS][ON_CARD] = port
    return found


def _towards(reading: Reading, role: str, link: str | None) -> tuple[str, ...]:
    """Its interfaces on that link."""
    path = ("topology", role, "interfaces")
    return tuple(name for name in reading.keys(*path) if link is not None and reading.value(*path, name, "link") == link)


def _towards_others(reading: Reading, role: str, callers: str | None) -> Interface | None:
    """Its interface towards the other routers, at the address that the scripts name."""
    path = ("topology", role, "interfaces")
    if callers is None and role in (LAC, LNS):
        return None  # which of them is on the callers' link cannot be told
    beside = _towards(reading, role, callers) if role in (LAC, LNS) else ()
    for name in reading.keys(*path) if role == LAC else names(reading, role, 1 + len(beside[:1])):
        link = reading.value(*path, name, "link")
        if link is not None and name not in beside:
            return _at(reading, role, name, link, {ON_WIRE: addresses_of(role)[ON_WIRE]})
    return None


def _at(reading: Reading, role: str, name: str, link: str, wanted: Mapping[str, str]) -> Interface | None:
    """That interface, where it has one of these addresses."""
    path = ("topology", role, "interfaces", name)
    known = " or ".join(wanted.values())
    cure = f"`ipv4: {known}`"
    if not reading.has(*path, "ipv4"):
        reading.wrong(f"{role} has no address on {link!r}", path, cure)
        return None
    address = reading.value(*path, "ipv4")
    if address is not None and address not in wanted.values():
        problem = f"{role} is {address} there, and the documents, whose scripts are played, have it at {known}"
        reading.wrong(problem, (*path, "ipv4"), cure)
        return None
    return None if address is None else Interface(name, address, link, reading.line(*path))


def _callers_port(reading: Reading, link: str | None) -> Interface | None:
    """The LAC's interface on the callers' link."""
    path = ("topology", LAC, "interfaces")
    there = names(reading, LAC, 2)
    found = _towards(reading, LAC, link) if there else ()
    if len(found) == 1 and link is not None:
        if reading.has(*path, found[0], "ipv4"):
            problem = "callers come in there by PPPoE, and it needs no address"
            reading.wrong(problem, (*path, found[0], "ipv4"), "remove it")
        return Interface(found[0], "", link, reading.line(*path, found[0]))
    if there and link is not None and not any(reading.unknown(*path, name) for name in there):
        problem = f"{len(found) or 'no'} interface{'s' if found else ''} of the LAC {'are' if found else 'is'} on the callers' link"
        reading.wrong(f"{problem} {link!r}", path, f"`link: {link}` at the one where they come in")
    return None


# Endpoints about a NAT


@dataclass(frozen=True, slots=True)
class Cards:
    """Those of this machine, by what is on them: the hosts behind all endpoints, and perhaps some straight on the NAT's wires, by
    its side. None where that is not known."""

    hosts: str | None
    neighbours: Mapping[str, str]


def of_nat(reading: Reading, roles: tuple[str, ...], cards: tuple[str, ...]) -> tuple[Ports, Cards]:
    """Of a NAT and endpoints about it; and which of the `cards` is on which wire."""
    _without_gaps(reading, roles)
    found: Ports = {}
    for role in roles:
        wanted, ports = addresses_of(role), found.setdefault(role, {})
        for name in names(reading, role, len(wanted)):
            link = reading.value("topology", role, "interfaces", name, "link")
            port = None if link is None else _at(reading, role, name, link, wanted)
            if port is None:
                continue
            (use,) = (use for use, address in wanted.items() if address == port.address)
            if use in ports:
                path = ("topology", role, "interfaces", name, "ipv4")
                problem = f"{role} has {port.address} at {ports[use].name} already"
                reading.wrong(problem, path, f"`ipv4: {next(one for one in wanted.values() if one != port.address)}`")
            else:
                ports[use] = port
    told = _cards(reading, found, cards)
    _one_link_each(reading, found, told.hosts)
    return found, told


def _link(reading: Reading, card: str) -> str | None:
    link: str | None = reading.value("topology", CARD_OF[ESP], "interfaces", card, "link")
    return link


def _cards(reading: Reading, found: Ports, cards: tuple[str, ...]) -> Cards:
    """One card alone is on the LANs; of three one is there, and one on each side of the NAT."""
    links, sides = {card: _link(reading, card) for card in cards}, _sides(found)
    if len(cards) < 2:
        return Cards(next(iter(cards), None), {})
    if None in links.values() or len(sides) < 2:
        return Cards(None, {})  # which is a mistake by now
    path = ("topology", CARD_OF[ESP], "interfaces")
    each = f"a link of its own for each: {sides[ON_INSIDE]!r}, {sides[ON_OUTSIDE]!r} and that of the LANs"
    for number, card in enumerate(cards):
        if (link := links[card]) in [links[one] for one in cards[:number]]:
            reading.wrong(f"{card} is on link {link!r}, where another card of the hosts is", (*path, card, "link"), each)
            return Cards(None, {})
    lans = {ports[ON_CARD].link for ports in found.values() if ON_CARD in ports}
    if mixed := [card for card in cards if links[card] in lans and links[card] in sides.values()]:
        return Cards(mixed[0], {})  # which is told of the NAT
    neighbours = {side: card for side, link in sides.items() for card in cards if links[card] == link}
    others = sorted((card for card in cards if card not in neighbours.values()), key=lambda card: links[card] not in lans)
    wanted = [("the LANs are", *lans)] if len(lans) == 1 else []  # where they differ, that is told of the endpoints
    wanted += [(f"the NAT's {side} is", link) for side, link in sides.items() if side not in neighbours]
    strays = [(card, *one) for card, one in zip(others, wanted, strict=False) if links[card] != one[1]]
    for card, what, where in strays:
        reading.wrong(f"{card} is on link {links[card]!r}, and {what} on {where!r}", (*path, card, "link"), f"`link: {where}`")
    return Cards(None, {}) if strays else Cards(others[0], neighbours)


def _sides(found: Ports) -> dict[str, str]:
    """The links of the NAT, by its sides."""
    nat = found.get(NAT, {})
    return {use: nat[use].link for use in (ON_INSIDE, ON_OUTSIDE) if use in nat}


def _without_gaps(reading: Reading, roles: tuple[str, ...]) -> None:
    for role in roles:
        if role == NAT or site_of(role).number == 1:
            continue
        site = site_of(role)
        before = f"{site.side}-{site.number - 1}"
        if before not in roles and not reading.unknown("devices", before):
            reading.wrong(f"{role} is there, and {before} is not", ("devices", role), "number them from 1 on, without gaps")


def _one_link_each(reading: Reading, found: Ports, card: str | None) -> None:
    """The NAT's sides are two wires, with the endpoints of that side on each; all LANs are on the link of the hosts' card, which is
    a third."""
    nat, links = found.get(NAT, {}), _sides(found)
    hosts = None if card is None else _link(reading, card)
    for role, ports in found.items():
        if role == NAT:
            continue
        side = ON_INSIDE if site_of(role).side == WEST else ON_OUTSIDE
        for use, link, who in ((ON_WIRE, links.get(side), f"the NAT's {side}"), (ON_CARD, hosts, f"the hosts' card {card}")):
            if link is not None and use in ports and ports[use].link != link:
                path = ("topology", role, "interfaces", ports[use].name, "link")
                reading.wrong(f"{role} is on link {ports[use].link!r}, where {who} is not", path, f"`link: {link}`")
    if links.get(ON_INSIDE) is not None and links.get(ON_INSIDE) == links.get(ON_OUTSIDE):
        path = ("topology", NAT, "interfaces", nat[ON_OUTSIDE].name, "link")
        reading.wrong("both sides of the NAT are on one link: nothing would go through it", path, "a link of its own")
    elif hosts is not None and hosts in links.values():
        use = next(use for use, link in links.items() if link == hosts)
        path = ("topology", NAT, "interfaces", nat[use].name, "link")
        reading.wrong(f"the {use} of the NAT is on the hosts' link {hosts!r}", path, "a link of its own")
