"""`reload in N`: a router told to reload by itself before it is changed, and not to any more once somebody can still log in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from harness.devices.journal import Journal, Undo, reached
from harness.errors import DeviceError

if TYPE_CHECKING:
    from harness.devices.ios.driver import Ios

CANCEL = "reload cancel"
ANSWERS = ((r"Save\? \[yes/no\]: ?$", "no"), (r"\[confirm\] ?$", ""))
"""The start-up configuration stays what it is: it is what the router comes back with."""


class Protection:
    """Of one device; `minutes` None protects nothing. `due`: the router was told to reload, and not yet not to."""

    def __init__(self, device: Ios, minutes: int | None, journal: Journal | None) -> None:
        self._device = device
        self._minutes = minutes
        self._journal = journal
        self._number: int | None = None
        self.due = False

    @asynccontextmanager
    async def around(self) -> AsyncIterator[None]:
        """A change. When it fails and the session lives, the reload is called off: what was changed is undone over that session.
        When the session is gone, or nobody can log in any more, the reload stays due, and the error says so."""
        if self._minutes is None:
            yield
            return
        device = self._device
        if self._journal is not None and self._number is None:
            what = (f"call off the reload that it was told to make within {self._minutes} minutes",)
            at = reached(device.connection)
            undo = Undo(what, "ios", device.name, at, commands=(tuple(CANCEL.split()),), by_hand=f"{CANCEL}\n")
            self._number = self._journal.before(undo)
        await device.execute(f"reload in {self._minutes}", ANSWERS)
        self.due = True
        try:
            yield
        except DeviceError as error:
            if device.connected:
                await self.call_off()
            raise self._told(error) from error
        try:
            await self._look()
        except DeviceError as error:
            raise self._told(error) from error
        await self.call_off()

    def _told(self, error: DeviceError) -> DeviceError:
        """The same error, with what the router will do where a reload is due."""
        if not self.due:
            return error
        seen = f"{error.seen}; it was told to reload within {self._minutes} minutes, and comes back with its start-up configuration"
        return DeviceError(error.device, error.command, seen)

    async def call_off(self) -> None:
        """Where a reload is due. DeviceError where the router does not say that it is called off."""
        if not self.due:
            return
        said = await self._device.execute(CANCEL)
        if "ABORTED" not in said.upper() and "no reload" not in said.lower():
            seen = f"it does not say that it is called off: {' '.join(said.split())[-200:]}"
            raise DeviceError(self._device.name, CANCEL, seen)
        self.due = False
        if self._journal is not None and self._number is not None:
            self._journal.done(self._number)
            self._number = None

    async def _look(self) -> None:
        """Whether somebody can still log in, by a second session."""
        other = type(self._device)(self._device.connection, timeout=self._device.timeout)
        try:
            await other.connect()
        except DeviceError as error:
            seen = f"after the change nobody can log in any more: {error.seen}"
            raise DeviceError(error.device, "connect", seen) from error
        finally:
            await other.disconnect()
