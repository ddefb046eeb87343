"""The box with a LAC and LNSes in it, and no gateway: virtual IOS routers, and the machine that joins them and can capture.

    host: nic0 ── switch ── dsl0 [lac] wan0 ── lac0 [wire] lns0 ── wan0 [lns] lan0 ── the same switch
                                                    [wire] lns1 ── wan0 [lns-2]
          mgmt0 ── management switch ── mgmt0 of all four, each with an SSH server

The wire is a Linux machine that bridges; whoever comes by SSH configures the routers.
"""

from __future__ import annotations

from bench_in_a_box.box import Bench, Port, bridge
from bench_in_a_box.router import RouterBox
from harness.lab import namespaces
from harness.model.router_lab import HOST_BEHIND

LAC, LNS, LNS_2, WIRE = "lac", "lns", "lns-2", "wire"
ADDRESSES = {LAC: "10.0.0.12", LNS: "10.0.0.13", LNS_2: "10.0.0.14"}
MANAGEMENT = {LAC: "10.99.0.12", LNS: "10.99.0.13", LNS_2: "10.99.0.14", WIRE: "10.99.0.5"}
"""Device → the address of its SSH server."""
PORTS = {LAC: "lac0", LNS: "lns0", LNS_2: "lns1"}
"""Of the wire's machine."""
DOCUMENTS, OTHER_NAMES = ("FastEthernet0/0", "FastEthernet1/0"), ("GigabitEthernet0/1", "GigabitEthernet1/0")
"""What routers call their interfaces on the wire and for management; the LNS otherwise than scripts do, as hardware may."""
ACCESS = "access"
CALLERS = "dsl0", "FastEthernet0/1"
"""Where callers come in at the LAC: as its machine has it, and as it calls it itself."""
LAN = "lan0", "GigabitEthernet0/2"
"""Likewise where the host behind the LNS is."""


class AccessBench(Bench):
    """As `Box`."""

    management = MANAGEMENT
    switches = (ACCESS,)

    def _devices(self) -> None:
        for device, address in self.management.items():
            self._plug(Port(device, "mgmt0", f"{address}/24", "management"))
        wire = self._nodes[WIRE]
        bridge(wire, "bridge0")
        for device, port in PORTS.items():
            namespaces.link(self._nodes[device], "wan0", wire, port)
            wire.ip("link", "set", port, "master", "bridge0")
            self._nodes[device].ip("address", "add", f"{ADDRESSES[device]}/24", "dev", "wan0")
        for device, port in ((LAC, CALLERS[0]), (LNS, LAN[0])):
            self._plug(Port(device, port, "", ACCESS))
        self._hosts_card_on(ACCESS)

    async def _server(self, device: str, address: str) -> str:
        if device == WIRE:
            return await super()._server(device, address)
        ports = OTHER_NAMES if device == LNS else DOCUMENTS
        interfaces, words = {ports[0]: ADDRESSES[device]}, ["--wire", ADDRESSES[device]]
        if device == LAC:
            interfaces[CALLERS[1]] = ""
            words += ["--callers", *CALLERS]
        elif device == LNS:
            interfaces[LAN[1]] = HOST_BEHIND.gateway
            words += ["--lan", LAN[0], HOST_BEHIND.gateway, HOST_BEHIND.host]
        box = RouterBox(
            self._folder / device, self._nodes[device], address, interfaces, words, name=device.upper(), management=ports[1]
        )
        return await self._router(box)
