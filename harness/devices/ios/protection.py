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


class Protected:
    """`verify` says that a change is made, and looks whether somebody can still log in."""

    def __init__(self, device: Ios, minutes: int | None) -> None:
        self.device = device
        self.minutes = minutes
        self.locked_out = False

    async def verify(self) -> None:
        """By a second session."""
        if self.minutes is not None:
            other = type(self.device)(self.device.connection, timeout=self.device.timeout)
            try:
                await other.connect()
            except DeviceError as error:
                self.locked_out = True
                seen = f"after the change nobody can log in any more: {error.seen}"
                raise DeviceError(error.device, "connect", seen) from error
            finally:
                await other.disconnect()


@asynccontextmanager
async def of(device: Ios, minutes: int | None, journal: Journal | None) -> AsyncIterator[Protected]:
    """Around a change; None protects nothing. When it fails and the session lives, the reload is called off: what was changed is
    undone over that session. When the session is gone, or nobody can log in any more, the reload stays, and the error says so."""
    if minutes is None:
        yield Protected(device, None)
        return
    number = None
    if journal is not None:
        what = (f"call off the reload that it was told to make within {minutes} minutes",)
        at = reached(device.connection)
        undo = Undo(what, "ios", device.name, at, commands=(tuple(CANCEL.split()),), by_hand=f"{CANCEL}\n")
        number = journal.before(undo)
    await device.execute(f"reload in {minutes}", ANSWERS)
    protected = Protected(device, minutes)
    try:
        yield protected
    except DeviceError as error:
        if device.connected and not protected.locked_out:
            await _cancel(device, journal, number)
            raise
        seen = f"{error.seen}; it was told to reload within {minutes} minutes, and comes back with its start-up configuration"
        raise DeviceError(error.device, error.command, seen) from error
    await _cancel(device, journal, number)


async def _cancel(device: Ios, journal: Journal | None, number: int | None) -> None:
    said = await device.execute(CANCEL)
    if "ABORTED" not in said.upper() and "no reload" not in said.lower():
        raise DeviceError(device.name, CANCEL, f"it does not say that it is called off: {' '.join(said.split())[-200:]}")
    if journal is not None and number is not None:
        journal.done(number)
