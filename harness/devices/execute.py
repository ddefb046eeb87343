"""What drivers of Linux devices ask of a connection: a guest's console, an SSH session, a namespace. They know none of these."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol


class CommandResult(Protocol):
    @property
    def status(self) -> int: ...

    @property
    def output(self) -> str: ...


Execute = Callable[[str, float], Awaitable[CommandResult]]
"""`execute(command, timeout)` runs bash on the device, to the end or for so many seconds."""
