"""A machine at the other end of an SSH connection, where something of a run's works for a while."""

from __future__ import annotations

import secrets
import shlex
import signal
from pathlib import Path

from harness.devices.journal import Journal, Undo, reached
from harness.devices.ssh import SshConnection
from harness.devices.ssh_stream import SshStream
from harness.errors import CaptureError, DeviceError
from harness.lab.guest_link import Result

PLACES = "/tmp/natstorm-run."
"""How the names of directories begin that a run makes on a device."""


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
