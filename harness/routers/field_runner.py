"""Plays scripts for routers on routers that are there, one after another, in the time of the wall."""

from __future__ import annotations

import asyncio
from pathlib import Path

from harness.devices import clock
from harness.devices.ios.access_lines import in_the_way
from harness.devices.linux_host import LinuxHost
from harness.devices.ssh import SshConnection
from harness.errors import DeviceError, ReleaseLacks
from harness.lab.field_routers import FieldRouters
from harness.lab.reached import CLOCKS_APART_S
from harness.model import CaptureFacts
from harness.model.redact import Redactor
from harness.model.router_lab import LAC, RouterLab
from harness.model.steps import StepBus
from harness.routers.field_l2tp import FieldL2tp
from harness.routers.l2tp_play import L2tpPlay
from harness.routers.play import Gathered
from harness.routers.releases import features
from harness.routers.runner import PlayedLab, RunnerBase
from harness.routers.script import NULL, THERE, RouterScript


class FieldRunner(RunnerBase):
    """The routers are reached, and the card lent, at the first script; each script gets routers configured anew. Blocking: owns
    one event loop until it is closed, by which all is given back. `play` raises CaptureError where nothing captures the wire."""

    time = "wall"

    def __init__(self, testbed: RouterLab, bus: StepBus) -> None:
        super().__init__(bus, Redactor(testbed.secrets))
        self.lab = FieldRouters(testbed, bus.note, in_the_way)
        self._testbed = testbed
        self._loop = asyncio.Runner()
        self._begun = self._up = False
        self._release = self._apart = ""

    def close(self) -> None:
        """Gives back what was lent, and leaves the devices as they were. Safe after any failure."""
        try:
            if self._begun:
                self._begun = self._up = False
                self._loop.run(self.lab.down())
        finally:
            self._loop.close()
            super().close()

    def variant(self, script: RouterScript) -> str:
        return NULL if script.null else THERE

    def release(self, script: RouterScript) -> str:
        """The LAC's, as its `show version` has it."""
        return self._release

    def _perform(self, script: RouterScript, gathered: Gathered, captures: list[CaptureFacts], folder: Path) -> PlayedLab:
        return self._loop.run(self._play(script, gathered, captures, folder))

    async def _play(
        self, script: RouterScript, gathered: Gathered, captures: list[CaptureFacts], folder: Path
    ) -> FieldL2tp:
        if not self._up:
            self._begun = True
            await self.lab.up(self._ready)
            self._up = True
        await self._refuse_old(script)
        lab = FieldL2tp(self.lab, script, gathered)
        with self._bus.step("configure the routers"):
            await lab.begin()
        play = L2tpPlay(lab, self._bus, gathered, script.options)
        async with lab.captured(folder, captures):
            await self._steps(script, play, gathered)
        gathered.trouble += [*lab.trouble(), *([self._apart] if self._apart else [])]
        return lab

    async def _refuse_old(self, script: RouterScript) -> None:
        """ReleaseLacks where a router is known to lack what the script needs."""
        for role, router in self.lab.routers.items():
            if role == LAC:
                self._release = str(await router.release())
            if lacks := [one for one in await router.missing(features(script)) if one.known]:
                raise ReleaseLacks(role, str(lacks[0]))

    async def _ready(self) -> None:
        """Whether the wire's source can capture, before anything is configured for the sake of it."""
        source = self._testbed.wire
        if source.connection is not None:
            device = await self.lab.reach(source.connection)
            await LinuxHost(device.execute, name=device.name).ready_to_capture(source.interface)
            self._apart = await apart(device)


async def apart(device: SshConnection) -> str:
    """Why what a machine captures cannot be laid beside what is done here, since its clock is another; "" where it can."""
    try:
        found = await clock.measure(device)
    except DeviceError as error:
        return f"the clock of {device.name}, which captures, is not known: {' '.join(error.seen.split())}"
    fits = abs(found.seconds) - found.bound <= CLOCKS_APART_S
    return "" if fits else f"the clock of {device.name}, which captures, is {found}: let NTP set both"
