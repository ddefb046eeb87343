"""What only a lab has whose devices are there already: captures, what may be sent, who brings it up, what must not be moved."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from harness.model.reach import Allowance, CaptureSource, Connection, LabSpec
from harness.testbed.access import reached
from harness.testbed.definition import JUMP, ROUTERS
from harness.testbed.reading import Reading
from harness.testbed.wiring import Wiring

SIDES = ("inside", "outside")
SERVERS = ("gns3", "eve-ng")
_CUSTOM = ("testbed", "custom")


def check_roles(reading: Reading, wiring: Wiring | None) -> None:
    """What a lab of the one kind can be told, and one of the other cannot."""
    there = reached(reading)
    personality, capture = (("devices", "nat", "custom", key) for key in ("personality", "capture"))
    if "nat" in there and reading.has(*personality):
        reading.wrong("this NAT is what it is, and plays no personality", personality, "remove it")
    if not there and reading.has(*capture):
        reading.wrong("the harness captures by itself in a NAT of its own", capture, "remove it")
    management = (*_CUSTOM, "management")
    for name in reading.value(*management) or ():
        if wiring is not None and name in (wiring.clients.name, wiring.clients.host):
            problem = f"{wiring.clients.name} is the management interface, and would be moved to the clients"
            path = ("topology", "clients", "interfaces", wiring.clients.name)
            reading.wrong(problem, path, f"name another interface here, or mend line {reading.line(*management)}")


def read_captures(
    reading: Reading, wiring: Wiring | None, connections: Mapping[str, Connection]
) -> tuple[CaptureSource | None, CaptureSource | None]:
    """Of the inside and of the outside. None for a NAT of the harness's own, and where something is wrong with it."""
    if "nat" not in reached(reading):
        return None, None
    found: dict[str, CaptureSource] = {}
    for side in SIDES:
        one = _capture(reading, side, wiring, connections)
        if one is None:
            continue
        path = ("devices", "nat", "custom", "capture", side)
        if found.get(SIDES[0]) == one:
            reading.wrong("both sides of the NAT are captured at one interface", path, "an interface of its own for each side")
        if one.kind != "gns3" and one.interface == "any":
            problem = "all interfaces together are no side of the NAT"
            reading.wrong(problem, (*path, "interface"), "the one interface on this side")
        elif _of_the_other_side(one, side, wiring, connections):
            problem = f"{one.interface} is the NAT's interface on the other side"
            reading.wrong(problem, (*path, "interface"), f"its interface on the {side}")
        if one.kind == "nic" and wiring is not None and one.interface == wiring.clients.name:
            problem = f"{one.interface} is moved to the clients, and cannot capture here"
            reading.wrong(problem, (*path, "interface"), "an interface of its own, or a capture on the NAT")
        found[side] = one
    return found.get(SIDES[0]), found.get(SIDES[1])


def _of_the_other_side(
    source: CaptureSource, side: str, wiring: Wiring | None, connections: Mapping[str, Connection]
) -> bool:
    other = SIDES[1 - SIDES.index(side)]
    on_nat = source.kind == "tcpdump" and source.connection == connections.get("nat")
    return on_nat and wiring is not None and source.interface == getattr(wiring, other).name


def _capture(
    reading: Reading, side: str, wiring: Wiring | None, connections: Mapping[str, Connection]
) -> CaptureSource | None:
    port = None if wiring is None else getattr(wiring, side).name
    if not reading.has("devices", "nat", "custom", "capture"):
        # every NAT that is reached is a Linux over ssh (definition.REACHED): it has tcpdump, or says that it has not
        connection = connections.get("nat")
        return CaptureSource("tcpdump", port, connection) if port is not None and connection is not None else None
    return read_capture(reading, ("devices", "nat", "custom", "capture", side), connections, "nat", port)


def read_capture(
    reading: Reading, path: tuple[str, ...], connections: Mapping[str, Connection], usual: str = "", port: str | None = None
) -> CaptureSource | None:
    """The source at `path`. `usual` is the device that captures where none is named ("": one has to be), at its `port`. None where
    something is wrong with it."""
    kind = reading.value(*path, "source")
    if kind is None:
        return None
    interface, device = reading.value(*path, "interface"), reading.value(*path, "device")
    if kind == "nic":
        if reading.has(*path, "device"):
            reading.wrong("a network card of this machine is on no device", (*path, "device"), "remove it, or `source: tcpdump`")
        if not reading.has(*path, "interface"):
            reading.wrong("which network card of this machine captures is not said", path, "add `interface:` there")
        return None if interface is None else CaptureSource(kind, interface)
    if kind == "gns3" and reading.value(*_CUSTOM, "lab", "provider") != "gns3":
        cure = "`testbed.custom.lab: {provider: gns3, url: …, project: …}`, or another source"
        reading.wrong("there is no GNS3 project whose link could be captured", (*path, "source"), cure)
        return None
    if reading.unknown(*path, "device") or reading.unknown(*path, "interface"):
        return None
    device = device or usual
    if not device:
        reading.wrong("which device captures is not said", path, "add `device:` there")
        return None
    if not reading.has("devices", device, "connections", "cli"):
        if not reading.unknown("devices", device, "connections"):
            reading.wrong(f"{device} is no device that is reached", (*path, "device"), "the name of one with a connection `cli`")
        return None
    if kind == "tcpdump" and reading.value("devices", device, "os") in ROUTERS:
        reading.wrong(f"{device} is a router, and has no tcpdump", (*path, "device"), "a Linux device, or `source: nic`")
        return None
    if interface is None and device != usual:
        reading.wrong(f"which interface of {device} captures is not said", path, "add `interface:` there")
        return None
    interface, connection = interface or port, connections.get(device)
    return CaptureSource(kind, interface, connection) if interface is not None and connection is not None else None


def read_allowance(reading: Reading, needed: Mapping[str, str]) -> Allowance | None:
    """`needed` are the prefixes where packets go, and whose they are. None where nothing is said, or something is wrong with it."""
    path = (*_CUSTOM, "allow")
    there = reached(reading)
    if not reading.has(*path):
        if there and not reading.unknown(*_CUSTOM) and not reading.unknown("testbed"):
            networks = ", ".join(needed) or "203.0.113.0/24"
            cure = f"below testbed.custom: `allow: {{networks: [{networks}], packets_per_s: 1000}}`"
            problem = "it is not said what may be sent to devices that are not the harness's own"
            reading.wrong(problem, _CUSTOM if reading.has(*_CUSTOM) else ("testbed",), cure)
        return None
    networks, rate = reading.value(*path, "networks"), reading.value(*path, "packets_per_s")
    if networks is None:
        return None
    allowed = [ipaddress.IPv4Network(one) for one in networks]
    missing = {one: who for one, who in needed.items() if not _within(ipaddress.IPv4Network(one), allowed)}
    if missing:
        problem = f"{', '.join(f'{one} ({who})' for one, who in missing.items())}: nothing may be sent there"
        reading.wrong(problem, (*path, "networks"), f"`networks: [{', '.join((*networks, *missing))}]`, if that is the lab's")
        return None
    return None if rate is None else Allowance(networks, rate, reading.line(*path, "networks"))


def _within(network: ipaddress.IPv4Network, allowed: list[ipaddress.IPv4Network]) -> bool:
    return any(network.subnet_of(one) for one in ipaddress.collapse_addresses(allowed))


def destinations(reading: Reading, wiring: Wiring | None) -> dict[str, str]:
    """Where packets go in a lab of devices that are reached, as prefixes, and whose they are."""
    found: dict[str, str] = {}
    if not reached(reading):
        return found
    if (prefix := reading.value("devices", "clients", "custom", "prefix")) is not None:
        found[prefix] = "the clients"
    if wiring is not None:
        found |= {
            f"{wiring.inside.host}/32": "the NAT, inside",
            f"{wiring.outside.host}/32": "the NAT, outside",
            f"{wiring.gateway.host}/32": "the gateway",
        }
    if (inner := reading.value("devices", "gateway", "custom", "ppp_address")) is not None:
        found[f"{inner}/32"] = "the gateway, in its tunnels"
    if wiring is not None and wiring.end_host is not None:
        found[f"{wiring.end_host.host}/32"] = "the host behind the gateway"
    return found


def read_lab(reading: Reading, connections: Mapping[str, Connection]) -> LabSpec | None:
    """None where something is wrong with it."""
    path, there = (*_CUSTOM, "lab"), reached(reading)
    if not reading.has(*path):
        return LabSpec("static" if there else "namespaces")
    provider = reading.value(*path, "provider")
    if provider is None:
        return None
    if (provider == "namespaces") == bool(there):
        problem = f"{' and '.join(there)} cannot be in namespaces" if there else f"a lab of {provider} has devices that are reached"
        cure = f"`provider: {'static' if there else 'namespaces'}`" + ("" if there else ", or give the devices connections")
        reading.wrong(problem, (*path, "provider"), cure)
        return None
    if provider not in SERVERS:
        for key in ("url", "project"):
            if reading.has(*path, key):
                reading.wrong(f"no server brings up a {provider} lab", (*path, key), f"remove `{key}:`")
        return LabSpec(provider)
    for key in ("url", "project"):
        if not reading.has(*path, key):
            reading.wrong(f"{key!r} is missing in testbed.custom.lab", path, f"add `{key}:` there")
    login = ("testbed", "credentials", provider)
    needed = provider == "eve-ng"  # a GNS3 server may well ask nobody who he is
    if needed and not reading.has(*login) and not reading.unknown("testbed", "credentials"):
        cure = f'add `{provider}: {{username: …, password: "%ENV{{NAME}}"}}` to testbed.credentials'
        reading.wrong(f"nobody is named who logs in at the {provider} server", path, cure)
    url, project = reading.value(*path, "url"), reading.value(*path, "project")
    username, password = reading.value(*login, "username"), reading.value(*login, "password")
    options = _options(reading, url or "")
    host = None if "host" not in options else connections.get(str(options.pop("host")))
    return None if url is None or project is None else LabSpec(provider, url, project, username or "", password, options, host)


def _options(reading: Reading, url: str) -> dict[str, Any]:
    """What the lab's server is told besides, files as absolute names."""
    path = (*_CUSTOM, "lab", "options")
    options = reading.plain(*path)
    for device in reading.keys(*path, "nodes"):
        if not reading.has("devices", device):
            reading.wrong(f"{device!r} is no device of this testbed", (*path, "nodes", device), "the name of a device")
    for key in ("ca_file", "file"):
        if key in options:
            options[key] = reading.file(*path, key)
    for one, other in (("file", "template"), ("ca_file", "verify")):
        if one in options and other in options:
            reading.wrong(f"{one!r} and {other!r} cannot both count", (*path, other), "remove one")
    if options.get("edition") == "pro" and url.startswith("http:"):
        reading.wrong("EVE-NG Pro speaks https alone", (*_CUSTOM, "lab", "url"), f"`url: https:{url.removeprefix('http:')}`")
    if reading.has(*path, "clients", "cloud") and reading.has(*path, "clients", "kind"):
        problem = "the port of a cloud that is there is of the cloud's own kind"
        reading.wrong(problem, (*path, "clients", "kind"), "remove it, or `cloud:`")
    host = reading.value(*path, "host")
    if host is not None and reading.value("devices", host, "type") != JUMP:
        reading.wrong(f"{host!r} is no device of `type: {JUMP}`", (*path, "host"), f"describe it below `devices:`, `type: {JUMP}`")
    return options
