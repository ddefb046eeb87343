"""The real Linux clients of a lab: guests behind the same NAT as the simulated clients, each with an address of its own there."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.devices.linux_client import ClientSettings, LinuxClient
from harness.lab import packages
from harness.lab.topology import Attachment, Topology
from harness.lab.uml import GuestPlan, UmlGuest
from harness.model import ClientPlan

RELAY = Path(__file__).parent / "guest" / "relay.py"
SYSCTLS = {
    "net.ipv6.conf.all.disable_ipv6": "1",
    "net.ipv6.conf.default.disable_ipv6": "1",
    "net.ipv4.conf.all.rp_filter": "0",
}
"""A host, no router; and no router solicitations on the wire."""


class GuestClient:
    """`guest` is the machine, `driver` the client on it. It serves one scenario after another."""

    def __init__(self, plan: ClientPlan, attachment: Attachment, routes: tuple[str, ...], scratch: Path, prefix: int = 32) -> None:
        """`prefix` is the length of its network's; `routes` as `ip route add` takes them."""
        addresses = [f"{plan.address}/{prefix}"]
        self.guest = UmlGuest(
            GuestPlan(plan.name, attachment, scratch, addresses, packages.guest_directory(), routes, sysctls=dict(SYSCTLS))
        )
        settings = ClientSettings(plan.address, plan.gateway, plan.psk, plan.user, plan.password)
        self.driver = LinuxClient(self.guest.execute, self.guest.spawn, settings, relay_command(), name=plan.name)

    async def start(self) -> None:
        self.guest.plan.scratch.mkdir(parents=True)
        await self.guest.start()

    async def stop(self) -> None:
        await self.guest.stop()


class GuestClients:
    """Those of one lab. Booted when first asked for, they stay until `stop`; `serve` comes before each scenario."""

    def __init__(self, topology: Topology, scratch: Path) -> None:
        self._topology = topology
        self._scratch = scratch
        self._booted: dict[str, GuestClient] = {}
        self._serving: dict[str, ClientPlan] = {}

    @property
    def drivers(self) -> Mapping[str, LinuxClient]:
        """Of those that serve in the present scenario, by client."""
        return {name: self._booted[name].driver for name in self._serving}

    async def serve(self, plans: Sequence[ClientPlan]) -> None:
        """From now on the clients of these plans are guests, and no others."""
        for plan in self._serving.values():
            self._topology.lead(plan.address, None)
        self._serving = {}
        await asyncio.gather(*(self._boot(plan) for plan in plans if plan.name not in self._booted))
        for plan in plans:
            self._topology.lead(plan.address, plan.name)
        self._serving = {plan.name: plan for plan in plans}

    async def rest(self) -> None:
        """Returns when none of them says anything any more."""
        await asyncio.gather(*(driver.kill() for driver in self.drivers.values()))

    async def stop(self) -> None:
        """Safe at any time, and twice."""
        booted, self._booted, self._serving = self._booted, {}, {}
        await asyncio.gather(*(client.stop() for client in booted.values()))

    async def _boot(self, plan: ClientPlan) -> None:
        topology, scratch = self._topology, self._scratch / f"client-{plan.name}"
        client = GuestClient(plan, topology.house(plan.name), topology.guest_routes(), scratch)
        await client.start()
        self._booted[plan.name] = client


def relay_command() -> str:
    interpreter = getattr(sys, "_base_executable", sys.executable)
    return f"exec {shlex.quote(interpreter)} -I -S {shlex.quote(str(RELAY))}"
