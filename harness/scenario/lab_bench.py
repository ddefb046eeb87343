"""The bench of namespaces: a NAT and a gateway that are processes or kernels of their own, in the time of the wall."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.lab import cables, topology
from harness.lab.gateways import UmlGateway, gateway_of
from harness.lab.linux_client import GuestClients
from harness.lab.namespaces import Netns
from harness.lab.software import Lab
from harness.lab.topology import Attachment
from harness.lab.virtual_gateway import VirtualNode
from harness.model import NatMapping, Side
from harness.model.steps import StepBus
from harness.model.testbed import Testbed
from harness.probes.capture import Capture
from harness.scenario.real_clients import REAL
from harness.scenario.script import Script
from harness.scenario.wall_bench import WallBench


class LabBench(WallBench):
    """`scratch` lies on the enclosure's tmpfs. The lab's nodes stay for the session; every scenario gets a gateway of its own."""

    def __init__(self, testbed: Testbed, scratch: Path, bus: StepBus, loop: asyncio.Runner) -> None:
        super().__init__(testbed, bus, loop)
        self._script: Script | None = None
        self._up = False
        self.lab = Lab(testbed, scratch, self._make_gateway, tell=bus.note)
        self._guests = GuestClients(self.lab.topology, scratch)

    @property
    def node(self) -> UmlGateway | VirtualNode:
        node = self.lab.gateway
        assert isinstance(node, UmlGateway | VirtualNode)
        return node

    @property
    def nat(self) -> LabNat:
        return LabNat(self.lab)

    @property
    def link(self) -> LabLink:
        return LabLink(self.lab)

    @property
    def clients(self) -> Netns:
        return self.lab.clients

    async def fresh(self, variant: str, script: Script) -> None:
        self._script = script
        self.lab.use_nat(script.nat)
        if self._up:
            await self.lab.replace_gateway(variant)
        else:
            await self.lab.up(variant)
            self._up = True
        plans = script.plans(self.testbed.plans(script.clients))
        await self._guests.serve([plan for plan in plans if plan.personality == REAL])
        self.tell_scaled(variant, script.time_scale)

    def captures(self, folder: Path) -> Sequence[Capture]:
        nat = self.lab.nat
        return (
            Capture(Side.OUTSIDE, nat.netns.name, nat.outside_interface, folder / "outside.pcap"),
            Capture(Side.INSIDE, nat.netns.name, nat.inside_interface, folder / "inside.pcap"),
        )

    def machines(self) -> Mapping[str, Any]:
        return self._guests.drivers

    async def rest(self) -> None:
        await self._guests.rest()

    def trouble(self) -> list[str]:
        return self.lab.nat.trouble()

    def close(self) -> None:
        """Takes the lab down. Safe after any failure."""
        if self._up:
            self._up = False
            self._loop.run(self._down())

    async def _down(self) -> None:
        try:
            await self._guests.stop()  # before the namespaces, which live as long as anybody in them
        finally:
            await self.lab.down()

    def _make_gateway(self, testbed: Testbed, variant: str, attachment: Attachment, scratch: Path) -> UmlGateway | VirtualNode:
        assert self._script is not None
        script = self._script
        return gateway_of(testbed, variant, attachment, scratch, time_scale=script.time_scale, changes=script.gateway)


class LabLink:
    """The link between the NAT and the switch that the gateway is on."""

    def __init__(self, lab: Lab) -> None:
        self._cable = cables.named(lab.topology.cables, f"{topology.NAT}-{topology.WAN}")

    async def down(self) -> None:
        self._cable.cut()

    async def up(self) -> None:
        self._cable.mend()


class LabNat:
    """The lab's NAT as a scenario sees it."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def mappings(self) -> tuple[NatMapping, ...]:
        return tuple(
            NatMapping(
                m.protocol, m.inside_address, m.inside_port, m.outside_address, m.outside_port, m.remote_address, m.remote_port
            )
            for m in self._lab.nat.mappings()
        )

    async def forget(self, inside_address: str | None = None) -> int:
        return self._lab.nat.forget(inside_address)

    async def reboot(self) -> None:
        self._lab.nat.reboot()

    async def renumber(self, outside: str) -> None:
        self._lab.nat.renumber(outside)

    async def set_udp_timeout(self, seconds: int, stream_seconds: int | None = None) -> None:
        self._lab.nat.set_udp_timeout(seconds, stream_seconds)
