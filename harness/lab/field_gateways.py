"""Gateways that are there already, each with what captures inside it, made from what the testbed says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from harness.devices.journal import Journal
from harness.devices.linux_config import Timers
from harness.devices.linux_config import variant as variant_named
from harness.devices.linux_gateway import LinuxGateway
from harness.devices.ssh import SshConnection
from harness.devices.ssh_line import SshLine
from harness.devices.virtual_gateway import ProcessGateway
from harness.errors import DeviceError, LabError, UsageError
from harness.lab import witness
from harness.lab.field_router import RouterGateway
from harness.lab.field_witnesses import FieldWitnesses
from harness.lab.gateways import settings_of
from harness.lab.remote import Remote
from harness.lab.virtual_gateway import VirtualNode, plan, stop_witnesses
from harness.model import CaptureFacts, GatewayEvent
from harness.model.testbed import Testbed

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
    device: SshConnection | None,
    journal: Journal,
    *,
    time_scale: float = 1.0,
    changes: Mapping[str, Any],
) -> FieldGateway:
    """The testbed's gateway, not yet configured. `device` is the session with it, or, of a router, with the host behind it (None
    where there is none). UsageError for a change that it cannot take."""
    if testbed.gateway.os == "natstorm":
        assert device is not None
        return InstalledGateway(testbed, variant, device, journal, time_scale, changes)
    if changes:
        cure = "play it on testbeds/virtual.yaml"
        raise UsageError(f"the gateway of {testbed.file} takes no settings of its own ({', '.join(changes)})", cure=cure)
    if testbed.router is not None:
        return RouterGateway(testbed, variant, device, journal)
    assert device is not None
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
        self._witnesses = FieldWitnesses(journal)

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
            await self._witnesses.leave()

    async def start_witnesses(self) -> None:
        await self._witnesses.start(self._device, lambda machine: witness.of_variant(machine, self.driver.settings))

    async def stop_witnesses(self, folder: Path) -> list[CaptureFacts]:
        return await self._witnesses.stop(folder)

    async def events(self) -> tuple[GatewayEvent, ...]:
        """None: its daemons keep logs, each in words of its own."""
        return ()
