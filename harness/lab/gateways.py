"""The gateways that a lab can start, made from what the testbed says of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.devices.linux_config import GatewaySettings, Timers
from harness.devices.linux_config import variant as variant_named
from harness.devices.linux_gateway import LinuxGateway
from harness.errors import UsageError
from harness.lab import kernel_modules, packages, witness
from harness.lab.guest_link import Job, Result
from harness.lab.namespaces import Netns
from harness.lab.topology import Attachment
from harness.lab.uml import GuestPlan, UmlGuest
from harness.lab.virtual_gateway import VirtualNode
from harness.model import CaptureFacts, GatewayEvent
from harness.model.testbed import Testbed


class UmlGateway:
    """strongSwan, xl2tpd and pppd in a User Mode Linux guest: `guest` is the machine, `driver` the device on it."""

    def __init__(self, guest: UmlGuest, settings: GatewaySettings, clock: Callable[[], float] = time.time) -> None:
        self.guest = guest
        self.settings = settings
        self.driver = LinuxGateway(guest.execute, settings, clock=clock)
        self._witnesses: list[witness.Witness] = []

    @property
    def running(self) -> bool:
        return self.guest.running

    @property
    def patience_s(self) -> float:
        """How long a client may take to come up before a scenario goes on without it."""
        return variant_named(self.settings.variant).patience_s

    async def events(self) -> tuple[GatewayEvent, ...]:
        """None: its daemons keep logs, each in words of its own."""
        return ()

    async def start(self) -> None:
        """Boots the guest and starts the daemons; on failure the guest is gone again."""
        await self.guest.start()
        try:
            await self.driver.start()
        except BaseException:
            await self.guest.kill()
            raise

    async def stop(self) -> None:
        await self.guest.stop()

    async def execute(self, command: str, timeout: float = 30.0) -> Result:
        return await self.guest.execute(command, timeout)

    async def start_witnesses(self) -> None:
        """Begin the captures inside the gateway: the far end, and with demux the translated L2TP."""
        self._witnesses = witness.of_variant(witness.InGuest(self.guest), self.settings)
        await asyncio.gather(*(one.start() for one in self._witnesses))

    async def stop_witnesses(self, folder: Path) -> list[CaptureFacts]:
        """End them and move their files into `folder`."""
        witnesses, self._witnesses = self._witnesses, []
        return list(await asyncio.gather(*(one.stop(folder) for one in witnesses)))

    def shell(self, rows: int = 24, columns: int = 80) -> Job:
        return self.guest.shell(rows, columns)


def settings_of(testbed: Testbed, variant: str) -> GatewaySettings:
    """What the gateway is told, from the testbed: the clients' secrets are the gateway's, too."""
    clients, gateway = testbed.clients, testbed.gateway
    return GatewaySettings(
        variant=variant,
        address=gateway.address,
        interface=gateway.interface.name,
        psk=clients.psk,
        users={clients.user_of(number): clients.password_of(number) for number in range(1, gateway.users + 1)},
        ppp_address=gateway.ppp_address,
        pool=f"{gateway.pool_first}-{gateway.pool_last}",
    )


def linux_gateway(
    testbed: Testbed, variant: str, attachment: Attachment, scratch: Path, *, timers: Timers | None = None
) -> UmlGateway:
    """A gateway of `variant`, not yet started. MissingTool where its daemons are not unpacked on this machine."""
    plan = GuestPlan(
        "gateway",
        attachment,
        scratch,
        addresses=[testbed.gateway.interface.address],
        packages=packages.guest_directory(),
        modules=kernel_modules.for_gateway(variant_named(variant).ipsec),
    )
    settings = settings_of(testbed, variant)
    return UmlGateway(UmlGuest(plan), settings if timers is None else replace(settings, timers=timers))


def gateway_of(
    testbed: Testbed,
    variant: str,
    attachment: Attachment,
    scratch: Path,
    *,
    time_scale: float = 1.0,
    changes: Mapping[str, Any] | None = None,
) -> UmlGateway | VirtualNode:
    """The testbed's gateway, not yet started. `time_scale` is how many times as fast its timers run, `changes` are settings in
    which it differs from the variant. UsageError for a change that a Linux gateway cannot take."""
    if not testbed.gateway.in_guest:
        return VirtualNode(testbed, variant, Netns(attachment.netns), scratch, time_scale=time_scale, changes=changes)
    if changes:
        cure = "play it on testbeds/virtual.yaml"
        raise UsageError(f"the gateway of {testbed.file} takes no settings of its own ({', '.join(changes)})", cure=cure)
    timers = Timers().scaled(time_scale) if time_scale != 1.0 else None
    return linux_gateway(testbed, variant, attachment, scratch, timers=timers)
