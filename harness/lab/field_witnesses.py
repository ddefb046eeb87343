"""The witnesses of a run on a machine at the other end of an SSH connection, and the directory there that they need."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from harness.devices.journal import Journal
from harness.devices.ssh import SshConnection
from harness.errors import CaptureError, DeviceError
from harness.lab.remote import Remote
from harness.lab.witness import Witness
from harness.model import CaptureFacts


class FieldWitnesses:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._machine: Remote | None = None
        self._witnesses: list[Witness] = []

    async def start(self, device: SshConnection, made: Callable[[Remote], Iterable[Witness]]) -> None:
        self._machine = await Remote.on(device, self._journal)
        self._witnesses = list(made(self._machine))
        for one in self._witnesses:
            await one.start()

    async def stop(self, folder: Path) -> list[CaptureFacts]:
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
            await self.leave()
        if failed:
            raise failed[0]
        return found

    async def leave(self) -> None:
        """What still runs there is ended, and the directory removed. May be called again where it failed."""
        if self._machine is not None:
            await self._machine.leave()
            self._machine = None
