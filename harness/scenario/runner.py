"""Plays scenarios on one lab, one after another, and keeps the evidence of each.

The lab's nodes stay for the session; every scenario gets a gateway of its own.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from harness.clients.clock import RunClock
from harness.clients.fleet import Fleet
from harness.clients.journal import Journal
from harness.clients.transport import open_ports
from harness.devices import linux_config
from harness.devices.linux_config import Timers
from harness.errors import CaptureError, DeviceError, LabError
from harness.lab.gateways import UmlGateway, linux_gateway
from harness.lab.software import Lab
from harness.lab.topology import Attachment
from harness.model import CaptureFacts, ClientPlan, Evidence, Side
from harness.model.steps import StepBus
from harness.model.testbed import Testbed
from harness.probes.capture import Capture
from harness.probes.dissect import Dissector
from harness.scenario.gather import Gathered, gather
from harness.scenario.play import Play
from harness.scenario.scripts import Script, script

OVERRUN_S = 300.0
"""A script that takes longer than this is stuck; none needs half of it."""


class Runner:
    """`testbed` is loaded already; `scratch` lies on the enclosure's tmpfs. Blocking: owns one event loop for the whole session.

        with Runner(testbed, scratch, bus) as runner:
            evidence = runner.play("pair", "demux-kernel", clients=2, folder=folder)
    """

    def __init__(self, testbed: Testbed, scratch: Path, bus: StepBus) -> None:
        self.testbed = testbed
        self._bus = bus
        self._scratch = scratch
        self._loop = asyncio.Runner()
        self._timers = Timers()
        self._lab = Lab(testbed, scratch, self._make_gateway, tell=bus.note)
        self._up = False
        # Its start-up takes as long as a gateway's: it begins at once and is needed last.
        self._dissector = Dissector()

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Takes the lab down. Safe after any failure."""
        try:
            if self._up:
                self._up = False
                self._loop.run(self._lab.down())
        finally:
            self._loop.close()
            self._dissector.close()

    def play(
        self,
        scenario: str | Script,
        variant: str,
        *,
        folder: Path,
        clients: int | None = None,
        clear_expected: bool = False,
    ) -> Evidence:
        """Plays the scenario (a script, or the name of one of the suites' scripts) on a fresh gateway of `variant` and returns what
        it left behind; its files are in `folder`. `clear_expected`: a behaviour declares that L2TP goes unprotected here.

        LabError where the lab does not come up. Whatever goes wrong later is in the evidence's `trouble`.
        """
        chosen = script(scenario) if isinstance(scenario, str) else scenario
        count = clients or chosen.clients
        plans = tuple(replace(plan, **chosen.overrides.get(plan.name, {})) for plan in self.testbed.plans(count))
        return self._loop.run(self._play(chosen, variant, plans, folder, clear_expected))

    async def _play(self, chosen: Script, variant: str, plans: tuple[ClientPlan, ...], folder: Path, clear: bool) -> Evidence:
        self._timers = Timers().scaled(chosen.time_scale) if chosen.time_scale != 1.0 else Timers()
        with self._bus.step(f"a fresh gateway, {variant}"):
            for line in self._timers.against(Timers()):
                self._bus.note(f"scaled timer: {line}")
            if self._up:
                await self._lab.replace_gateway(variant)
            else:
                await self._lab.up(variant)
                self._up = True
        gathered = await self._record(chosen, plans, folder)
        with self._bus.step("dissect the captures"):
            return await gather(gathered, self._dissector, self.testbed, chosen.name, variant, plans, folder, clear)

    async def _record(self, chosen: Script, plans: tuple[ClientPlan, ...], folder: Path) -> Gathered:
        """The scenario itself, between the start and the end of all captures."""
        gateway = self._lab.gateway
        assert isinstance(gateway, UmlGateway)
        clock = RunClock.fix()
        journal = Journal(folder, clock)
        gathered = Gathered(journal.records)
        nat = self._lab.nat
        # The last to start is the first to stop. What the gateway still sends in between (the clients are silent by then) is then
        # missing inside, like a packet that a NAT dropped, and not missing outside, like one that the capture lost.
        captures = [
            Capture(Side.OUTSIDE, nat.netns.name, nat.outside_interface, folder / "outside.pcap"),
            Capture(Side.INSIDE, nat.netns.name, nat.inside_interface, folder / "inside.pcap"),
        ]
        async with AsyncExitStack() as closing:
            closing.callback(journal.close)
            for capture in captures:
                await capture.start()
                closing.push_async_callback(self._end_capture, capture, gathered.captures)
            await gateway.start_witnesses()
            sockets = open_ports(enter=self._lab.clients.entered)
            async with Fleet(sockets=sockets, journal=journal) as fleet:
                for plan in plans:
                    fleet.add(plan)
                patience = linux_config.variant(gateway.settings.variant).patience_s
                play = Play(
                    plans, fleet, gateway.driver, self._lab, clock, self._bus, patience, gathered.steps, gathered.views
                )
                try:
                    async with asyncio.timeout(OVERRUN_S):
                        await play.perform(chosen.run)
                except TimeoutError:
                    gathered.trouble.append(f"the scenario was not over after {OVERRUN_S:g} s")
                except (DeviceError, LabError) as error:
                    # A gateway that dies is a result like any other: what was captured until then is kept, and says so.
                    gathered.trouble.append(str(error))
            await self._end_witnesses(gateway, gathered, folder)
        return gathered

    async def _end_capture(self, capture: Capture, facts: list[CaptureFacts]) -> None:
        facts.append(await capture.stop())

    async def _end_witnesses(self, gateway: UmlGateway, gathered: Gathered, folder: Path) -> None:
        """The gateway's own captures and logs. Where it is dead there is nothing to be had, and the evidence says so."""
        try:
            gathered.captures += await gateway.stop_witnesses(folder)
            gathered.logs = await gateway.driver.logs()
        except (CaptureError, DeviceError, LabError) as error:
            gathered.trouble.append(f"the gateway's own account is lost: {error}")

    def _make_gateway(self, testbed: Testbed, variant: str, attachment: Attachment, scratch: Path) -> UmlGateway:
        return linux_gateway(testbed, variant, attachment, scratch, timers=self._timers)
