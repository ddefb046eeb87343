"""A lab of devices that are there already: reached over SSH, configured, and left as they were found.

`up` has a GNS3 or EVE-NG server bring its project up where the devices are nodes of one, takes the lock on the devices, logs in
everywhere, has the NAT translate and lends the clients their interface; every change is in the restore journal before it is made.
`down` undoes all of it in reverse; what a killed run left behind is `natstorm restore`'s, on a server `natstorm lab clean`'s.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any, TypeVar

from harness.devices import clock
from harness.devices.ios.driver import Ios
from harness.devices.journal import Journal, Undo, left_changed
from harness.devices.linux_nat import LinuxNat
from harness.devices.ssh import Patience, SshConnection
from harness.errors import LabError, NatstormError
from harness.lab import enclosure
from harness.lab.field_gateways import FieldGateway, field_gateway
from harness.lab.field_locks import Device, DeviceLocks
from harness.lab.namespaces import Netns
from harness.lab.providers.device_lock import Claim
from harness.lab.providers.gns3 import Gns3
from harness.lab.providers.lock import Lock
from harness.lab.providers.of_testbed import SERVERS, provider_of
from harness.lab.providers.provider import Provider, unable
from harness.lab.providers.static import Static, taken_by
from harness.lab.segment import Segment, restore_by
from harness.model.reach import CaptureSource, Connection
from harness.model.testbed import Testbed

T = TypeVar("T")

PURPOSE = "natstorm qualify"
CLOCKS_APART_S = 0.1
"""Verdicts bear no more between the clients' clock and the captures' (harness/verdict/trust.py)."""
BOOTING = Patience(attempts=9)
"""With nodes that were just started: some four minutes until they answer."""


class FieldLab:
    """`tell` hears the name of every step as it begins; `purpose` is what the lock tells whoever finds the devices taken."""

    def __init__(self, testbed: Testbed, tell: Callable[[str], None], purpose: str = PURPOSE) -> None:
        self.testbed = testbed
        self.tell = tell
        self._purpose = purpose
        self._undo: list[Callable[[], Awaitable[None]]] = []  # what `down` does, from the last to the first
        self._devices: dict[str, SshConnection] = {}
        self._provider: Provider | None = None
        self._journal: Journal | None = None
        self._lock: Lock | None = None
        self._locks: DeviceLocks | None = None
        self._segment = Segment(testbed)
        self._nat: LinuxNat | None = None
        self._gateway: FieldGateway | None = None
        self._spoiled = ""  # why no further scenario is played
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

    @property
    def lost(self) -> LabError | None:
        """What was lost of the locks on the devices since they were taken: then somebody else may be changing them."""
        return next((one.lost for one in (self._lock, self._locks) if one is not None and one.lost is not None), None)

    async def up(self, look: Callable[[], Awaitable[None]] | None = None) -> None:
        """Everything but the gateway's configuration, which is a scenario's. `look` is awaited when all devices are reached and
        nothing is changed yet: what it raises forbids the rest. Raises LabError, DeviceError or UsageError, with all
        put back that was changed; where that failed too, LabError with the command that does it."""
        try:
            async with self._step("look at the clients' interface"):
                self._segment.check()
            await self._start_lab()
            await self._take_locks()
            self._refuse_changed()
            self._journal = journal = Journal.create(self.testbed.name, self.testbed.file)
            self._undo.append(returning(journal.close))
            await self._take_locks_there(journal)
            await self._compare_clocks()
            if look is not None:
                async with self._step("look at the capture sources"):
                    await look()
            await self._start_nat(journal)
            async with self._step(f"lend {self.testbed.clients.interface.name} to the clients"):
                self._lend(journal)
        except BaseException as error:
            try:
                await self.down()
            except LabError as left:
                if isinstance(error, NatstormError):
                    raise LabError("bring the lab up", f"{error}\n  and then: {left.seen}", left.cure) from error
                self.tell(str(left))
            raise

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

    async def reach(self, connection: Connection) -> SshConnection:
        """The session with that device, which is opened when it is first wanted and stays."""
        key = connection.device
        if key not in self._devices:
            device = self._session(connection, Patience() if self._provider is None else BOOTING)
            self._undo.append(device.close)
            self._devices[key] = device
        await self._devices[key].open()
        return self._devices[key]

    async def down(self) -> None:
        """Safe at any time, and twice. All is tried, whatever fails; LabError then, with all that failed. Where something is left
        changed it is in the journal, and the error has the command that puts it back."""
        failed: list[str] = []
        broken: BaseException | None = None
        self._spoiled = ""
        todo = [*self._undo, self._stop_gateway]
        self._undo = []
        while todo:
            try:
                await todo.pop()()
            except (NatstormError, OSError) as error:
                failed.append(error.seen if isinstance(error, LabError) else str(error))
            except BaseException as error:
                broken = broken or error
        journal, self._journal = self._journal, None
        self._gateway = self._nat = self._provider = self._lock = self._locks = None
        self._devices.clear()
        if journal is not None and journal.open:
            left = "; ".join(sentence for _, undo in journal.open for sentence in undo.what)
            failed.append(f"left to do: {left}")
        seen = "; ".join(dict.fromkeys(failed))
        trouble = LabError("give the devices back", seen, restore_by(self.testbed.file)) if failed else None
        if broken is not None:
            if trouble is not None:
                self.tell(str(trouble))
            raise broken
        if trouble is not None:
            raise trouble

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

    def _session(self, connection: Connection, patience: Patience) -> SshConnection:
        return SshConnection(connection, root=True, secrets=self.testbed.secrets, patience=patience)

    @asynccontextmanager
    async def _own_session(self, connection: Connection) -> AsyncIterator[Device]:
        """One of the locks' own. A router that is a node, and was just started, is waited for."""
        if connection != self.testbed.router:
            async with self._session(connection, Patience()) as machine:
                yield machine
            return
        router = Ios(connection, secrets=self.testbed.secrets)
        try:
            await (router.connect() if self._provider is None else router.reconnect())
            yield router
        finally:
            await router.disconnect()

    async def _start_lab(self) -> None:
        """Where the devices are nodes on a server: its project is up then."""
        if self.testbed.lab.provider not in SERVERS:
            return
        provider = self._provider = provider_of(self.testbed, self._purpose)
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

    async def _take_locks(self) -> None:
        """Those for all who use this machine. LabError where somebody has one."""
        async with self._step("lock the devices"):
            static = Static.of(self.testbed, self._purpose)
            self._lock = static.lock
            self._undo.append(returning(static.down))
            for note in static.up().notes:
                self.tell(note)

    async def _take_locks_there(self, journal: Journal) -> None:
        """On each device, for everybody else."""
        devices, router = taken_by(self.testbed), self.testbed.router
        for connection in (one for one in devices if one != router):
            async with self._step(f"log in to {connection.device}"):
                await self.reach(connection)
        async with self._step("lock the devices on themselves"):
            locks = self._locks = DeviceLocks(Claim.new(self._purpose), self._own_session, journal)
            self._undo.append(lambda: locks.release(self.reach))
            for connection in devices:
                if connection != router:
                    taken_over = await locks.take(await self.reach(connection))
                else:
                    async with self._own_session(connection) as device:
                        taken_over = await locks.take(device)
                if taken_over is not None:
                    self.tell(taken_over)
            locks.beat()

    def _refuse_changed(self) -> None:
        """What is not as its owner left it must not be saved as if it were."""
        for device, left in left_changed(taken_by(self.testbed), self.testbed.file, tell=self.tell):
            seen = f"{device} was left changed by a run that is over (process {left.pid}, {left.path})"
            raise LabError("look whether the devices are as they were", seen, restore_by(left.file))

    async def _compare_clocks(self) -> None:
        """Tells how far apart the clocks are by which clients, captures and gateway say when. Nothing is corrected by it: a round
        trip over SSH is a coarse measure, and what the verdicts compare they compare by packets."""
        sources = (self.testbed.nat.inside_capture, self.testbed.nat.outside_capture)
        capturing = (one.connection for one in sources if one is not None and one.kind == "tcpdump")
        devices = (self.testbed.nat.connection, self.testbed.gateway.connection, *capturing)
        machines = {one.device: one for one in devices if one is not None and one != self.testbed.router}
        for name, connection in machines.items():
            async with self._step(f"ask {name} for its time"):
                self.tell(await clock.told(await self.reach(connection), CLOCKS_APART_S))

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

    def _lend(self, journal: Journal) -> None:
        nic = self._segment.check()
        undo = Undo(
            (f"bring {nic.name} back from the clients",),
            commands=(tuple(enclosure.python("harness.lab.segment_keeper", nic.to_json(), "now")),),
        )
        number = journal.before(undo)

        def back() -> None:
            self._segment.down()
            journal.done(number)  # not reached where it is not back

        self._undo.append(returning(back))
        self._segment.up()

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

    @asynccontextmanager
    async def _step(self, name: str) -> AsyncIterator[None]:
        self.tell(name)
        began = time.monotonic()
        try:
            yield
        except NatstormError:
            raise
        except OSError as error:
            raise LabError(name, str(error)) from error
        finally:
            self.took[name] = time.monotonic() - began


def returning(call: Callable[[], object]) -> Callable[[], Awaitable[None]]:
    """A call that does not wait, as something to be awaited."""

    async def awaited() -> None:
        call()

    return awaited


async def to_its_end(call: Callable[[], T]) -> T:
    """What a call that blocks returns, from a thread. Whoever cancels this waits until the call has ended, by its own time-outs:
    what it was about can be undone only then."""
    work = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait({work})
        raise
