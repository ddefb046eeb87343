"""The locks that a run holds on the devices themselves, beside the one that all who use this machine see (providers/static.py): a
file on a Linux machine (providers/device_lock.py), a line of a router's configuration (providers/router_lock.py)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Container, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, contextmanager

from harness.devices.ios.driver import Ios
from harness.devices.journal import Journal, Undo, reached
from harness.devices.ssh import SshConnection
from harness.errors import DeviceError, LabError, NatstormError
from harness.lab.providers import device_lock, router_lock
from harness.lab.providers.device_lock import Claim
from harness.lab.providers.lock import Lock
from harness.lab.providers.static import device_keys
from harness.model.reach import Connection
from harness.model.secret import Secret

Device = SshConnection | Ios
Open = Callable[[Connection], AbstractAsyncContextManager[Device]]
"""A session with a device: with a router by its command line."""
MISSED = 3
"""A lock is renewed as many times as often as it would have to be."""


class DeviceLocks:
    """`session` makes one with a device, for this alone: the thread that renews the locks cannot use the run's, whose event loop
    stands still between scenarios."""

    def __init__(self, claim: Claim, session: Open, journal: Journal | None = None) -> None:
        self.lost: LabError | None = None
        """Set where a lock was found to be another's, or could not be renewed for as long as it lasts."""
        self._claim = claim
        self._session = session
        self._journal = journal
        self._held: list[tuple[Connection, int, bool]] = []  # the number in the journal; whether it is a router
        self._end = threading.Event()
        self._heart: threading.Thread | None = None

    async def take(self, device: Device) -> str | None:
        """A sentence where a lock was taken over because it was over. LabError where somebody holds it."""
        number = 0 if self._journal is None else self._journal.before(_leaving(device, self._claim))
        self._held.append((device.connection, number, isinstance(device, Ios)))  # it may be taken though the answer is lost
        try:
            return await _taken(device, self._claim)
        except LabError:
            self._held.pop()
            self._done(number)
            raise

    def beat(self) -> None:
        """Renews them from a thread, until they are released."""
        if self._held:
            self._heart = threading.Thread(target=self._beat, name="natstorm-device-locks", daemon=True)
            self._heart.start()

    async def release(self, reach: Callable[[Connection], Awaitable[Device]]) -> None:
        """What is still ours is free again; `reach` gives the session with a Linux machine. Safe twice. All are tried; the first
        error then: that lock expires by itself."""
        self._end.set()
        if self._heart is not None:
            await asyncio.to_thread(self._heart.join)
            self._heart = None
        failed: list[NatstormError] = []
        while self._held:
            connection, number, router = self._held.pop()
            try:
                async with AsyncExitStack() as session:
                    device: Device = (
                        await session.enter_async_context(self._session(connection)) if router else await reach(connection)
                    )
                    await _left(device, self._claim)
                self._done(number)
            except NatstormError as error:
                failed.append(error)
        if failed:
            raise failed[0]

    def _beat(self) -> None:
        missed = 0
        while self.lost is None and not self._end.wait(self._claim.lasts_s / MISSED):
            try:
                asyncio.run(self.renew())
                missed = 0
            except LabError as error:
                self.lost = LabError(error.step, f"it was lost: {error.seen}", "stop, and begin anew")
            except (DeviceError, OSError) as error:  # a device that cannot be reached just now is asked again, while the lock lasts
                missed += 1
                if missed >= MISSED:
                    self.lost = LabError("keep the locks on the devices", f"they could not be renewed: {error}", "begin anew")

    def _done(self, number: int) -> None:
        if self._journal is not None:
            self._journal.done(number)

    async def renew(self) -> None:
        for connection, *_ in tuple(self._held):
            async with self._session(connection) as device:
                if isinstance(device, Ios):
                    await router_lock.renew(device, self._claim)
                else:
                    await device_lock.take(device.execute, device.name, self._claim)


async def _taken(device: Device, claim: Claim) -> str | None:
    if isinstance(device, Ios):
        return await router_lock.take(device, claim)
    return await device_lock.take(device.execute, device.name, claim)


async def _left(device: Device, claim: Claim) -> None:
    if isinstance(device, Ios):
        await router_lock.leave(device, claim)
    else:
        await device_lock.leave(device.execute, device.name, claim)


def _leaving(device: Device, claim: Claim) -> Undo:
    if isinstance(device, Ios):
        return router_lock.leaving(device, claim)
    what = (f"release the lock of this run, {claim.file}",)
    return Undo(what, "linux", device.name, reached(device.connection), script=device_lock.leaving(claim), harmless=True)


@contextmanager
def held(
    devices: Sequence[Connection],
    routers: Container[Connection],
    purpose: str,
    tell: Callable[[str], None],
    *,
    secrets: Sequence[Secret] = (),
    session: Open | None = None,
) -> Iterator[None]:
    """The locks on these devices, here and on themselves, while inside; `routers` says which of them are routers. LabError where
    somebody holds one. A device that cannot be reached is told, and left unlocked: nothing can be done to it either. It runs event
    loops of its own."""

    def make(connection: Connection) -> AbstractAsyncContextManager[Device]:
        if connection in routers:
            return Ios(connection, secrets=secrets)
        return SshConnection(connection, root=True, secrets=secrets) if session is None else session(connection)

    locks = DeviceLocks(Claim.new(purpose), make)

    async def take() -> None:
        for connection in devices:
            try:
                async with make(connection) as device:
                    note = await locks.take(device)
            except DeviceError as error:
                note = f"{connection.device} is not locked: {error}"
            if note is not None:
                tell(note)

    async def release() -> None:
        async with AsyncExitStack() as sessions:
            try:
                await locks.release(lambda connection: sessions.enter_async_context(make(connection)))
            except DeviceError as error:
                tell(f"a lock is left, and expires by itself: {error}")

    with ExitStack() as closing:
        if devices:
            lock = Lock(device_keys(devices), purpose)
            for note in lock.acquire():
                tell(note)
            closing.callback(lock.release)
            lock.beat()
        closing.callback(lambda: asyncio.run(release()))
        asyncio.run(take())
        locks.beat()
        yield
