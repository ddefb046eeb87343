"""Endpoints that are virtual IOS routers, configured, shown and cleared by their command line, in the worlds of vpn_bench.

    router = add(world, "west", client())           on the outside: FastEthernet0/0; inside: FastEthernet0/1
    router.host(packet)                             a host behind it sends; what comes out there is in `got`, and `marks`
    router.configure("no crypto map mymap 10")      router.show("show crypto ipsec sa")
"""

from __future__ import annotations

import random
from typing import Any

from vpn_bench import EAST, WEST, Site, World

from harness.devices.ios.commands import parse
from harness.simulation.nat_box import NatBox
from harness.virtual import vpn_view
from harness.virtual.ios.endpoint_role import EndpointRole
from harness.virtual.ios.session import Session
from harness.virtual.ios.state import State
from harness.wire import ip

OUTSIDE, INSIDE = "FastEthernet0/0", "FastEthernet0/1"
SPI_MATCHING = "crypto ipsec nat-transparency spi-matching"
POLICY = ("crypto isakmp policy 10", "encryption aes", "hash sha", "authentication pre-share", "group 19")
SETS = (
    "crypto ipsec transform-set aes esp-aes esp-sha-hmac",
    "crypto ipsec transform-set 3des esp-3des esp-md5-hmac",
    "crypto ipsec transform-set des esp-des esp-sha-hmac",
)
THERE, BACK = "permit ip 10.1.0.0 0.0.255.255 10.2.0.0 0.0.255.255", "permit ip 10.2.0.0 0.0.255.255 10.1.0.0 0.0.255.255"


def base(address: str, lan: str) -> tuple[str, ...]:
    """Interfaces, a key for anybody, a policy and transform sets; what protects is not here. `lan` is the inside interface's
    address, of a network of 16 bits."""
    return (
        "hostname VPN",
        *POLICY,
        "crypto isakmp key cisco address 0.0.0.0 0.0.0.0",
        *SETS,
        f"interface {OUTSIDE}",
        f"ip address {address} 255.255.255.0",
        f"interface {INSIDE}",
        f"ip address {lan} 255.255.0.0",
        f"ip route 0.0.0.0 0.0.0.0 {OUTSIDE}",
    )


ON = (f"interface {OUTSIDE}", "crypto map mymap")


def entry(number: int, acl: int, peers: tuple[str, ...], sets: str = "aes") -> tuple[str, ...]:
    return (
        f"crypto map mymap {number} ipsec-isakmp",
        *(f"set peer {peer}" for peer in peers),
        f"set transform-set {sets}",
        f"match address {acl}",
    )


def client(
    peers: tuple[str, ...] = (EAST,), *, address: str = WEST, lan: str = "10.1.0.1", line: str = THERE, sets: str = "aes"
) -> tuple[str, ...]:
    """Everything from its network to the concentrator's by a static entry."""
    return (*base(address, lan), f"access-list 101 {line}", *entry(10, 101, peers, sets), *ON)


def concentrator(
    *lines: str, address: str = EAST, lan: str = "10.2.0.1", sets: str = "aes", number: int = 10
) -> tuple[str, ...]:
    """Takes requests of anybody, for the flows of `lines`."""
    return (
        *base(address, lan),
        *(f"access-list 101 {line}" for line in lines or (BACK, "permit ip 10.2.0.0 0.0.255.255 10.3.0.0 0.0.255.255")),
        "crypto dynamic-map d 10",
        f"set transform-set {sets}",
        "match address 101",
        f"crypto map mymap {number} ipsec-isakmp dynamic d",
        *ON,
    )


class CliSite(Site):
    """A router on its console. `said` is what it printed to the lines that it was configured by."""

    def __init__(self, world: World, name: str, lines: tuple[str, ...], release: str) -> None:
        self.name = name
        self.state = State(release=release)
        self.role = EndpointRole(self.state, random.Random(f"{world.seed} {name}").randbytes)
        self.box = NatBox(world.loop, self.role, self._take, lambda packet: world.sent(self, packet))
        self.role.wake = self.box.settle
        self.got = []
        self.told = []
        self.off = False
        self._loop = world.loop
        self.open()
        self.configure(*lines)

    def open(self) -> None:
        self.session = Session(self.state, "con 0")
        self.session.open(self._loop.time())
        self.session.level = 15
        self.run("terminal length 0")

    @property
    def core(self) -> Any:
        return self.role.core

    @property
    def address(self) -> str:
        return self.core.settings.address

    def run(self, line: str) -> list[str]:
        """What a command prints."""
        if self.session.closed:  # nothing was typed for ten minutes, or the router has reloaded
            self.open()
        self.session.take_output()
        self.session.receive(self._loop.time(), f"{line}\r".encode())
        said = self.session.take_output().decode()
        return said.split("\r\n")[1:-1]

    def configure(self, *lines: str) -> None:
        """Each has to be taken without a word, save for the note on new crypto maps."""
        self.run("configure terminal")
        for line in lines:
            said = self.run(line)
            assert not said or said[0].startswith("% NOTE: This new crypto map"), (line, said)
        self.run("end")

    def show(self, command: str) -> list[Any]:
        """The rows of a command, as the driver's parser reads them; none is left unread."""
        found = parse(command, "\n".join(self.run(command)) + "\n")
        assert found.unread == ()
        assert not found.cut
        return list(found.rows)

    def running(self, prefix: str) -> list[str]:
        return [line for line in self.run("show running-config") if line.startswith((prefix, f"no {prefix}"))]

    def of(self, *kinds: str) -> list[Any]:
        self.told += self.role.take_events()
        return [event for event in self.told if event.kind in kinds]

    @property
    def view(self) -> vpn_view.EndpointView:
        return self.role.view()


def add(
    world: World, name: str, lines: tuple[str, ...], *more: str, behind: bool = False, release: str = "12.4(1)"
) -> CliSite:
    site = CliSite(world, name, (*lines, *more), release)
    world.sites[name] = site
    if behind:
        world.behind.add(name)
    else:
        world.switch.attach(ip.packed(site.address), 0.005, site.hear)
    return site
