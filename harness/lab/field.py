"""A lab of devices that are there already: reached over SSH, configured, and left as they were found.

`up` takes the lock on the devices, logs in everywhere, has the NAT translate and lends the clients their interface; every change is
in the restore journal before it is made. `down` undoes all of it in reverse; what a killed run left behind is `natstorm restore`'s.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from harness.devices.journal import Journal, Undo
from harness.devices.linux_nat import LinuxNat
from harness.devices.ssh import SshConnection
from harness.errors import LabError, NatstormError
from harness.lab import enclosure
from harness.lab.field_gateways import FieldGateway, field_gateway
from harness.lab.namespaces import Netns
from harness.lab.providers.static import Static
from harness.lab.segment import Segment
from harness.model.reach import Connection
from harness.model.testbed import Testbed

PURPOSE = "natstorm qualify"


class FieldLab:
    """`tell` hears the name of every step as it begins; `purpose` is what the lock tells whoever finds the devices taken."""

    def __init__(self, testbed: Testbed, tell: Callable[[str], None], purpose: str = PURPOSE) -> None:
        self.testbed = testbed
        self._tell = tell
        self._purpose = purpose
        self._held = AsyncExitStack()
        self._devices: dict[str, SshConnection] = {}
        self._journal: Journal | None = None
        self._segment = Segment(testbed)
        self._nat: LinuxNat | None = None
        self._gateway: FieldGateway | None = None
        self.took: dict[str, float] = {}

    @property
    def clients(self) -> Netns:
        return self._segment.clients

    @property
    def nat(self) -> LinuxNat:
        if self._nat is None:
            raise LabError("use the NAT", "the lab is not up", "bring it up first")
        return self._nat

    @property
    def gateway(self) -> FieldGateway:
        if self._gateway is None:
            raise LabError("use the gateway", "there is none at present", "bring the lab up first")
        return self._gateway

    async def up(self) -> None:
        """Everything but the gateway's configuration, which is a scenario's. Raises LabError, DeviceError or UsageError, with all
        put back that was changed."""
        try:
            async with self._step("look at the clients' interface"):
                self._segment.check()
            async with self._step("lock the devices"):
                lock = Static.of(self.testbed, self._purpose)
                for note in lock.up().notes:
                    self._tell(note)
                self._held.callback(lock.down)
            self._journal = Journal.create(self.testbed.name, self.testbed.file)
            self._held.callback(self._journal.close)
            for connection in self.testbed.connections:
                async with self._step(f"log in to {connection.device}"):
                    await self.reach(connection)
            await self._start_nat(self._journal)
            async with self._step(f"lend {self.testbed.clients.interface.name} to the clients"):
                self._lend(self._journal)
        except BaseException:
            await self.down()
            raise

    async def fresh_gateway(self, variant: str, *, time_scale: float = 1.0, changes: Mapping[str, Any] | None = None) -> None:
        """The gateway as if never used, in that variant: whatever it had of another scenario is gone."""
        await self._stop_gateway()
        connection = self.testbed.gateway.connection
        assert connection is not None
        assert self._journal is not None
        async with self._step("clear the NAT"):
            await self.nat.forget()
        async with self._step(f"configure the gateway, {variant}"):
            device = await self.reach(connection)
            self._gateway = field_gateway(
                self.testbed, variant, device, self._journal, time_scale=time_scale, changes=changes or {}
            )
            await self._gateway.start()

    async def reach(self, connection: Connection) -> SshConnection:
        """The session with that device, which is opened when it is first wanted and stays."""
        key = connection.device
        if key not in self._devices:
            secrets = (*self.testbed.access_secrets, self.testbed.clients.psk)
            device = SshConnection(connection, root=True, secrets=secrets)
            self._held.push_async_callback(device.close)
            self._devices[key] = device
        await self._devices[key].open()
        return self._devices[key]

    async def down(self) -> None:
        """Safe at any time, and twice. Whatever cannot be undone is told, and stays in the journal."""
        try:
            await self._stop_gateway()
        finally:
            self._gateway = self._nat = None
            await self._held.aclose()
            self._devices.clear()
            self._journal = None

    # --- within ---

    async def _start_nat(self, journal: Journal) -> None:
        spec = self.testbed.nat
        assert spec.connection is not None
        device = await self.reach(spec.connection)
        there = spec.connection
        nat = LinuxNat(
            device.execute, spec, self.testbed.clients.prefix, name=there.device, journal=journal, connection=there
        )
        self._held.push_async_callback(nat.restore)
        async with self._step("have the NAT translate"):
            await nat.start()
            await nat.forget()
        self._nat = nat

    def _lend(self, journal: Journal) -> None:
        nic = self._segment.check()
        undo = Undo(
            (f"bring {nic.name} back from the clients",),
            commands=(tuple(enclosure.python("harness.lab.segment_keeper", nic.to_json(), "now")),),
        )
        number = journal.before(undo)

        def back() -> None:
            self._segment.down()
            journal.done(number)

        self._held.callback(back)
        self._segment.up()

    async def _stop_gateway(self) -> None:
        gateway, self._gateway = self._gateway, None
        if gateway is not None:
            async with self._step("stop the gateway"):
                await gateway.stop()

    @asynccontextmanager
    async def _step(self, name: str) -> AsyncIterator[None]:
        self._tell(name)
        began = time.monotonic()
        try:
            yield
        except NatstormError:
            raise
        except OSError as error:
            raise LabError(name, str(error)) from error
        finally:
            self.took[name] = time.monotonic() - began

