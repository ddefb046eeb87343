"""Plays scripts for routers on routers that are there, one after another, in the time of the wall."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.devices import clock
from harness.devices.linux_host import LinuxHost
from harness.devices.ssh import SshConnection
from harness.errors import DeviceError, ReleaseLacks
from harness.lab.field_routers import FieldRouters
from harness.lab.reached import CLOCKS_APART_S
from harness.model import CaptureFacts
from harness.model.redact import Redactor
from harness.model.router_lab import LAC, RouterLab
from harness.model.sites import NAT
from harness.model.steps import StepBus
from harness.routers.esp_play import EspPlay
from harness.routers.field_esp import FieldEsp
from harness.routers.field_l2tp import FieldL2tp
from harness.routers.field_lab import FieldLab
from harness.routers.l2tp_play import L2tpPlay
from harness.routers.play import Gathered
from harness.routers.releases import features
from harness.routers.runner import PlayedLab, RunnerBase
from harness.routers.script import ESP, L2TP, NULL, THERE, RouterScript

LABS: Mapping[str, tuple[Any, Any]] = {L2TP: (FieldL2tp, L2tpPlay), ESP: (FieldEsp, EspPlay)}
"""By world: the laboratory of routers that are there, and the steps that can be taken in it."""


class FieldRunner(RunnerBase):
    """The routers are reached, and the card lent, at the first script; each script gets routers configured anew. Blocking: owns
    one event loop until it is closed, by which all is given back. `play` raises CaptureError where nothing captures the wire."""

    time = "wall"

    def __init__(self, testbed: RouterLab, bus: StepBus) -> None:
        super().__init__(bus, Redactor(testbed.secrets))
        self.lab = FieldRouters(testbed, bus.note)
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
        """The LAC's, or the NAT's, as its `show version` has it."""
        return self._release

    def _perform(self, script: RouterScript, gathered: Gathered, captures: list[CaptureFacts], folder: Path) -> PlayedLab:
        return self._loop.run(self._play(script, gathered, captures, folder))

    async def _play(self, script: RouterScript, gathered: Gathered, captures: list[CaptureFacts], folder: Path) -> FieldLab:
        if not self._up:
            self._begun = True
            await self.lab.up(self._ready)
            self._up = True
        await self._refuse_old(script)
        make, steps = LABS[script.world]
        lab: FieldLab = make(self.lab, script, gathered)
        with self._bus.step("configure the routers"):
            await lab.begin()
        play = steps(lab, self._bus, gathered, script.options)
        async with lab.captured(folder, captures):
            await self._steps(script, play, gathered)
        gathered.trouble += [*lab.trouble(), *([self._apart] if self._apart else [])]
        return lab

    async def _refuse_old(self, script: RouterScript) -> None:
        """ReleaseLacks where a router is known to lack what the script needs."""
        for role, router in self.lab.routers.items():
            if role in (LAC, NAT):
                self._release = str(await router.release())
            if lacks := [one for one in await router.missing(features(script)) if one.known]:
                raise ReleaseLacks(role, str(lacks[0]))

    async def _ready(self) -> None:
        """Whether all that captures can, before anything is configured for the sake of it."""
        clocks: dict[str, str] = {}
        for source in self._testbed.captures:
            if source.connection is not None:
                device = await self.lab.reach(source.connection)
                await LinuxHost(device.execute, name=device.name).ready_to_capture(source.interface)
                if device.name not in clocks:
                    clocks[device.name] = await apart(device)
        self._apart = "; ".join(filter(None, clocks.values()))


async def apart(device: SshConnection) -> str:
    """Why what a machine captures cannot be laid beside what is done here, since its clock is another; "" where it can."""
    try:
        found = await clock.measure(device)
    except DeviceError as error:
        return f"the clock of {device.name}, which captures, is not known: {' '.join(error.seen.split())}"
    fits = abs(found.seconds) - found.bound <= CLOCKS_APART_S
    return "" if fits else f"the clock of {device.name}, which captures, is {found}: let NTP set both"
