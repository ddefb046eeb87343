"""A world whose NAT is a virtual IOS router that is configured, shown and cleared by its command line.

    10.0.0.2, .3, … (endpoints) ── FastEthernet0/0 · router · FastEthernet0/1 203.0.113.232 ── switch ── concentrators
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vpn_bench import EAST, EAST_HOST, NAT, World, policy, settings

from harness.devices.ios.commands import parse
from harness.simulation.loop import SimulatedLoop
from harness.virtual.crypto_map import DynamicReference, IsakmpEntry
from harness.virtual.ios.nat_role import NatRole
from harness.virtual.ios.session import Session
from harness.virtual.ios.state import State
from harness.virtual.nat_transparency import NatTransparency
from harness.virtual.vpn_settings import EndpointSettings

STARTUP = f"""\
version 12.4
hostname NAT
interface FastEthernet0/0
 ip address 10.0.0.1 255.255.255.0
 ip nat inside
interface FastEthernet0/1
 ip address {NAT} 255.255.255.0
 ip nat outside
ip nat inside source list 1 interface FastEthernet0/1 overload
access-list 1 permit 10.0.0.0 0.0.0.255
access-list 10 permit 10.0.0.0 0.0.0.255
line con 0
end
"""
SPI_MATCH, PRESERVE = "ip nat service list 10 ESP spi-match", "ip nat service list 10 IKE preserve-port"


class IosNat:
    """The router on its console."""

    def __init__(self, loop: SimulatedLoop, release: str, startup: str, seed: int) -> None:
        self._loop = loop
        self.state = State(release=release, startup=startup)
        assert self.state.troubles == []
        self.role = NatRole(self.state, random.Random(seed).randbytes)
        self.session = Session(self.state, "con 0")
        self.session.open(loop.time())
        self.session.level = 15
        self.run("terminal length 0")

    def run(self, line: str) -> list[str]:
        """What a command prints."""
        self.session.take_output()
        self.session.receive(self._loop.time(), f"{line}\r".encode())
        said = self.session.take_output().decode()
        return said.split("\r\n")[1:-1]

    def configure(self, *lines: str) -> None:
        """Each has to be taken without a word."""
        self.run("configure terminal")
        for line in lines:
            assert self.run(line) == [], line
        self.run("end")

    def show(self, more: str = "") -> list:
        """The rows of `show ip nat translations`, as the driver's parser reads them; none is left unread."""
        command = f"show ip nat translations {more}".strip()
        found = parse(command, "\n".join(self.run(command)) + "\n")
        assert found.unread == ()
        assert not found.cut
        return list(found.rows)


class IosWorld(World):
    def __init__(
        self, loop: SimulatedLoop, *lines: str, release: str = "12.4(1)", startup: str = STARTUP, seed: int = 1
    ) -> None:
        self.router = IosNat(loop, release, startup, seed)
        super().__init__(loop, nat=self.router.role, seed=seed)
        assert self.nat is not None
        self.router.role.wake = self.nat.settle
        self.router.configure(*lines)


def host_of(n: int) -> str:
    """Of client n's host: the first two's are those of vpn_bench."""
    return {2: "10.1.0.5"}.get(n, f"10.{n if n == 3 else 10 + n}.0.5")


def _network(host: str) -> str:
    return ".".join([*host.split(".")[:2], "0.0"])


def client(n: int, how: NatTransparency, peers: Mapping[str, str] | None = None, **changes: Any) -> EndpointSettings:
    """Client n, 10.0.0.n, towards each of the concentrators (by default EAST): by address, a host behind it."""
    peers = peers or {EAST: EAST_HOST}
    lines = {
        str(100 + number): (f"permit ip {_network(host_of(n))} 0.0.255.255 {_network(host)} 0.0.255.255",)
        for number, host in enumerate(peers.values())
    }
    entries = (IsakmpEntry(10 + number, str(100 + number), (peer,), ("aes",)) for number, peer in enumerate(peers))
    made = settings(f"10.0.0.{n}", f"{_network(host_of(n))}/16", policy(*entries, lists=lines))
    return replace(made, nat_transparency=how, **changes)


def collector(how: NatTransparency, address: str = EAST, host: str = EAST_HOST, **changes: Any) -> EndpointSettings:
    """A concentrator for many clients."""
    lines = tuple(f"permit ip {_network(host)} 0.0.255.255 {_network(host_of(n))} 0.0.255.255" for n in range(2, 12))
    rules = replace(
        policy(DynamicReference(10, "d"), lists={"101": lines}), dynamic_maps={"d": (IsakmpEntry(10, "101", (), ("aes",)),)}
    )
    return replace(settings(address, f"{_network(host)}/16", rules), nat_transparency=how, **changes)
