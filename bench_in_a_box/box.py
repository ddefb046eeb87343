"""The boxes and what joins them.

    host: nic0 ── inside0 [nat] outside0 ── switch ── wan0 [gateway] lan0 ── lan0 [host behind it]
          mgmt0 ── management switch ── mgmt0 of nat, gateway and end host, each with an SSH server

The NAT is a Linux router without a rule of its own; the gateway is a machine on which the project's gateway is installed but not
started, or a User Mode Linux guest with strongSwan, xl2tpd and pppd at rest. A virtual
IOS router stands there too, if it is wanted. Whoever comes by SSH configures them.
"""

from __future__ import annotations

import asyncio
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bench_in_a_box.guest import guest_gateway
from bench_in_a_box.router import GATEWAY, GATEWAY_WORDS, RouterBox
from bench_in_a_box.sshd import Sshd, new_key
from harness.lab import namespaces, tools
from harness.lab.namespaces import Netns

GATEWAYS = ("natstorm", "linux", "ios")
NIC = "nic0"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOST_ADDRESS = "10.99.0.1"
MANAGEMENT = {"nat": "10.99.0.2", "gateway": "10.99.0.3", "host": "10.99.0.4"}
"""Device → the address of its SSH server."""


@dataclass(frozen=True, slots=True)
class Port:
    """An interface of a box: its name there, its address, and the switch it is plugged into."""

    device: str
    name: str
    address: str
    switch: str


PORTS = (
    Port("nat", "outside0", "203.0.113.232/24", "wan"),
    Port("gateway", "wan0", "203.0.113.231/24", "wan"),
    Port("gateway", "lan0", "", "office"),  # the gateway's process answers there, ARP too
    Port("host", "lan0", "198.51.100.10/24", "office"),
)
INSIDE = Port("nat", "inside0", "192.0.2.1/30", NIC)
CLIENTS, CLIENTS_VIA = "10.0.0.0/20", "192.0.2.2"


def bridge(node: Netns, name: str) -> None:
    """A switch that forwards from the first frame on."""
    node.ip("link", "add", name, "type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0")
    node.ip("link", "set", name, "up")


class Bench(ABC):
    """`async with …`: all of it stands while inside. `environment` is for who comes: where the keys are. `management` has, by
    device, the address of its SSH server, `switches` the names of what joins them beside that. The programs in the folder `first`
    come before all others of those devices that are no guests."""

    management: Mapping[str, str]
    switches: tuple[str, ...] = ()

    def __init__(self, folder: Path, first: Path | None = None) -> None:
        self._folder = folder
        self._first = "" if first is None else f"{first.resolve()}:"
        self._closing = AsyncExitStack()
        self._known: list[str] = []
        self._user = ""

    @property
    def environment(self) -> Mapping[str, str]:
        return {"NATSTORM_BOX": str(self._folder)}

    async def __aenter__(self) -> Self:
        try:
            self._switches()
            self._nodes = {name: Netns.create(f"box-{name}") for name in self.management}
            self._devices()
            self._user = new_key(self._folder / "id")
            for device, address in self.management.items():
                self._known.append(await self._server(device, address))
            (self._folder / "known_hosts").write_text("\n".join(self._known) + "\n", encoding="ascii")
        except BaseException:
            await self._closing.aclose()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._closing.aclose()

    @abstractmethod
    def _devices(self) -> None:
        """Plugs the nodes in, and the host's card."""

    async def _server(self, device: str, address: str) -> str:
        """Starts what answers SSH at the device. Its line for known_hosts."""
        server = Sshd(
            self._folder / device,
            address,
            port=22,
            netns=self._nodes[device].name,
            user_key=self._user,
            # The project's gateway is installed on this machine: where its command is found.
            options=f"SetEnv PATH={self._first}{Path(sys.prefix, 'bin')}:{PATH}",
        )
        await asyncio.to_thread(server.__enter__)
        self._closing.callback(server.stop)
        return f"{address} {server.host_key}"

    async def _router(self, router: RouterBox) -> str:
        """The same of a virtual IOS router."""
        self._closing.callback(router.stop)
        return await asyncio.to_thread(router.start)

    def _switches(self) -> None:
        self._yard = Netns.create("box-switches")
        for name in ("management", *self.switches):
            bridge(self._yard, name)
        pair = ["mgmt0", "type", "veth", "peer", "name", "to-host", "netns", self._yard.name]
        tools.run(["ip", "link", "add", *pair], step="wire the host")
        self._yard.ip("link", "set", "to-host", "master", "management", "up")
        for words in (("link", "set", "mgmt0", "up"), ("address", "add", f"{HOST_ADDRESS}/24", "dev", "mgmt0")):
            tools.run(["ip", *words], step="wire the host")

    def _plug(self, port: Port) -> None:
        node, far = self._nodes[port.device], f"{port.device[:6]}-{port.name}"
        namespaces.link(node, port.name, self._yard, far)
        self._yard.ip("link", "set", far, "master", port.switch)
        if port.address:
            node.ip("address", "add", port.address, "dev", port.name)

    def _hosts_card(self, node: Netns, port: str, card: str = NIC) -> None:
        """A card on the host, and the port of a node that it leads to."""
        tools.run(["ip", "link", "add", card, "type", "veth", "peer", "name", port, "netns", node.name], step="wire the host")
        node.ip("link", "set", port, "up")
        node.offloads_off(port)

    def _hosts_card_on(self, switch: str) -> None:
        """NIC on the host, and the switch that it leads to."""
        self._hosts_card(self._yard, "to-card")
        self._yard.ip("link", "set", "to-card", "master", switch)


class Box(Bench):
    """With a NAT and one of GATEWAYS."""

    management = MANAGEMENT
    switches = ("wan", "office")

    def __init__(self, folder: Path, gateway: str = GATEWAYS[0], first: Path | None = None) -> None:
        super().__init__(folder, first)
        self._linux, self._ios = gateway == "linux", gateway == "ios"

    def _devices(self) -> None:
        for device, address in MANAGEMENT.items():
            if not (self._linux and device == "gateway"):
                self._plug(Port(device, "mgmt0", f"{address}/24", "management"))
        for port in PORTS:
            if not (self._linux and "gateway" in (port.device, "gateway" if port.switch == "office" else "")):
                self._plug(port)
        nat = self._nodes["nat"]
        self._hosts_card(nat, INSIDE.name)
        nat.ip("address", "add", INSIDE.address, "dev", INSIDE.name)
        nat.ip("route", "add", CLIENTS, "via", CLIENTS_VIA)
        if not self._linux:
            self._nodes["host"].ip("route", "add", "default", "via", "198.51.100.1")

    async def _server(self, device: str, address: str) -> str:
        if self._linux and device == "gateway":
            return await guest_gateway(self._closing, self._yard, self._folder / device, address, self._user)
        if self._ios and device == "gateway":
            return await self._router(RouterBox(self._folder / device, self._nodes[device], address, GATEWAY, GATEWAY_WORDS))
        return await super()._server(device, address)
