"""The bench of simulated time: the same clients and scripts, with the NAT core and the virtual gateway in one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from harness.clients.clock import RunClock
from harness.clients.fleet import Fleet
from harness.clients.journal import Journal
from harness.errors import LabError
from harness.model.steps import StepBus
from harness.model.testbed import Testbed
from harness.scenario.bench import Gathered, T
from harness.scenario.script import Script
from harness.scenario.simulated_control import SimulatedGateway, SimulatedLink, SimulatedNat
from harness.scenario.simulated_host import SimulatedHost
from harness.scenario.simulated_network import Makers, Network
from harness.scenario.simulated_router import RouterConsole, SimulatedRouter
from harness.simulation.loop import EPOCH, SimulatedLoop
from harness.virtual import settings as gateways

NOTHING_ELSE = Makers()


class SimulatedBench:
    """Every scenario begins at the same simulated moment, with the same chances for the same `seed`, whatever was played before."""

    time = "virtual"
    patience_s = 40.0
    """One main mode's retransmissions, and something."""

    def __init__(self, testbed: Testbed, bus: StepBus, seed: int = 1, makers: Makers = NOTHING_ELSE) -> None:
        self.testbed = testbed
        self._bus = bus
        self._seed = seed
        self._makers = makers
        self._network: Network | None = None
        self._console: RouterConsole | None = None
        self._host: SimulatedHost | None = None

    @property
    def gateway(self) -> SimulatedGateway:
        network = self._up
        return SimulatedGateway(network) if self.console is None else SimulatedRouter(network, self.console)

    @property
    def console(self) -> RouterConsole | None:
        """The gateway's command line, where it is a router that has one."""
        return self._console

    @property
    def host(self) -> SimulatedHost | None:
        return self._host

    @property
    def nat(self) -> SimulatedNat:
        return SimulatedNat(self._up)

    @property
    def link(self) -> SimulatedLink:
        return SimulatedLink(self._up)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        with SimulatedLoop.runner() as runner:
            return runner.run(coroutine)

    async def fresh(self, variant: str, script: Script) -> None:
        loop = asyncio.get_running_loop()
        if not isinstance(loop, SimulatedLoop):
            raise LabError("simulate a network", "this event loop lives in the time of the wall", "SimulatedBench.run()")
        network = self._network = Network(loop, self.testbed, variant, script, self._seed, self._makers)
        self._console = RouterConsole(loop, network.gateway) if self.testbed.gateway.os == "ios" else None
        end_host = self.testbed.gateway.end_host
        self._host = None if end_host is None else SimulatedHost(network.gateway, end_host.host)
        for line in self._network.settings.personality.against(gateways.load(variant)):
            self._bus.note(f"scaled timer: {line}")

    def clock(self) -> RunClock:
        loop = self._up.loop
        return RunClock(EPOCH, loop.time, loop.epoch)

    def fleet(self, journal: Journal) -> Fleet:
        network, makers = self._up, self._makers
        entropy = network.entropy("clients")
        return Fleet(carriers=network.carriers, journal=journal, entropy=entropy, build=makers.stack, look=makers.look)

    @asynccontextmanager
    async def witnesses(self, folder: Path, gathered: Gathered) -> AsyncIterator[None]:
        with self._up.captured(folder, gathered):
            yield
        if self._console is not None:
            gathered.logged += self._console.logged

    def close(self) -> None:
        self._network = None

    @property
    def _up(self) -> Network:
        if self._network is None:
            raise LabError("simulate a network", "there is none yet", "SimulatedBench.fresh()")
        return self._network
