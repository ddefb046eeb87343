"""From a judged file of routers to the model: which interface is on which wire, and whether the addresses are those that the
scripts name."""

from __future__ import annotations

from collections.abc import Mapping
from string import ascii_letters

from harness.model.reach import Connection
from harness.model.router_lab import LAC, LNS_2, WIRE, RouterLab, RouterSpec
from harness.model.testbed import Interface
from harness.testbed import access, field, values
from harness.testbed.reading import Reading
from harness.testbed.router_definition import CALLERS, ROLES

_LNS_PPP = "172.16.1.1/32"
"""Where callers send to within their tunnels: what the scripts configure at the LNS."""
SHORTEST = len("ATM")
_CAPTURE = ("devices", LAC, "custom", "capture")


def is_of_routers(devices: tuple[str, ...]) -> bool:
    """Whether these are the devices of such a file, and of none with a gateway."""
    return bool({CALLERS, *ROLES} & set(devices))


def build(reading: Reading, name: str) -> RouterLab | None:
    """None where the file has mistakes: all of them have been added by then."""
    access.check_systems(reading)
    card = _card(reading)
    roles = tuple(role for role in ROLES if role != LNS_2 or reading.has("devices", LNS_2))
    if reading.has("topology", LNS_2) and LNS_2 not in roles:
        problem, cure = f"{LNS_2!r} is not known in topology", f"describe it below `devices:`, or remove {LNS_2!r} here"
        reading.wrong(problem, ("topology", LNS_2), cure)
    elif LNS_2 in roles and not reading.has("topology", LNS_2) and reading.keys("topology"):
        reading.wrong(f"{LNS_2!r} is missing in topology", ("topology",), f"add `{LNS_2}:` there")
    callers = None if card is None else reading.value("topology", CALLERS, "interfaces", card, "link")
    for role in roles:
        _in_full(reading, role, reading.keys("topology", role, "interfaces"))
    wires = {role: _wire(reading, role, callers) for role in roles}
    _one_wire(reading, wires)
    at_lac = _callers_port(reading, callers)
    connections = access.read_connections(reading)
    wire = field.read_capture(reading, _CAPTURE, connections)
    if wire is not None and wire.kind == "nic" and wire.interface == card:
        reading.wrong(f"{card} is lent to the callers, and cannot capture here", (*_CAPTURE, "interface"), "another interface")
    allowance = field.read_allowance(reading, {_LNS_PPP: "the LNS in its tunnels"})
    management = reading.value("testbed", "custom", "management") or ()
    if card is not None and card in management:
        problem = f"{card} is the management interface, and would be moved to the callers"
        line = reading.line("testbed", "custom", "management")
        reading.wrong(problem, ("topology", CALLERS, "interfaces", card), f"name another interface here, or mend line {line}")
    if reading.mistakes:
        return None
    assert card is not None
    assert wire is not None
    assert allowance is not None
    return RouterLab(
        name,
        reading.mistakes.file,
        {role: _router(reading, role, connections, wires[role], at_lac if role == LAC else None) for role in roles},
        card,
        reading.line("topology", CALLERS, "interfaces", card),
        wire,
        allowance,
        management=management,
        esp_null=bool(reading.value("testbed", "custom", "esp_null")),
    )


def _router(
    reading: Reading, role: str, connections: Mapping[str, Connection], wire: Interface | None, callers: str | None
) -> RouterSpec:
    assert wire is not None
    return RouterSpec(role, reading.value("devices", role, "os"), connections[role], wire, callers)


def _names(reading: Reading, device: str, count: int) -> tuple[str, ...]:
    """Of the device's interfaces; none where their number is wrong."""
    path = ("topology", device, "interfaces")
    names = reading.keys(*path)
    if names and len(names) != count:
        have = f"{len(names)} interface{'' if len(names) == 1 else 's'}"
        reading.wrong(f"{device} has {have}", path, f"it takes {count} in this lab")
        return ()
    return names


def _card(reading: Reading) -> str | None:
    """The callers' interface, of this machine."""
    path = ("topology", CALLERS, "interfaces")
    for name in _names(reading, CALLERS, 1):
        try:
            values.interface_name(name)
        except values.BadValue as bad:
            reading.wrong(f"{name}: {bad.problem}", (*path, name), bad.cure)
            return None
        if reading.has(*path, name, "ipv4"):
            reading.wrong("callers come by PPPoE, and their card has no address", (*path, name, "ipv4"), "remove it")
        return name
    return None


def _callers_port(reading: Reading, link: str | None) -> str | None:
    """The LAC's interface on the callers' link."""
    path = ("topology", LAC, "interfaces")
    names = _names(reading, LAC, 2)
    found = [name for name in names if link is not None and reading.value(*path, name, "link") == link]
    if len(found) == 1:
        if reading.has(*path, found[0], "ipv4"):
            problem = "callers come in there by PPPoE, and it needs no address"
            reading.wrong(problem, (*path, found[0], "ipv4"), "remove it")
        return found[0]
    if names and link is not None and not any(reading.unknown(*path, name) for name in names):
        problem = f"{len(found) or 'no'} interface{'s' if found else ''} of the LAC {'are' if found else 'is'} on the callers' link"
        reading.wrong(f"{problem} {link!r}", path, f"`link: {link}` at the one where they come in")
    return None


def _in_full(reading: Reading, device: str, names: tuple[str, ...]) -> None:
    """As the router itself calls them: what it prints is compared with that."""
    for name in names:
        if len(name) - len(name.lstrip(ascii_letters)) < SHORTEST:
            problem = f"{name}: an interface of a router is named in full here, as `show running-config` does"
            reading.wrong(problem, ("topology", device, "interfaces", name), "as in FastEthernet0/0")


def _wire(reading: Reading, role: str, callers: str | None) -> Interface | None:
    """Its interface towards the other routers, at the address that the scripts name."""
    path = ("topology", role, "interfaces")
    names = reading.keys(*path) if role == LAC else _names(reading, role, 1)
    for name in names:
        link = reading.value(*path, name, "link")
        if link is None or (role == LAC and link == callers):
            continue
        wanted = f"{WIRE[role]}/24"
        if not reading.has(*path, name, "ipv4"):
            reading.wrong(f"{role} has no address on {link!r}", (*path, name), f"`ipv4: {wanted}`")
            return None
        address = reading.value(*path, name, "ipv4")
        if address is None:
            return None
        if address != wanted:
            problem = f"{role} is {address} there, and the documents, whose scripts are played, have it at {wanted}"
            reading.wrong(problem, (*path, name, "ipv4"), f"`ipv4: {wanted}`")
            return None
        return Interface(name, address, link, reading.line(*path, name))
    return None


def _one_wire(reading: Reading, wires: Mapping[str, Interface | None]) -> None:
    lac = wires.get(LAC)
    for role, port in wires.items():
        if lac is not None and port is not None and port.link != lac.link:
            path = ("topology", role, "interfaces", port.name, "link")
            reading.wrong(f"{role} is on link {port.link!r}, where the LAC is not", path, f"`link: {lac.link}`")
