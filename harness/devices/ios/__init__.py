"""Cisco IOS: the driver, configurations, and what IOS prints, read.

`parse` reads a command's output; `parse_on` asks a device for it. docs/parsers.md lists the commands.
"""

from __future__ import annotations

from typing import Any, Protocol

from harness.devices.rows import Rows


class Executes(Protocol):
    """A pyATS device that is connected, a unicon connection: whatever gives a command's output up to the prompt."""

    def execute(self, command: str) -> Any: ...


def parse(command: str, text: str) -> Rows[Any]:
    """What the command's output says, the command abbreviated as IOS lets one. UsageError where no parser knows it."""
    from harness.devices.ios import commands

    return commands.parse(command, text)


def parse_on(device: Executes, command: str) -> Rows[Any]:
    """The command run on the device, and its output read. UsageError before anything is sent, where no parser knows it."""
    from harness.devices.ios import commands

    known = commands.find(command)
    return known.parse(up_to_the_prompt(str(device.execute(command))))


def up_to_the_prompt(output: str) -> str:
    """An output of which the prompt was seen: its last line is whole, though the line feed went with the prompt."""
    return output if output.endswith("\n") or not output else output + "\n"
