"""What a script for routers is given: the steps it may take, each kept for the verdicts and told to the report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.devices.ios import commands
from harness.devices.ios.parsers.debug import parse_debug
from harness.errors import DeviceError, UsageError
from harness.model import Logged, Printed, Step, Told
from harness.model.steps import StepBus

LOOK_S = 0.01
"""How often what is waited for is looked for, in the lab's time."""
NO_ANSWER = ""


class Lab(Protocol):
    """Routers by name, and their clock."""

    def epoch(self) -> float:
        """The lab's time, in seconds since 1970."""

    async def type(self, device: str, *lines: str, configure: bool = False) -> list[tuple[str, str]]:
        """Each line, in the privileged mode or in configuration mode, and what was printed of it. DeviceError where the device
        cannot be reached."""

    async def walk(self, device: str, *lines: str) -> list[tuple[str, str]]:
        """Each line on the console, from its first prompt on, and what was printed with the prompt after it."""

    async def reboot(self, device: str) -> None:
        """`reload`, without saving; returns when it can be reached again."""


class Accounts(Protocol):
    """Where what is done and said goes."""

    steps: list[Step]
    printed: list[Printed]
    told: list[Told]


@dataclass(slots=True)
class Gathered:
    """What a script collects while it runs."""

    steps: list[Step] = field(default_factory=list)
    printed: list[Printed] = field(default_factory=list)
    logged: list[Logged] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)


class Play:
    """`options` are the script's, for its world."""

    def __init__(self, lab: Lab, bus: StepBus, gathered: Accounts, options: Mapping[str, Any]) -> None:
        self.lab = lab
        self.gathered = gathered
        self.options = options
        self._bus = bus

    # Time

    async def rest(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Whether `holds` came true within that time."""
        end = self.lab.epoch() + seconds
        while not holds():
            if self.lab.epoch() >= end:
                return False
            await asyncio.sleep(LOOK_S)
        return True

    @asynccontextmanager
    async def step(self, name: str, *whom: str, **detail: Any) -> AsyncIterator[None]:
        """A step of the script that the verdicts find by its name."""
        began = self.lab.epoch()
        with self._bus.step(name, **detail):
            try:
                yield
            finally:
                self.gathered.steps.append(Step(name, began, self.lab.epoch(), whom, detail))

    # The routers' command lines

    async def configure(self, device: str, *lines: str) -> None:
        """Lines that have to be taken; the first one names its section, lines below one are typed after it. DeviceError at the
        first that is refused: the script cannot go on as it was written then."""
        async with self.step(f"configure:{device}", device, lines=list(lines)):
            for printed in await self._type(device, lines, "", configure=True):
                if printed.refused:
                    raise DeviceError(device, printed.command, printed.text.strip())

    async def offer(self, device: str, *lines: str, label: str = "") -> list[Printed]:
        """The same for lines that may be refused: what was printed of each is kept, and judged."""
        async with self.step(f"offer:{device}", device, lines=list(lines)):
            return await self._type(device, lines, label, configure=True)

    async def execute(self, device: str, command: str, label: str = NO_ANSWER) -> Printed:
        """A command of the privileged mode, what it printed, and what our parser read in that."""
        async with self.step(f"{command}:{device}", device):
            (printed,) = await self._type(device, (command,), label)
            return printed

    async def walk(self, device: str, *lines: str, label: str) -> list[Printed]:
        """Lines typed as somebody types them who has just come to the console. The last line of each text is the prompt after it;
        the first command is "", before anything was typed."""
        async with self.step(f"walk:{device}", device, lines=list(lines)):
            said = await self.lab.walk(device, *lines)
            found = [Printed(self.lab.epoch(), device, line.strip(), text, label) for line, text in said]
        self.gathered.printed += found
        return found

    async def reboot(self, device: str) -> None:
        async with self.step(f"reload:{device}", device):
            await self.lab.reboot(device)

    async def _type(self, device: str, lines: tuple[str, ...], label: str, *, configure: bool = False) -> list[Printed]:
        found = []
        for line, text in await self.lab.type(device, *lines, configure=configure):
            found.append(read(Printed(self.lab.epoch(), device, line.strip(), text, label)))
        self.gathered.printed += found
        return found

    # What others say

    def tell(self, who: str, kind: str, **data: Any) -> None:
        self.gathered.told.append(Told(self.lab.epoch(), who, kind, data))


def heard(t: float, device: str, line: str) -> Logged:
    """With what it says where it is a debug line that a parser knows."""
    found = parse_debug(f"{line}\n")
    return Logged(t, device, line, found.rows[0] if len(found.rows) == 1 and not found.unread else None)


def read(printed: Printed) -> Printed:
    """With what the command's parser reads in the text; as it is where none knows the command."""
    if not printed.command.startswith(("show ", "sh ")) or printed.refused:
        return printed
    try:
        found = commands.find(printed.command).parse(f"{printed.text}\n")
    except UsageError:
        return printed
    return Printed(
        printed.t, printed.device, printed.command, printed.text, printed.label, tuple(found.rows), found.unread, found.cut
    )
