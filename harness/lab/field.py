"""A lab of devices that are there already, a NAT and a gateway: reached over SSH, configured, and left as they were found.

`up` has a GNS3 or EVE-NG server bring its project up where the devices are nodes of one, takes the lock on the devices, logs in
everywhere, has the NAT translate and lends the clients their interface; every change is in the restore journal before it is made.
`down` undoes all of it in reverse; what a killed run left behind is `natstorm restore`'s, on a server `natstorm lab clean`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from harness.devices.ios.driver import Ios
from harness.devices.journal import Journal
from harness.devices.linux_nat import LinuxNat
from harness.devices.ssh import Patience
from harness.errors import LabError, NatstormError
from harness.lab.field_gateways import FieldGateway, field_gateway
from harness.lab.providers.gns3 import Gns3
from harness.lab.providers.of_testbed import SERVERS, provider_of
from harness.lab.providers.provider import Provider, unable
from harness.lab.reached import PURPOSE, Look, ReachedLab, to_its_end
from harness.lab.segment import of_clients, restore_by
from harness.model.reach import CaptureSource
from harness.model.testbed import Testbed

BOOTING = Patience(attempts=9)
"""With nodes that were just started: some four minutes until they answer."""


class FieldLab(ReachedLab):
    """A testbed's, with a gateway that is judged."""

    def __init__(self, testbed: Testbed, tell: Callable[[str], None], purpose: str = PURPOSE) -> None:
        super().__init__(testbed, of_clients(testbed), tell, purpose)
        self.testbed = testbed
        self._provider: Provider | None = None
        self._nat: LinuxNat | None = None
        self._gateway: FieldGateway | None = None
        self._spoiled = ""  # why no further scenario is played

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

    async def _bring_up(self, look: Look | None) -> None:
        await self._start_lab()
        journal = await self._take()
        await self._compare_clocks()
        await self._look(look)
        await self._start_nat(journal)
        await self._lend(journal)

    async def fresh_gateway(self, variant: str, *, time_scale: float = 1.0, changes: Mapping[str, Any] | None = None) -> None:
        """The gateway as if never used, in that variant: whatever it had of another scenario is gone. LabError where it could not
        be put back, or the devices are somebody else's by now: nothing is played on them then."""
        if self.lost is not None:
            raise self.lost
        await self._stop_gateway()
        connection = self.testbed.gateway.connection
        assert connection is not None
        assert self._journal is not None
        async with self._step("clear the NAT"):
            await self.nat.forget()
        async with self._step(f"configure the gateway, {variant}"):
            machine = self.testbed.gateway.end_host_connection if self.testbed.router else connection
            device = None if machine is None else await self.reach(machine)
            self._gateway = field_gateway(
                self.testbed, variant, device, self._journal, time_scale=time_scale, changes=changes or {}
            )
            await self._gateway.start()
        for note in getattr(self._gateway.driver, "notes", ()):
            self.tell(note)

    async def down(self) -> None:
        self._spoiled = ""
        await super().down()

    async def link_at(self, source: CaptureSource) -> str:
        """The name of the server's link that is to be captured. LabError where there is none, or no server that could."""
        provider = self._captures()
        assert source.connection is not None
        node = self.testbed.lab.node(source.connection.device)
        return await to_its_end(lambda: provider.link_at(node, source.interface))

    def capture(self, link: str) -> AbstractContextManager[Iterator[bytes]]:
        """The server's capture of it. Entering and leaving block, as does the iterator."""
        return self._captures().capture(link)

    # --- within ---

    def _captures(self) -> Gns3:
        if not isinstance(self._provider, Gns3):
            raise unable(self.testbed.lab.provider, "capture on a link", "`source: tcpdump` in devices.nat.custom.capture")
        return self._provider

    async def _start_lab(self) -> None:
        """Where the devices are nodes on a server: its project is up then."""
        if self.testbed.lab.provider not in SERVERS:
            return
        provider = self._provider = provider_of(self.testbed, self._purpose)
        self.patience = BOOTING
        async with self._step(f"bring up {self.testbed.lab.project} at {self.testbed.lab.url}"):
            try:
                status = await to_its_end(provider.up)
            except asyncio.CancelledError:
                await self._stop_lab(provider)  # it may have come up by then
                raise
        self._undo.append(lambda: self._stop_lab(provider))
        for note in status.notes:
            self.tell(note)

    async def _stop_lab(self, provider: Provider) -> None:
        async with self._step(f"take down {self.testbed.lab.project}"):
            await to_its_end(provider.down)

    async def _start_nat(self, journal: Journal) -> None:
        spec = self.testbed.nat
        assert spec.connection is not None
        device = await self.reach(spec.connection)
        there = spec.connection
        nat = LinuxNat(
            device.execute, spec, self.testbed.clients.prefix, name=there.device, journal=journal, connection=there
        )
        self._undo.append(nat.restore)
        async with self._step("have the NAT translate"):
            await nat.start()
            await nat.forget()
        self._nat = nat

    async def _log_in(self, router: Ios) -> None:
        """One that is a node, and was just started, is waited for."""
        await (router.connect() if self._provider is None else router.reconnect())

    async def _leave(self) -> None:
        await self._stop_gateway()

    def _forget(self) -> None:
        self._gateway = self._nat = self._provider = None

    async def _stop_gateway(self) -> None:
        """It is kept until it is put back: a new one would take what this one wrote for what the device had."""
        if self._gateway is None:
            return
        if self._spoiled:
            seen = f"it was not put back after the last scenario ({self._spoiled}), so that nothing more is played on it"
            raise LabError("use the gateway", seen, restore_by(self.testbed.file))
        try:
            async with self._step("stop the gateway"):
                await self._gateway.stop()
        except NatstormError as error:
            self._spoiled = str(error)
            raise LabError("put the gateway back", str(error), restore_by(self.testbed.file)) from error
        self._gateway = None
