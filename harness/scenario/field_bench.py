"""The bench of devices that are there already: NAT and gateway reached over SSH, the clients on one interface of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from harness.devices.linux_nat import LinuxNat
from harness.errors import UsageError
from harness.lab.field import FieldLab
from harness.lab.field_gateways import FieldGateway
from harness.lab.namespaces import Netns
from harness.model import Side
from harness.model.reach import CaptureSource
from harness.model.steps import StepBus
from harness.model.testbed import Testbed
from harness.probes.capture import Capture
from harness.scenario.bench import SETTLE_S
from harness.scenario.field_captures import OverGns3, OverSsh, mirrored, ready
from harness.scenario.script import Script
from harness.scenario.wall_bench import Capturing, WallBench

ROUTER_SETTLES_S = 150.0
"""The same with a router's own timers: dead peer detection every 10 s finds the client gone, or PPP's keepalive after five of 10 s;
then the tunnel goes, once a Hello (every 60 s) was sent again for as long as L2TP does."""


class FieldBench(WallBench):
    """The devices are reached, and the interface lent, at the first scenario; each scenario gets a gateway configured anew."""

    def __init__(self, testbed: Testbed, bus: StepBus, loop: asyncio.Runner) -> None:
        super().__init__(testbed, bus, loop)
        self.lab = FieldLab(testbed, bus.note)
        self._begun = self._up = False

    @property
    def node(self) -> FieldGateway:
        return self.lab.gateway

    @property
    def nat(self) -> LinuxNat:
        return self.lab.nat

    @property
    def clients(self) -> Netns:
        return self.lab.clients

    async def fresh(self, variant: str, script: Script) -> None:
        if script.nat is not None:
            problem = f"{script.name} wants the NAT {script.nat!r}, and the NAT is a box that is there"
            raise UsageError(problem, file=self.testbed.file, cure="play it on testbeds/virtual.yaml")
        if not self._up:
            self._begun = True
            await self.lab.up(lambda: ready(self.lab, self.testbed))
            self._up = True
        await self.lab.fresh_gateway(variant, time_scale=script.time_scale, changes=script.gateway)
        self.tell_scaled(variant, script.time_scale)

    @property
    def settle_s(self) -> float:
        return SETTLE_S if self.testbed.router is None else ROUTER_SETTLES_S

    def captures(self, folder: Path) -> Sequence[Capturing]:
        nat = self.testbed.nat
        return (
            self._capture(Side.OUTSIDE, nat.outside_capture, folder / "outside.pcap"),
            self._capture(Side.INSIDE, nat.inside_capture, folder / "inside.pcap"),
        )

    async def rest(self) -> None:
        """All clients are simulated: they rest already."""

    def trouble(self) -> list[str]:
        """A lock that was lost: somebody else may have changed the devices meanwhile."""
        return [] if self.lab.lost is None else [str(self.lab.lost)]

    def close(self) -> None:
        """Gives back what was lent, and leaves the devices as they were. Safe after any failure."""
        if self._begun:
            self._begun = self._up = False
            self._loop.run(self.lab.down())

    def _capture(self, side: Side, source: CaptureSource | None, path: Path) -> Capturing:
        if source is None:
            cure = f"name one: devices.nat.custom.capture.{side.value}"
            raise UsageError(f"nothing captures the NAT's {side.value}", file=self.testbed.file, cure=cure)
        if source.kind == "nic":
            return Capture(side, None, source.interface, path, promiscuous=True)  # a mirror's frames are addressed to others
        if source.kind == "gns3":
            return OverGns3(self.lab, side, source, path)
        return OverSsh(self.lab, side, source, path, promiscuous=mirrored(self.testbed, source))
