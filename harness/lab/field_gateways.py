"""Gateways that are there already, each with what captures inside it, made from what the testbed says of them."""

from __future__ import annotations

import secrets
import shlex
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from harness.devices.journal import Journal, Undo, reached
from harness.devices.linux_config import Timers
from harness.devices.linux_config import variant as variant_named
from harness.devices.linux_gateway import LinuxGateway
from harness.devices.ssh import SshConnection
from harness.devices.ssh_line import SshLine
from harness.devices.ssh_stream import SshStream
from harness.devices.virtual_gateway import ProcessGateway
from harness.errors import CaptureError, DeviceError, LabError, UsageError
from harness.lab import place, witness
from harness.lab.gateways import settings_of
from harness.lab.guest_link import Result
from harness.lab.virtual_gateway import VirtualNode, plan, stop_witnesses
from harness.model import CaptureFacts, GatewayEvent
from harness.model.testbed import Testbed

PLACES = "/tmp/natstorm-run."
"""How the names of directories begin that a run makes on a device."""
COMMAND = "natstorm-gateway"
"""What the project's own gateway is called where it is installed."""


class FieldGateway(Protocol):
    """From `start` to `stop`; `driver` is the device in its role."""

    @property
    def driver(self) -> Any: ...

    @property
    def patience_s(self) -> float: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def start_witnesses(self) -> None: ...

    async def stop_witnesses(self, folder: Path) -> list[CaptureFacts]: ...

    async def events(self) -> tuple[GatewayEvent, ...]: ...


def field_gateway(
    testbed: Testbed,
    variant: str,
    device: SshConnection,
    journal: Journal,
    *,
    time_scale: float = 1.0,
    changes: Mapping[str, Any],
) -> FieldGateway:
    """The testbed's gateway, not yet configured. UsageError for a system that no driver knows, or a change that it cannot take."""
    place.require_driver(testbed)
    if testbed.gateway.os == "natstorm":
        return InstalledGateway(testbed, variant, device, journal, time_scale, changes)
    if changes:
        cure = "play it on testbeds/virtual.yaml"
        raise UsageError(f"the gateway of {testbed.file} takes no settings of its own ({', '.join(changes)})", cure=cure)
    settings = settings_of(testbed, variant)
    if time_scale != 1.0:
        settings = replace(settings, timers=Timers().scaled(time_scale))
    driver = LinuxGateway(device.execute, settings, journal=journal, connection=device.connection)
    return StrongswanGateway(device, driver, journal)


class InstalledGateway:
    """The project's own gateway on a machine of somebody's. Each `start` is a process of its own, which nothing outlives but the
    directory with its captures: there is nothing to save."""

    patience_s = VirtualNode.patience_s

    def __init__(
        self,
        testbed: Testbed,
        variant: str,
        device: SshConnection,
        journal: Journal,
        time_scale: float,
        changes: Mapping[str, Any],
    ) -> None:
        self.driver = ProcessGateway(name=device.name)
        self._journal = journal
        self._testbed = testbed
        self._variant = variant
        self._device = device
        self._time_scale = time_scale
        self._changes = changes
        self._line: SshLine | None = None
        self._machine: Remote | None = None

    async def start(self) -> None:
        self._machine = await Remote.on(self._device, self._journal)
        told = plan(self._testbed, self._variant, Path(self._machine.place), self._time_scale, self._changes)
        line = self._line = await SshLine.open(self._device, f"{COMMAND} --settings - --control -")
        await line.tell(told)
        try:
            await self.driver.connect(line.socket)
        except DeviceError as error:
            said = line.said
            await self.stop()
            cure = f"is {COMMAND} installed there (pip install natstorm), and on the PATH of its SSH sessions?"
            raise LabError(f"start {COMMAND} on {self._device.name}", said or error.seen, cure) from error

    async def stop(self) -> None:
        """May be called again where it failed."""
        try:
            await self.driver.disconnect()
        finally:
            line, self._line = self._line, None
            if line is not None:
                line.close()
            if self._machine is not None:
                await self._machine.leave()
                self._machine = None

    async def start_witnesses(self) -> None:
        assert self._machine is not None
        await self.driver.start_witnesses(Path(self._machine.place))

    async def stop_witnesses(self, folder: Path) -> list[CaptureFacts]:
        machine = self._machine
        assert machine is not None

        async def fetch(there: Path, here: Path) -> None:
            await machine.fetch(there.name, here)

        return await stop_witnesses(self.driver, folder, fetch)

    async def events(self) -> tuple[GatewayEvent, ...]:
        return await self.driver.events()


class StrongswanGateway:
    """strongSwan, xl2tpd and pppd on a Linux machine of somebody's."""

    def __init__(self, device: SshConnection, driver: LinuxGateway, journal: Journal) -> None:
        self.driver = driver
        self._device = device
        self._journal = journal
        self._machine: Remote | None = None
        self._witnesses: list[witness.Witness] = []

    @property
    def patience_s(self) -> float:
        return variant_named(self.driver.settings.variant).patience_s

    async def start(self) -> None:
        await self.driver.start()

    async def stop(self) -> None:
        """The device as it was before `start`. May be called again where it failed."""
        try:
            await self.driver.restore()
        finally:
            await self._leave()

    async def start_witnesses(self) -> None:
        self._machine = await Remote.on(self._device, self._journal)
        self._witnesses = witness.of_variant(self._machine, self.driver.settings)
        for one in self._witnesses:
            await one.start()

    async def stop_witnesses(self, folder: Path) -> list[CaptureFacts]:
        """All of them, whatever becomes of one; then the first one's error is raised."""
        witnesses, self._witnesses = self._witnesses, []
        found: list[CaptureFacts] = []
        failed: list[CaptureError | DeviceError] = []
        try:
            for one in witnesses:
                try:
                    found.append(await one.stop(folder))
                except (CaptureError, DeviceError) as error:
                    failed.append(error)
        finally:
            await self._leave()
        if failed:
            raise failed[0]
        return found

    async def events(self) -> tuple[GatewayEvent, ...]:
        """None: its daemons keep logs, each in words of its own."""
        return ()

    async def _leave(self) -> None:
        if self._machine is not None:
            await self._machine.leave()
            self._machine = None


class Remote:
    """A machine at the other end of an SSH connection, as a witness needs it: with a directory of the run's own, which is in the
    restore journal before it is made, and which `leave` removes."""

    def __init__(self, device: SshConnection, place: str, journal: Journal) -> None:
        self.name = device.name
        self.place = place
        self._device = device
        self._journal = journal
        self._kept = journal.before(_without(device, place))
        self._streams: list[SshStream] = []

    @classmethod
    async def on(cls, device: SshConnection, journal: Journal) -> Remote:
        machine = cls(device, f"{PLACES}{secrets.token_hex(8)}", journal)
        try:
            await machine._do("make", f"mkdir -m 700 -- {shlex.quote(machine.place)}")
        except DeviceError:
            await machine.leave()
            raise
        return machine

    async def spawn(self, command: str) -> RemoteJob:
        stream = await self._device.stream(command, lambda _: None)
        self._streams.append(stream)
        return RemoteJob(stream)

    async def fetch(self, name: str, target: Path) -> None:
        there = shlex.quote(f"{self.place}/{name}")
        with target.open("wb") as file:

            def keep(piece: bytes) -> None:
                file.write(piece)

            stream = await self._device.stream(f"cat {there}", keep)
            if await stream.wait() != 0:
                raise CaptureError(f"{name} on {self.name} could not be read: {stream.said}")

    async def leave(self) -> None:
        """What still runs there is ended. DeviceError where the directory cannot be removed: then it stays in the journal, and this
        may be called again."""
        while self._streams:
            self._streams.pop().close()
        await self._do("remove", f"rm -rf -- {shlex.quote(self.place)}")
        self._journal.done(self._kept)

    async def _do(self, what: str, command: str) -> None:
        result = await self._device.execute(command)
        if result.status != 0:
            raise DeviceError(self.name, f"{what} {self.place}", result.output.strip() or f"exit status {result.status}")


def _without(device: SshConnection, place: str) -> Undo:
    at = reached(device.connection)
    return Undo((f"remove {place}",), "linux", device.name, at, script=f"rm -rf -- {shlex.quote(place)}\n", harmless=True)


class RemoteJob:
    """A program under way there. Its `output` is what it says on its standard error."""

    def __init__(self, stream: SshStream) -> None:
        self._stream = stream

    @property
    def output(self) -> str:
        return self._stream.said

    @property
    def running(self) -> bool:
        return self._stream.running

    async def seen(self, pattern: str, within: float) -> object:
        return await self._stream.seen(pattern, within)

    def signal(self, number: int) -> None:
        self._stream.signal(signal.Signals(number).name.removeprefix("SIG"))

    async def wait(self) -> Result:
        return Result(await self._stream.wait(), self._stream.said)
