"""The topology: which interface of which device is on which link, and whether addresses and links fit together."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from harness.model.testbed import TO_COMPLETE, Interface
from harness.testbed import values
from harness.testbed.definition import END_HOST, PROTOCOLS_OF, ROUTERS
from harness.testbed.reading import Reading

WITH_HOST = {"natstorm": True, "linux": False}
"""By the gateway's `os`, whether an end host is behind it. One that is not listed may have one."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """`lan` and `end_host` are the two ends of the link behind a gateway that has an end host."""

    clients: Interface
    inside: Interface
    outside: Interface
    gateway: Interface
    lan: Interface | None
    end_host: Interface | None

    @property
    def ports(self) -> Mapping[str, Interface]:
        """By whose they are, all of them."""
        found = {
            "the clients' link": self.clients,
            "the NAT, inside": self.inside,
            "the NAT, outside": self.outside,
            "the gateway": self.gateway,
            "the gateway, behind it": self.lan,
            "the host behind the gateway": self.end_host,
        }
        return {whose: port for whose, port in found.items() if port is not None}

    @property
    def networks(self) -> Mapping[str, str]:
        """By link, its prefix."""
        return {port.link: port.prefix for port in (self.inside, self.outside, self.lan) if port is not None}


def read_wiring(reading: Reading) -> Wiring | None:
    """None where something is wrong with it: then its mistakes have been added."""
    return _Wirer(reading).read()


class _Wirer:
    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.system = reading.value("devices", "gateway", "os")
        self.host = reading.has("devices", END_HOST)

    def read(self) -> Wiring | None:
        behind = self._host_fits()
        ports = {"clients": self._ports("clients", 1), "nat": self._ports("nat", 2)}
        if behind is not None:
            ports["gateway"] = self._ports("gateway", 2 if behind else 1)
        if behind:
            ports[END_HOST] = self._ports(END_HOST, 1)
        differ = self._addresses_differ([(device, port) for device, found in ports.items() for port in found or ()])
        clients, gateway = self._only(ports["clients"]), self._only(ports.get("gateway"))
        end_host = lan = None
        if behind:
            end_host = self._only(ports[END_HOST])
            sides = {port.link: port for port in ports["gateway"] or ()}
            lan = self._joined(sides, END_HOST, end_host, "gateway")
            gateway = next((port for port in sides.values() if lan is not None and port is not lan), None)
        sides = {port.link: port for port in ports["nat"] or ()}
        inside = self._joined(sides, "clients", clients)
        outside = self._joined(sides, "gateway", gateway)
        if inside is not None and inside is outside:
            problem = "clients and gateway are on the same side of the NAT"
            self.reading.wrong(problem, ("topology", "gateway"), "give them two links")
            return None
        if clients is None or inside is None or outside is None or gateway is None or (behind and lan is None):
            return None
        wiring = Wiring(clients, inside, outside, gateway, lan, end_host)
        return wiring if differ and self._links_differ(wiring) else None

    def _host_fits(self) -> bool | None:
        """Whether an end host is behind the gateway. None where one is missing, too many, or nowhere attached."""
        reading, needed = self.reading, WITH_HOST.get(self.system or "")
        wired = reading.has("topology", END_HOST)
        if not reading.keys("devices"):
            return None  # which is a mistake by now
        if wired and not self.host:
            cure = f"describe it below `devices:`, or remove {END_HOST!r} here"
            reading.wrong(f"{END_HOST!r} is not known in topology", ("topology", END_HOST), cure)
        elif needed is True and not self.host:
            reading.wrong(f"the gateway has no {END_HOST!r} behind it", ("devices",), f"add the device {END_HOST}")
        elif needed is False and self.host:
            reading.wrong("this gateway answers by itself", ("devices", END_HOST), f"remove the device {END_HOST}")
        elif self.host and not wired and reading.keys("topology"):
            reading.wrong(f"{END_HOST!r} is missing in topology", ("topology",), f"add `{END_HOST}:` there")
        else:
            return self.host
        return None

    def _ports(self, device: str, count: int) -> tuple[Interface, ...] | None:
        """The device's interfaces. None where one of them is not known, or their number is wrong."""
        reading, path = self.reading, ("topology", device, "interfaces")
        if not reading.has(*path) or reading.unknown(*path):
            return None
        names = reading.keys(*path)
        if len(names) != count:
            have = f"{len(names)} interface{'' if len(names) == 1 else 's'}"
            reading.wrong(f"{device} has {have}", path, f"it takes {count} in this lab")
            return None
        found = []
        for name in names:
            named = self._named(device, name)
            link, address = reading.value(*path, name, "link"), reading.value(*path, name, "ipv4")
            if named and link is not None and address is not None:
                found.append(Interface(name, address, link, reading.line(*path, name)))
        if len(found) < count:
            return None
        if len({port.link for port in found}) < count:
            reading.wrong(f"{device} has both interfaces on the link {found[0].link!r}", path, "give them two links")
            return None
        return tuple(found)

    def _named(self, device: str, name: str) -> bool:
        """Whether the name can be an interface's on that device; at the clients it is one of this machine."""
        if TO_COMPLETE in name:
            return False  # told where the file is read
        system = self.reading.value("devices", device, "os")
        unknown = system not in PROTOCOLS_OF  # absent, or another than there are: a mistake of its own
        try:
            (values.port_name if unknown or system in ROUTERS else values.interface_name)(name)
        except values.BadValue as bad:
            self.reading.wrong(f"{name}: {bad.problem}", ("topology", device, "interfaces", name), bad.cure)
            return False
        return True

    @staticmethod
    def _only(ports: tuple[Interface, ...] | None) -> Interface | None:
        return ports[0] if ports is not None and len(ports) == 1 else None

    def _joined(
        self, sides: Mapping[str, Interface], device: str, port: Interface | None, other: str = "NAT"
    ) -> Interface | None:
        """The interface of the other device on the link of `port`; both must be on one network, with different addresses."""
        if port is None or not sides:
            return None
        path = ("topology", device, "interfaces", port.name)
        if port.link not in sides:
            cure = f"the {other} is on {' and '.join(sides)}"
            self.reading.wrong(f"{device} is on link {port.link!r}, where the {other} is not", (*path, "link"), cure)
            return None
        there = sides[port.link]
        if there.prefix != port.prefix or there.host == port.host:
            problem = f"{device} is {port.address}, the {other} at the other end of the link {there.address}"
            self.reading.wrong(problem, (*path, "ipv4"), "two different addresses of one prefix")
            return None
        return there

    def _addresses_differ(self, ports: list[tuple[str, Interface]]) -> bool:
        """No two interfaces have one address; of two on one link `_joined` tells it."""
        fit = True
        for (device, one), (other, two) in combinations(ports, 2):
            if one.host == two.host and one.link != two.link:
                problem = f"{two.host} is the address of {two.name} of {other} and of {one.name} of {device}"
                self.reading.wrong(problem, ("topology", other, "interfaces", two.name, "ipv4"), "an address of its own for each")
                fit = False
        return fit

    def _links_differ(self, wiring: Wiring) -> bool:
        """No two links have addresses in common: which of them a packet takes would be chance."""
        fit = True
        for (one, first), (other, second) in combinations(wiring.networks.items(), 2):
            if ipaddress.IPv4Network(first).overlaps(ipaddress.IPv4Network(second)):
                problem = f"the links {one} ({first}) and {other} ({second}) have addresses in common"
                self.reading.wrong(problem, ("topology", "nat", "interfaces"), "a network of its own for each link")
                fit = False
        return fit
