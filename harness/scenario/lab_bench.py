"""The bench of namespaces: a NAT and a gateway that are processes or kernels of their own, in the time of the wall."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from harness.clients import personality
from harness.clients.clock import RunClock
from harness.clients.fleet import Fleet
from harness.clients.journal import Journal
from harness.clients.transport import IKE_PORT, NATT_PORT, Transport, open_ports, open_raw
from harness.devices.linux_config import Timers
from harness.errors import CaptureError, DeviceError, LabError
from harness.lab.gateways import UmlGateway, gateway_of
from harness.lab.linux_client import GuestClients
from harness.lab.software import Lab
from harness.lab.topology import Attachment
from harness.lab.virtual_gateway import VirtualNode
from harness.model import NatMapping, Side
from harness.model.steps import StepBus
from harness.model.testbed import Testbed
from harness.probes.capture import Capture
from harness.scenario.bench import Gathered, T
from harness.scenario.real_clients import REAL
from harness.scenario.script import Script
from harness.virtual import settings as personalities


class LabBench:
    """`scratch` lies on the enclosure's tmpfs. The lab's nodes stay for the session; every scenario gets a gateway of its own."""

    time = "wall"

    def __init__(self, testbed: Testbed, scratch: Path, bus: StepBus, loop: asyncio.Runner) -> None:
        self.testbed = testbed
        self._bus = bus
        self._loop = loop
        self._script: Script | None = None
        self._up = False
        self.lab = Lab(testbed, scratch, self._make_gateway, tell=bus.note)
        self._guests = GuestClients(self.lab.topology, scratch)

    @property
    def gateway(self) -> Any:
        return self._node.driver

    @property
    def nat(self) -> LabNat:
        return LabNat(self.lab)

    @property
    def patience_s(self) -> float:
        return self._node.patience_s

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(coroutine)

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
        for line in self._scaled(variant, script.time_scale):
            self._bus.note(f"scaled timer: {line}")

    def clock(self) -> RunClock:
        return RunClock.fix()

    def fleet(self, journal: Journal) -> Fleet:
        enter = self.lab.clients.entered
        sockets = open_ports((IKE_PORT, NATT_PORT, *personality.clear_ports()), enter)
        carrier = Transport(sockets, open_raw(enter=enter))
        return Fleet(carriers=[carrier], journal=journal, machines=self._guests.drivers)

    @asynccontextmanager
    async def witnesses(self, folder: Path, gathered: Gathered) -> AsyncIterator[None]:
        nat = self.lab.nat
        # The last to start is the first to stop. What the gateway still sends in between (the clients are silent by then) is then
        # missing inside, like a packet that a NAT dropped, and not missing outside, like one that the capture lost.
        captures = [
            Capture(Side.OUTSIDE, nat.netns.name, nat.outside_interface, folder / "outside.pcap"),
            Capture(Side.INSIDE, nat.netns.name, nat.inside_interface, folder / "inside.pcap"),
        ]
        async with AsyncExitStack() as closing:
            for capture in captures:
                await capture.start()
                closing.push_async_callback(self._end_capture, capture, gathered)
            await self._node.start_witnesses()
            yield
            await self._guests.rest()
            await self._end_witnesses(folder, gathered)

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

    @property
    def _node(self) -> UmlGateway | VirtualNode:
        node = self.lab.gateway
        assert isinstance(node, UmlGateway | VirtualNode)
        return node

    def _scaled(self, variant: str, factor: float) -> tuple[str, ...]:
        """The gateway's timers that run otherwise than they are shipped, a line each."""
        if self.testbed.gateway.in_guest:
            return Timers().scaled(factor).against(Timers()) if factor != 1.0 else ()
        shipped = personalities.load(variant)
        return shipped.scaled(factor).against(shipped) if factor != 1.0 else ()

    async def _end_capture(self, capture: Capture, gathered: Gathered) -> None:
        gathered.captures.append(await capture.stop())

    async def _end_witnesses(self, folder: Path, gathered: Gathered) -> None:
        """The gateway's own captures and logs. Where it is dead there is nothing to be had, and the evidence says so."""
        gathered.trouble += self.lab.nat.trouble()
        try:
            gathered.captures += await self._node.stop_witnesses(folder)
            gathered.logs = await self._node.driver.logs()
            gathered.gateway_events += await self._node.events()
        except (CaptureError, DeviceError, LabError) as error:
            gathered.trouble.append(f"the gateway's own account is lost: {error}")

    def _make_gateway(self, testbed: Testbed, variant: str, attachment: Attachment, scratch: Path) -> UmlGateway | VirtualNode:
        assert self._script is not None
        script = self._script
        return gateway_of(testbed, variant, attachment, scratch, time_scale=script.time_scale, changes=script.gateway)


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
