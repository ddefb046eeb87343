"""A lab of devices that are there already: what every such lab has, whatever its devices play.

The lock on the devices is taken, here and on those that can keep one; sessions are opened when they are first wanted; every change
is in the restore journal before it is made, and `down` undoes all of it in reverse.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from harness.devices import clock
from harness.devices.ios.driver import Ios
from harness.devices.journal import Journal, Undo, left_changed
from harness.devices.ssh import Patience, SshConnection
from harness.errors import LabError, NatstormError
from harness.lab import enclosure
from harness.lab.field_locks import Device, DeviceLocks
from harness.lab.namespaces import Netns
from harness.lab.providers.device_lock import Claim
from harness.lab.providers.lock import Lock
from harness.lab.providers.static import Static, taken_by
from harness.lab.segment import Segment, names_of, restore_by
from harness.model.reach import Connection
from harness.model.router_lab import Described

T = TypeVar("T")

Look = Callable[[], Awaitable[None]]

PURPOSE = "natstorm qualify"
CLOCKS_APART_S = 0.1
"""Verdicts bear no more between the clients' clock and the captures' (harness/verdict/trust.py)."""


class ReachedLab(ABC):
    """`tell` hears the name of every step as it begins; `purpose` is what the lock tells whoever finds the devices taken. What is
    to be done subclasses say in `_bring_up`."""

    patience = Patience()

    def __init__(self, described: Described, segment: Segment, tell: Callable[[str], None], purpose: str = PURPOSE) -> None:
        self.tell = tell
        self.took: dict[str, float] = {}
        self._described = described
        self._purpose = purpose
        self._undo: list[Callable[[], Awaitable[None]]] = []  # what `down` does, from the last to the first
        self._devices: dict[str, SshConnection] = {}
        self._journal: Journal | None = None
        self._lock: Lock | None = None
        self._locks: DeviceLocks | None = None
        self._segment = segment

    @property
    def clients(self) -> Netns:
        return self._segment.clients

    @property
    def lost(self) -> LabError | None:
        """What was lost of the locks on the devices since they were taken: then somebody else may be changing them."""
        return next((one.lost for one in (self._lock, self._locks) if one is not None and one.lost is not None), None)

    async def up(self, look: Look | None = None) -> None:
        """Everything but what a scenario configures. `look` is awaited when all devices are reached and nothing is changed yet:
        what it raises forbids the rest. Raises LabError, DeviceError or UsageError, with all put back that was changed; where
        that failed too, LabError with the command that does it."""
        try:
            async with self._step("look at the clients' interface"):
                self._segment.check()
            for told in self._segment.not_here():
                self.tell(f"this machine has no {told}, which testbed.custom.management names: nothing is protected by that")
            await self._bring_up(look)
        except BaseException as error:
            try:
                await self.down()
            except LabError as left:
                if isinstance(error, NatstormError):
                    raise LabError("bring the lab up", f"{error}\n  and then: {left.seen}", left.cure) from error
                self.tell(str(left))
            raise

    async def reach(self, connection: Connection) -> SshConnection:
        """The session with that device, which is opened when it is first wanted and stays."""
        key = connection.device
        if key not in self._devices:
            device = self._session(connection, self.patience)
            self._undo.append(device.close)
            self._devices[key] = device
        await self._devices[key].open()
        return self._devices[key]

    async def down(self) -> None:
        """Safe at any time, and twice. All is tried, whatever fails; LabError then, with all that failed. Where something is left
        changed it is in the journal, and the error has the command that puts it back."""
        failed: list[str] = []
        broken: BaseException | None = None
        todo = [*self._undo, self._leave]
        self._undo = []
        while todo:
            try:
                await todo.pop()()
            except (NatstormError, OSError) as error:
                failed.append(error.seen if isinstance(error, LabError) else str(error))
            except BaseException as error:
                broken = broken or error
        journal, self._journal = self._journal, None
        self._lock = self._locks = None
        self._forget()
        self._devices.clear()
        if journal is not None and journal.open:
            left = "; ".join(sentence for _, undo in journal.open for sentence in undo.what)
            failed.append(f"left to do: {left}")
        seen = "; ".join(dict.fromkeys(failed))
        trouble = LabError("give the devices back", seen, restore_by(self._described.file)) if failed else None
        if broken is not None:
            if trouble is not None:
                self.tell(str(trouble))
            raise broken
        if trouble is not None:
            raise trouble

    # --- for subclasses ---

    @abstractmethod
    async def _bring_up(self, look: Look | None) -> None:
        """After the clients' interface was looked at. What was done is in `_undo`. When all devices are reached and nothing is
        changed yet, `_look`."""

    @abstractmethod
    async def _leave(self) -> None:
        """What `down` does before all else: what a scenario has left is put back."""

    @abstractmethod
    def _forget(self) -> None:
        """After `down`: what it knew of the lab is no more."""

    async def _log_in(self, router: Ios) -> None:
        await router.connect()

    async def _look(self, look: Look | None) -> None:
        if look is not None:
            async with self._step("look at the capture sources"):
                await look()

    @asynccontextmanager
    async def _own_session(self, connection: Connection) -> AsyncIterator[Device]:
        """One of the locks' own."""
        if connection not in self._described.routers:
            async with self._session(connection, Patience()) as machine:
                yield machine
            return
        router = Ios(connection, secrets=self._described.secrets)
        try:
            await self._log_in(router)
            yield router
        finally:
            await router.disconnect()

    def _session(self, connection: Connection, patience: Patience) -> SshConnection:
        return SshConnection(connection, root=True, secrets=self._described.secrets, patience=patience)

    async def _take(self) -> Journal:
        """The locks, and the journal."""
        await self._take_locks()
        self._refuse_changed()
        self._journal = journal = Journal.create(self._described.name, self._described.file)
        self._undo.append(returning(journal.close))
        await self._take_locks_there(journal)
        return journal

    async def _take_locks(self) -> None:
        """Those for all who use this machine. LabError where somebody has one."""
        async with self._step("lock the devices"):
            static = Static.of(self._described, self._purpose)
            self._lock = static.lock
            self._undo.append(returning(static.down))
            for note in static.up().notes:
                self.tell(note)

    async def _take_locks_there(self, journal: Journal) -> None:
        """On each device, for everybody else."""
        for connection in self._machines:
            async with self._step(f"log in to {connection.device}"):
                await self.reach(connection)
        async with self._step("lock the devices on themselves"):
            locks = self._locks = DeviceLocks(Claim.new(self._purpose), self._own_session, journal)
            self._undo.append(lambda: locks.release(self.reach))
            for connection in taken_by(self._described):
                if connection in self._machines:
                    taken_over = await locks.take(await self.reach(connection))
                else:
                    async with self._own_session(connection) as device:
                        taken_over = await locks.take(device)
                if taken_over is not None:
                    self.tell(taken_over)
            locks.beat()

    @property
    def _machines(self) -> tuple[Connection, ...]:
        """Those of the devices that have a shell."""
        return tuple(one for one in taken_by(self._described) if one not in self._described.routers)

    def _refuse_changed(self) -> None:
        """What is not as its owner left it must not be saved as if it were."""
        file = self._described.file
        for device, left in left_changed(taken_by(self._described), file, tell=self.tell):
            seen = f"{device} was left changed by a run that is over (process {left.pid}, {left.path})"
            raise LabError("look whether the devices are as they were", seen, restore_by(left.file))

    async def _compare_clocks(self) -> None:
        """Tells how far apart the clocks are by which clients, captures and devices say when. Nothing is corrected by it: a round
        trip over SSH is a coarse measure, and what the verdicts compare they compare by packets."""
        for connection in self._machines:
            async with self._step(f"ask {connection.device} for its time"):
                self.tell(await clock.told(await self.reach(connection), CLOCKS_APART_S))

    async def _lend(self, journal: Journal) -> None:
        nics = self._segment.check()
        names = names_of(nics)
        async with self._step(f"lend {names} to the clients"):
            kept = (nic.to_json() for nic in nics)
            undo = Undo(
                (f"bring {names} back from the clients",),
                commands=(tuple(enclosure.python("harness.lab.segment_keeper", *kept, "now")),),
            )
            number = journal.before(undo)

            def back() -> None:
                self._segment.down()
                journal.done(number)  # not reached where it is not back

            self._undo.append(returning(back))
            self._segment.up()

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
