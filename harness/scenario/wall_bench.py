"""What all benches in the time of the wall have in common: clients on sockets of a namespace, captures on both sides of the NAT,
and a gateway that keeps its own witnesses. Where these are is a subclass's to say."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from harness.clients import personality
from harness.clients.carrier import Carrier
from harness.clients.clock import RunClock
from harness.clients.fleet import Fleet
from harness.clients.gated import Gated
from harness.clients.journal import Journal
from harness.clients.transport import IKE_PORT, NATT_PORT, Transport, open_ports, open_raw
from harness.devices.linux_config import Timers
from harness.errors import CaptureError, DeviceError, LabError
from harness.lab.namespaces import Netns
from harness.model import CaptureFacts, GatewayEvent
from harness.model.steps import StepBus
from harness.model.testbed import Testbed
from harness.scenario.bench import Gathered, LinkControl, NatControl, T
from harness.scenario.script import Script
from harness.virtual import settings as personalities


class Capturing(Protocol):
    """One side's capture (harness/probes). CaptureError where it cannot begin."""

    async def start(self) -> None: ...

    async def stop(self) -> CaptureFacts: ...


class Node(Protocol):
    """A gateway in its place, with what captures inside it. `driver` is the device."""

    @property
    def driver(self) -> Any: ...

    @property
    def patience_s(self) -> float: ...

    async def start_witnesses(self) -> None: ...

    async def stop_witnesses(self, folder: Path) -> list[CaptureFacts]: ...

    async def events(self) -> tuple[GatewayEvent, ...]: ...


class WallBench(ABC):
    """`close` takes down what `fresh` brought up."""

    time = "wall"

    def __init__(self, testbed: Testbed, bus: StepBus, loop: asyncio.Runner) -> None:
        self.testbed = testbed
        self._bus = bus
        self._loop = loop

    # --- what a subclass says ---

    @property
    @abstractmethod
    def node(self) -> Node:
        """The gateway of the present scenario."""

    @property
    @abstractmethod
    def nat(self) -> NatControl: ...

    @property
    @abstractmethod
    def clients(self) -> Netns:
        """Where the clients' sockets are opened."""

    @abstractmethod
    async def fresh(self, variant: str, script: Script) -> None: ...

    @abstractmethod
    def captures(self, folder: Path) -> Sequence[Capturing]:
        """Of both sides of the NAT, in the order of their starting."""

    @abstractmethod
    def close(self) -> None: ...

    def machines(self) -> Mapping[str, Any]:
        """The drivers of clients that are machines of their own, by name."""
        return {}

    @abstractmethod
    async def rest(self) -> None:
        """Those machines fall silent, before the witnesses end."""

    def trouble(self) -> list[str]:
        """What makes the evidence doubtful, of the bench's own parts."""
        return []

    @property
    def link(self) -> LinkControl:
        cure = "play it on testbeds/virtual.yaml, or cut it by hand: natstorm lab link down FILE NAME --during-run"
        raise LabError("cut the link between NAT and gateway", "it is a cable of somebody's", cure)

    # --- what they have in common ---

    @property
    def gateway(self) -> Any:
        return self.node.driver

    @property
    def patience_s(self) -> float:
        return self.node.patience_s

    @property
    def console(self) -> None:
        """Its gateways are none that have a command line of their own."""
        return None

    @property
    def host(self) -> None:
        """What is behind its gateways answers, and cannot be told to ask."""
        return None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(coroutine)

    def clock(self) -> RunClock:
        return RunClock.fix()

    def fleet(self, journal: Journal) -> Fleet:
        enter = self.clients.entered
        sockets = open_ports((IKE_PORT, NATT_PORT, *personality.clear_ports()), enter)
        carrier: Carrier = Transport(sockets, open_raw(enter=enter))
        if self.testbed.allowance is not None:
            carrier = Gated(carrier, self.testbed.allowance)
        return Fleet(carriers=[carrier], journal=journal, machines=self.machines())

    @asynccontextmanager
    async def witnesses(self, folder: Path, gathered: Gathered) -> AsyncIterator[None]:
        # The last to start is the first to stop. What the gateway still sends in between (the clients are silent by then) is then
        # missing inside, like a packet that a NAT dropped, and not missing outside, like one that the capture lost.
        async with AsyncExitStack() as closing:
            for capture in self.captures(folder):
                await capture.start()
                closing.push_async_callback(self._end_capture, capture, gathered)
            try:
                await self.node.start_witnesses()
                yield
                await self.rest()
            except BaseException:
                # Nobody will read them; but they, and the place that they have there, go whatever ends the scenario.
                with suppress(CaptureError, DeviceError, LabError, OSError):
                    await self.node.stop_witnesses(folder)
                raise
            await self._end_witnesses(folder, gathered)

    def tell_scaled(self, variant: str, factor: float) -> None:
        """Tells of the gateway's timers that run otherwise than they are shipped, a line each."""
        if factor == 1.0:
            return
        if self.testbed.gateway.os == "linux":
            lines = Timers().scaled(factor).against(Timers())
        else:
            shipped = personalities.load(variant)
            lines = shipped.scaled(factor).against(shipped)
        for line in lines:
            self._bus.note(f"scaled timer: {line}")

    async def _end_capture(self, capture: Capturing, gathered: Gathered) -> None:
        gathered.captures.append(await capture.stop())

    async def _end_witnesses(self, folder: Path, gathered: Gathered) -> None:
        """The gateway's own captures and logs. Where it is dead there is nothing to be had, and the evidence says so."""
        gathered.trouble += self.trouble()
        try:
            gathered.captures += await self.node.stop_witnesses(folder)
            gathered.logs = await self.node.driver.logs()
            gathered.gateway_events += await self.node.events()
        except (CaptureError, DeviceError, LabError) as error:
            gathered.trouble.append(f"the gateway's own account is lost: {error}")
