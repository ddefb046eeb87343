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
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from bench_in_a_box.guest import guest_gateway
from bench_in_a_box.router import RouterBox
from bench_in_a_box.sshd import Sshd, new_key
from harness.lab import namespaces, tools
from harness.lab.namespaces import Netns

GATEWAYS = ("natstorm", "linux", "ios")
NIC = "nic0"
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


class Box:
    """`async with Box(folder, gateway)`: all of it stands while inside. `environment` is for who comes: where the keys are. The
    programs in the folder `first` come before all others of those devices that are no guests."""

    def __init__(self, folder: Path, gateway: str = GATEWAYS[0], first: Path | None = None) -> None:
        self._folder = folder
        self._first = "" if first is None else f"{first.resolve()}:"
        self._linux, self._ios = gateway == "linux", gateway == "ios"
        self._closing = AsyncExitStack()
        self._known: list[str] = []

    @property
    def environment(self) -> Mapping[str, str]:
        return {"NATSTORM_BOX": str(self._folder)}

    async def __aenter__(self) -> Box:
        try:
            self._switches()
            self._devices()
            await self._servers()
        except BaseException:
            await self._closing.aclose()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._closing.aclose()

    # --- within ---

    def _switches(self) -> None:
        self._yard = Netns.create("box-switches")
        for name in ("management", "wan", "office"):
            self._yard.ip("link", "add", name, "type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0")
            self._yard.ip("link", "set", name, "up")
        pair = ["mgmt0", "type", "veth", "peer", "name", "to-host", "netns", self._yard.name]
        tools.run(["ip", "link", "add", *pair], step="wire the host")
        self._yard.ip("link", "set", "to-host", "master", "management", "up")
        for words in (("link", "set", "mgmt0", "up"), ("address", "add", f"{HOST_ADDRESS}/24", "dev", "mgmt0")):
            tools.run(["ip", *words], step="wire the host")

    def _devices(self) -> None:
        self._nodes = {name: Netns.create(f"box-{name}") for name in MANAGEMENT}
        for device, address in MANAGEMENT.items():
            if not (self._linux and device == "gateway"):
                self._plug(Port(device, "mgmt0", f"{address}/24", "management"))
        for port in PORTS:
            if not (self._linux and "gateway" in (port.device, "gateway" if port.switch == "office" else "")):
                self._plug(port)
        nat = self._nodes["nat"]
        step = "wire the host"
        tools.run(["ip", "link", "add", NIC, "type", "veth", "peer", "name", INSIDE.name, "netns", nat.name], step=step)
        nat.ip("link", "set", INSIDE.name, "up")
        nat.offloads_off(INSIDE.name)
        nat.ip("address", "add", INSIDE.address, "dev", INSIDE.name)
        nat.ip("route", "add", CLIENTS, "via", CLIENTS_VIA)
        if not self._linux:
            self._nodes["host"].ip("route", "add", "default", "via", "198.51.100.1")

    def _plug(self, port: Port) -> None:
        node, far = self._nodes[port.device], f"{port.device[:6]}-{port.name}"
        namespaces.link(node, port.name, self._yard, far)
        self._yard.ip("link", "set", far, "master", port.switch)
        if port.address:
            node.ip("address", "add", port.address, "dev", port.name)

    async def _servers(self) -> None:
        user = new_key(self._folder / "id")
        program = Path(sys.prefix, "bin")
        for device, address in MANAGEMENT.items():
            if self._linux and device == "gateway":
                self._known.append(await guest_gateway(self._closing, self._yard, self._folder / device, address, user))
                continue
            if self._ios and device == "gateway":
                router = RouterBox(self._folder / device, self._nodes[device], address)
                self._closing.callback(router.stop)
                self._known.append(await asyncio.to_thread(router.start))
                continue
            server = Sshd(
                self._folder / device,
                address,
                port=22,
                netns=self._nodes[device].name,
                user_key=user,
                # The project's gateway is installed on this machine: where its command is found.
                options=f"SetEnv PATH={self._first}{program}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            await asyncio.to_thread(server.__enter__)
            self._closing.callback(server.stop)
            self._known.append(f"{address} {server.host_key}")
        (self._folder / "known_hosts").write_text("\n".join(self._known) + "\n", encoding="ascii")
