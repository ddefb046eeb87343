"""From a judged file of routers to the model: which interface is on which wire, and whether the addresses are those that the
scripts name."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Interface
from string import ascii_letters

from harness.model.observation import Side
from harness.model.reach import CaptureSource, Connection
from harness.model.router_lab import CARD_OF, ESP, L2TP, LAC, LNS, ON_CARD, OPTIONAL, ROLES, SAMPLES, Card, RouterLab, RouterSpec
from harness.model.sites import NAT, NAT_OUTSIDE, site_of
from harness.testbed import access, field, router_ports, values
from harness.testbed.definition import REACHED, ROUTERS
from harness.testbed.reading import Reading

_LNS_PPP = "172.16.1.1/32"
"""Where callers send to within their tunnels: what the scripts configure at the LNS."""
_CALLERS = {"172.16.1.0/24": "callers in their tunnels", "192.168.77.0/24": "a network behind one"}
"""Where a host behind the LNS sends to."""
_NEIGHBOURS = {str(IPv4Interface(f"{NAT_OUTSIDE}/24").network): "the NAT's outside", SAMPLES: "that of the documents' samples"}
"""Where hosts on the NAT's wires send to."""
SHORTEST = len("ATM")
_CAPTURES: Mapping[str, Mapping[Side, tuple[str, ...]]] = {
    L2TP: {Side.OUTSIDE: ("devices", LAC, "custom", "capture")},
    ESP: {side: ("devices", NAT, "custom", "capture", side.value) for side in (Side.INSIDE, Side.OUTSIDE)},
}
"""By world, where the file says how each wire is captured."""


def world_of(devices: tuple[str, ...]) -> str | None:
    """The world that such a file's devices are of, None for those of a file with a gateway. A NAT is in both kinds."""
    for world, roles in ROLES.items():
        if ({CARD_OF[world], *roles} - {NAT}) & set(devices):
            return world
    return None


def build(reading: Reading, name: str, world: str) -> RouterLab | None:
    """None where the file has mistakes: all of them have been added by then."""
    access.check_systems(reading, {**REACHED, NAT: ROUTERS})
    whose = CARD_OF[world]
    cards = _cards(reading, whose)
    roles = tuple(role for role in ROLES[world] if role not in OPTIONAL or reading.has("devices", role))
    for role in ROLES[world]:
        if role in OPTIONAL:
            _in_both(reading, role, role in roles)
    for role in roles:
        _in_full(reading, role, reading.keys("topology", role, "interfaces"))
    ports, told = _wired(reading, world, roles, cards)
    connections = access.read_connections(reading)
    sources = _captures(reading, world, cards, connections)
    allowance = field.read_allowance(reading, _destinations(world, ports, told))
    management = reading.value("testbed", "custom", "management") or ()
    for card in cards:
        if card not in management:
            continue
        problem = f"{card} is the management interface, and would be moved to the {whose}"
        line = reading.line("testbed", "custom", "management")
        reading.wrong(problem, ("topology", whose, "interfaces", card), f"name another interface here, or mend line {line}")
    if reading.mistakes:
        return None
    assert told.hosts is not None
    assert allowance is not None
    lent = {one: Card(one, reading.line("topology", whose, "interfaces", one)) for one in cards}
    return RouterLab(
        name,
        reading.mistakes.file,
        {role: RouterSpec(role, reading.value("devices", role, "os"), connections[role], ports[role]) for role in roles},
        lent[told.hosts],
        sources,
        allowance,
        world,
        management=management,
        esp_null=bool(reading.value("testbed", "custom", "esp_null")),
        neighbours={side: lent[one] for side, one in told.neighbours.items()},
    )


def _wired(
    reading: Reading, world: str, roles: tuple[str, ...], cards: tuple[str, ...]
) -> tuple[router_ports.Ports, router_ports.Cards]:
    if world == ESP:
        return router_ports.of_nat(reading, roles, cards)
    card = cards[0] if cards else None
    link = None if card is None else reading.value("topology", CARD_OF[world], "interfaces", card, "link")
    return router_ports.of_lac(reading, roles, link), router_ports.Cards(card, {})


def _cards(reading: Reading, whose: str) -> tuple[str, ...]:
    """The interfaces of this machine that are lent; none where one of them cannot be."""
    path = ("topology", whose, "interfaces")
    more = () if whose == CARD_OF[L2TP] else (3, "on the LANs, and on the NAT's inside and outside")
    found = router_ports.names(reading, whose, 1, *more)
    for name in found:
        try:
            values.interface_name(name)
        except values.BadValue as bad:
            reading.wrong(f"{name}: {bad.problem}", (*path, name), bad.cure)
            return ()
        if reading.has(*path, name, "ipv4"):
            told = {
                CARD_OF[L2TP]: "callers come by PPPoE, and their card has no address",
                CARD_OF[ESP]: "each host on the card has an address of its own, and the card has none",
            }
            reading.wrong(told[whose], (*path, name, "ipv4"), "remove it")
    return found


def _in_both(reading: Reading, role: str, there: bool) -> None:
    """A router that need not be there is in both sections, or in neither."""
    if reading.has("topology", role) and not there:
        problem, cure = f"{role!r} is not known in topology", f"describe it below `devices:`, or remove {role!r} here"
        reading.wrong(problem, ("topology", role), cure)
    elif there and not reading.has("topology", role) and reading.keys("topology"):
        reading.wrong(f"{role!r} is missing in topology", ("topology",), f"add `{role}:` there")


def _in_full(reading: Reading, device: str, names: tuple[str, ...]) -> None:
    """As the router itself calls them: what it prints is compared with that."""
    for name in names:
        if len(name) - len(name.lstrip(ascii_letters)) < SHORTEST:
            problem = f"{name}: an interface of a router is named in full here, as `show running-config` does"
            reading.wrong(problem, ("topology", device, "interfaces", name), "as in FastEthernet0/0")


def _captures(
    reading: Reading, world: str, cards: tuple[str, ...], connections: Mapping[str, Connection]
) -> dict[Side, CaptureSource]:
    found: dict[Side, CaptureSource] = {}
    for side, path in _CAPTURES[world].items():
        one = field.read_capture(reading, path, connections)
        if one is None:
            continue
        if one.kind == "nic" and one.interface in cards:
            problem = f"{one.interface} is lent to the {CARD_OF[world]}, and cannot capture here"
            reading.wrong(problem, (*path, "interface"), "another interface")
        if one in found.values():
            reading.wrong("both sides of the NAT are captured at one interface", path, "an interface of its own for each side")
        if world == ESP and one.kind != "gns3" and one.interface == "any":
            reading.wrong("all interfaces together are no side of the NAT", (*path, "interface"), "the one on this side")
        found[side] = one
    return found


def _destinations(world: str, ports: router_ports.Ports, cards: router_ports.Cards) -> dict[str, str]:
    """Where packets go of who is on the cards, as prefixes, and whose they are."""
    if world == L2TP:
        return {_LNS_PPP: "the LNS in its tunnels", **(_CALLERS if ON_CARD in ports[LNS] else {})}
    behind = {f"{site_of(role).network}.0/24": f"the host behind {role}" for role in ports if role != NAT}
    return {**behind, **(_NEIGHBOURS if cards.neighbours else {})}
