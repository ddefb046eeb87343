"""From a testbed file to the model, in two steps: read with lines and judged strictly, then loaded by pyATS and taken from there.

The first step is ours because pyATS lets too much pass (unset variables, misspelt keys, a device defined twice) and does not say
where a mistake is. The second makes sure that what is run is what any pyATS tool reads from the same file.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import UsageError
from harness.model.secret import Secret
from harness.model.testbed import TRANSPORTS, VARIANTS_OF, ClientSpec, GatewaySpec, Interface, NatSpec, Testbed
from harness.testbed import marks, values
from harness.testbed.marks import Marked, MarkedFile

T = TypeVar("T")

DEVICES = ("clients", "nat", "gateway")
END_HOST = "host"
"""The device behind a virtual gateway. A Linux gateway answers by itself and has none."""
DEVICE_KEYS = ("type", "os", "alias", "connections", "custom")
INTERFACE_KEYS = ("type", "link", "ipv4", "alias")

CUSTOM: Mapping[str, Mapping[str, Callable[[Any], Any]]] = {
    "clients": {
        "prefix": values.prefix,
        "first": values.address,
        "psk": values.text,
        "user": values.text,
        "password": values.text,
        "personality": values.client_personality,
    },
    "nat": {
        "outside_ports": values.ports,
        "udp_timeout_s": values.count,
        "udp_stream_timeout_s": values.count,
        "personality": values.nat_personality,
    },
    "gateway": {
        "transport": lambda value: values.choice(value, TRANSPORTS),
        "ppp_address": values.address,
        "ppp_pool": values.addresses,
        "users": values.count,
    },
    END_HOST: {},
}
"""Per device, what may stand below `custom` and what it may be. The gateway's `variants` are those of its `os`."""

REQUIRED = {
    "clients": ("prefix", "first", "psk", "user", "password"),
    "nat": (),
    "gateway": ("variants", "ppp_address", "ppp_pool"),
    END_HOST: (),
}
SYSTEMS = {"clients": ("linux",), "nat": ("linux",), "gateway": tuple(VARIANTS_OF), END_HOST: ("linux",)}
"""Per device, what its `os` may be."""


@dataclass(frozen=True, slots=True)
class Raw:
    """What one reader found in the file: per device its `os`, its `custom` values and its interfaces as (name, link, address)."""

    name: str
    systems: Mapping[str, str]
    custom: Mapping[str, Mapping[str, Any]]
    interfaces: Mapping[str, tuple[tuple[str, str, str], ...]]


def load(path: Path | str) -> Testbed:
    """Reads a testbed file, by pyATS in the end. Raises UsageError with file, line and cure for the first mistake found.

    pyATS costs 0.7 s and 70 MiB to import: this is called when a test first needs a testbed, and not before.
    """
    check(path)
    file = marks.read(Path(path))
    return _Builder(file).build(_by_pyats(file, Path(path)))


def check(path: Path | str) -> Testbed:
    """The same without pyATS: strict, and quick."""
    file = marks.read(Path(path))
    return _Builder(file).build(_by_marks(file, Path(path)))


def _by_marks(file: MarkedFile, path: Path) -> Raw:
    file.only((), ("testbed", "devices", "topology"), ("devices", "topology"))
    name = path.stem
    if "testbed" in file.root.value:
        about = file.only(("testbed",), ("name", "alias"))
        if "name" in about:
            name = str(about["name"].value)
    devices = tuple(file.only(("devices",), (*DEVICES, END_HOST), DEVICES))
    file.only(("topology",), (*devices, "links"), devices)
    systems: dict[str, str] = {}
    custom: dict[str, dict[str, Any]] = {}
    interfaces = {}
    for device in devices:
        about = file.only(("devices", device), DEVICE_KEYS, ("type", "os", "connections"))
        systems[device] = str(about["os"].value)
        if systems[device] not in SYSTEMS[device]:
            cure = f"`os: {' or '.join(SYSTEMS[device])}`"
            raise file.error(f"{device} is a {systems[device]!r}", about["os"].line, f"this lab is made of {cure}")
        if "custom" not in about:
            custom[device] = {}
            if REQUIRED[device]:
                raise file.error(f"'custom' is missing in devices.{device}", file.find("devices", device).line, "add `custom:`")
        else:
            found = file.only(("devices", device, "custom"), _custom(device, systems[device]), REQUIRED[device])
            custom[device] = {key: _plain(child) for key, child in found.items()}
        file.only(("topology", device), ("interfaces",), ("interfaces",))
        rows = []
        for interface in file.mapping("topology", device, "interfaces"):
            row = file.only(("topology", device, "interfaces", interface), INTERFACE_KEYS, ("type", "link", "ipv4"))
            rows.append((interface, str(row["link"].value), str(row["ipv4"].value)))
        interfaces[device] = tuple(rows)
    return Raw(name, systems, custom, interfaces)


def _custom(device: str, system: str) -> Mapping[str, Callable[[Any], Any]]:
    """What may stand below `custom` of that device with that `os`."""
    if device != "gateway":
        return CUSTOM[device]
    return {**CUSTOM[device], "variants": lambda value: values.choices(value, VARIANTS_OF[system])}


def _plain(marked: Marked) -> Any:
    if isinstance(marked.value, list):
        return [_plain(item) for item in marked.value]
    if isinstance(marked.value, dict):
        return {key: _plain(item) for key, item in marked.value.items()}
    return marked.value


def _by_pyats(file: MarkedFile, path: Path) -> Raw:
    from pyats.topology import loader

    try:
        loaded = loader.load(str(path))
    except Exception as error:  # pyATS has no root of its own for what its loader raises
        said = " ".join(str(error).split())
        raise UsageError(f"pyATS does not take it: {said}", file=file.file, cure="compare with testbeds/linux.yaml") from error
    devices = {name: device for name, device in loaded.devices.items() if name in (*DEVICES, END_HOST)}
    return Raw(
        str(loaded.name),
        {name: str(device.os) for name, device in devices.items()},
        {name: dict(device.custom) for name, device in devices.items()},
        {
            name: tuple((port.name, port.link.name, str(port.ipv4)) for port in device.interfaces.values())
            for name, device in devices.items()
        },
    )


class _Builder:
    """Judges the values of one file and makes the model of them."""

    def __init__(self, file: MarkedFile) -> None:
        self.file = file

    def build(self, raw: Raw) -> Testbed:
        found = {
            device: {
                key: self._judge(("devices", device, "custom", key), judge, raw.custom[device][key])
                for key, judge in _custom(device, raw.systems[device]).items()
                if key in raw.custom[device]
            }
            for device in raw.systems
        }
        (client_side,) = self._interfaces(raw, "clients", 1)
        gateway_side, lan, end_host = self._behind_the_gateway(raw)
        nat_sides = {port.link: port for port in self._interfaces(raw, "nat", 2)}
        inside = self._joined(nat_sides, "clients", client_side)
        outside = self._joined(nat_sides, "gateway", gateway_side)
        if inside is outside:
            raise self._error("clients and gateway are on the same side of the NAT", ("topology", "gateway"), "give them two links")
        about = found["clients"]
        clients = ClientSpec(
            client_side,
            about["prefix"],
            about["first"],
            Secret(about["psk"]),
            about["user"],
            Secret(about["password"]),
            about.get("personality", "windows7"),
        )
        self._prefix_fits(clients, inside, outside)
        about = found["nat"]
        first_port, last_port = about.get("outside_ports", (1024, 65535))
        nat = NatSpec(
            inside,
            outside,
            first_port,
            last_port,
            about.get("udp_timeout_s", 30),
            about.get("udp_stream_timeout_s", 120),
            about.get("personality"),
        )
        about = found["gateway"]
        pool_first, pool_last = about["ppp_pool"]
        gateway = GatewaySpec(
            gateway_side,
            about["variants"],
            about["ppp_address"],
            pool_first,
            pool_last,
            about.get("users", 100),
            about.get("transport", "auto"),
            raw.systems["gateway"],
            lan,
            end_host,
        )
        return Testbed(raw.name, self.file.file, clients, nat, gateway)

    def _judge(self, path: tuple[str, ...], judge: Callable[[Any], T], value: Any) -> T:
        try:
            return judge(value)
        except values.BadValue as bad:
            at = self.file.find(*path)
            if bad.item is not None and isinstance(at.value, list):
                at = at.value[bad.item]
            raise self.file.error(f"{path[-1]}: {bad.problem}", at.line, bad.cure) from bad

    def _error(self, problem: str, path: tuple[str, ...], cure: str) -> UsageError:
        return self.file.error(problem, self.file.find(*path).line, cure)

    def _interfaces(self, raw: Raw, device: str, count: int) -> tuple[Interface, ...]:
        rows = raw.interfaces[device]
        path = ("topology", device, "interfaces")
        if len(rows) != count:
            raise self._error(f"{device} has {len(rows)} interfaces", path, f"it takes {count} in this lab")
        return tuple(
            Interface(
                self._judge((*path, name), values.interface_name, name),
                self._judge((*path, name, "ipv4"), values.interface_address, address),
                self._judge((*path, name, "link"), values.text, link),
            )
            for name, link, address in rows
        )

    def _behind_the_gateway(self, raw: Raw) -> tuple[Interface, Interface | None, Interface | None]:
        """The gateway's interface towards the NAT; with an end host behind it, the link's two ends as well."""
        if END_HOST not in raw.systems:
            if raw.systems["gateway"] == "natstorm":
                raise self._error(f"the gateway has no {END_HOST!r} behind it", ("devices",), f"add the device {END_HOST}")
            (outside,) = self._interfaces(raw, "gateway", 1)
            return outside, None, None
        if raw.systems["gateway"] != "natstorm":
            raise self._error("this gateway answers by itself", ("devices", END_HOST), f"remove the device {END_HOST}")
        (end_host,) = self._interfaces(raw, END_HOST, 1)
        sides = {port.link: port for port in self._interfaces(raw, "gateway", 2)}
        lan = self._joined(sides, END_HOST, end_host, "gateway")
        (outside,) = (port for port in sides.values() if port is not lan)
        return outside, lan, end_host

    def _joined(self, sides: Mapping[str, Interface], device: str, port: Interface, other: str = "NAT") -> Interface:
        """The interface of the other device on the link of `port`; both must be on one network, with different addresses."""
        path = ("topology", device, "interfaces", port.name)
        if port.link not in sides:
            cure = f"the {other} is on {' and '.join(sides)}"
            raise self._error(f"{device} is on link {port.link!r}, where the {other} is not", (*path, "link"), cure)
        there = sides[port.link]
        if there.prefix != port.prefix or there.host == port.host:
            problem = f"{device} is {port.address}, the {other} at the other end of the link {there.address}"
            raise self._error(problem, (*path, "ipv4"), "two different addresses of one prefix")
        return there

    def _prefix_fits(self, clients: ClientSpec, inside: Interface, outside: Interface) -> None:
        prefix = ipaddress.IPv4Network(clients.prefix)
        first = ipaddress.IPv4Address(clients.first)
        if first not in prefix or clients.capacity < 1 or (prefix.prefixlen < 31 and first == prefix.network_address):
            path = ("devices", "clients", "custom", "first")
            raise self._error(f"{first} is no host's address in {prefix}", path, "the first client's address, within `prefix`")
        for port in (inside, outside):
            if prefix.overlaps(ipaddress.IPv4Network(port.prefix)):
                path = ("devices", "clients", "custom", "prefix")
                raise self._error(f"{prefix} overlaps the link {port.link} ({port.prefix})", path, "the clients' prefix is routed")
