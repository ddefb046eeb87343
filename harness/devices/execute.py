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


def said(result: CommandResult) -> str:
    """What a command has said, for a message: without the secrets that the connection knows of."""
    return str(getattr(result, "shown", result.output))


def complaint(result: CommandResult) -> str:
    """What a command that has failed has said, or its status where that is nothing."""
    return said(result).strip() or f"exit status {result.status}"
