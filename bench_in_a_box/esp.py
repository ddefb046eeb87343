"""The box with VPN endpoints about a NAT, and no gateway: virtual IOS routers, and the machine that joins them and can capture.

    host: nic0 ── switch ── lan0 of every endpoint
          nic1 ── host-in [wires]                                [wires] host-out ── nic2 of the host
    west-1 … wan0 ── west1 … [wires] nat-in ── in0 [nat] out0 ── nat-out [wires] east1 … ── wan0 of east-1 …
    mgmt0 ── management switch ── mgmt0 of all, each with an SSH server

The wires are a Linux machine with two bridges. The kernel has no address on any of the routers' wires: they speak ARP themselves.
Whoever comes by SSH configures them.
"""

from __future__ import annotations

from bench_in_a_box.box import Bench, Port, bridge
from bench_in_a_box.router import RouterBox
from harness.lab import namespaces
from harness.model.sites import EAST, NAT, NAT_INSIDE, NAT_OUTSIDE, WEST, numbered

WIRES, LANS = "wires", "lans"
SITES = (*numbered(WEST, 3), *numbered(EAST, 2))
MANAGEMENT = {
    WIRES: "10.99.0.5",
    NAT: "10.99.0.6",
    **{site.name: f"10.99.0.{(10 if site.side == WEST else 20) + site.number}" for site in SITES},
}
"""Device → the address of its SSH server."""
FIRST, SECOND = "FastEthernet0/0", "FastEthernet0/1"
NAMES = {"west-2": (SECOND, FIRST), "east-1": ("GigabitEthernet0/0", "GigabitEthernet0/1")}
"""What endpoints call their wire and their LAN, where it is not what the scripts do: hardware may."""
ON_MANAGEMENT = "FastEthernet1/0"
NEIGHBOURS = {"inside": ("nic1", "host-in"), "outside": ("nic2", "host-out")}
"""The host's further cards, by the side of the NAT that they are on, and the ports of the wires' machine that they lead to."""


class EspBench(Bench):
    """As `Box`."""

    management = MANAGEMENT
    switches = (LANS,)

    def _devices(self) -> None:
        for device, address in self.management.items():
            self._plug(Port(device, "mgmt0", f"{address}/24", "management"))
        for side in NEIGHBOURS:
            bridge(self._nodes[WIRES], side)
        self._wire(NAT, "in0", "nat-in", "inside")
        self._wire(NAT, "out0", "nat-out", "outside")
        for site in SITES:
            self._wire(site.name, "wan0", f"{site.side}{site.number}", "inside" if site.side == WEST else "outside")
            self._plug(Port(site.name, "lan0", "", LANS))
        self._hosts_card_on(LANS)
        for side, (card, port) in NEIGHBOURS.items():
            self._hosts_card(self._nodes[WIRES], port, card)
            self._nodes[WIRES].ip("link", "set", port, "master", side)

    def _wire(self, device: str, port: str, far: str, side: str) -> None:
        namespaces.link(self._nodes[device], port, self._nodes[WIRES], far)
        self._nodes[WIRES].ip("link", "set", far, "master", side)

    async def _server(self, device: str, address: str) -> str:
        if device == WIRES:
            return await super()._server(device, address)
        if device == NAT:
            role, ports = "nat", {"in0": (FIRST, NAT_INSIDE), "out0": (SECOND, NAT_OUTSIDE)}
        else:
            (site,) = (one for one in SITES if one.name == device)
            wire, lan = NAMES.get(device, (FIRST, SECOND))
            role, ports = "endpoint", {"wan0": (wire, site.address), "lan0": (lan, site.gateway)}
        words = ["--role", role]
        for port, (name, _) in ports.items():
            words += ["--port", port, name]
        box = RouterBox(self._folder / device, self._nodes[device], address, dict(ports.values()), words, device, ON_MANAGEMENT)
        return await self._router(box)
