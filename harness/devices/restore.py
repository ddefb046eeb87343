"""Undoing what restore journals hold: in reverse, over the testbed's connections, and where that fails by hand."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from harness.devices import journal, linux_state, ssh_typed
from harness.devices.journal import Kept, Undo
from harness.devices.ssh import SshConnection
from harness.errors import DeviceError, NatstormError, typed
from harness.model.reach import Connection
from harness.model.router_lab import Described
from harness.model.secret import Secret

LOCAL_S = 60.0
"""For one local command: ip and nft take milliseconds."""
SAME = ("host", "port", "protocol")
"""In what the testbed's connection must be the journal's, or it leads to another device."""

Tell = Callable[[str], None]


def connections_of(testbed: Described) -> dict[str, Connection]:
    """By device: those that are configured, and whatever captures."""
    found = [*(one.connection for one in testbed.captures if one.connection is not None), *testbed.connections]
    return {one.device: one for one in found}


async def put_back(
    kept: Kept,
    connections: Mapping[str, Connection],
    tell: Tell,
    secrets: Sequence[Secret] = (),
    *,
    keep_theirs: bool = False,
) -> int:
    """Undoes what is open in one journal, the latest change first; how many changes are left, whose commands are then told. The
    journal goes when none is. No message shows one of the `secrets`. `keep_theirs`: where the run and somebody else have changed
    the same, that is done with, and stays as it is."""
    record = journal.reopen(kept)
    left = 0
    try:
        for number, undo in reversed(kept.open):
            try:
                notes = await _RUNNERS[undo.through](undo, connections, secrets)
            except (NatstormError, OSError) as error:
                theirs = getattr(error, "theirs_alone", False)
                if theirs and keep_theirs:
                    record.done(number)
                    tell(f"undone, but for what is theirs: {describe(undo)}\n  {error}")
                    continue
                left += 1
                told = f"{error}\n{by_hand(kept, number, undo, getattr(error, 'by_hand', None))}"
                if theirs:
                    stay = typed(f"restore --testbed {shlex.quote(kept.file)} --keep-theirs")
                    told += f"\nthat undoes what is theirs as well; where it is to stay: {stay}"
                tell(f"NOT undone: {describe(undo)}\n{_indent(told)}")
            else:
                record.done(number)
                tell("\n".join([f"undone: {describe(undo)}", *(f"  {note}" for note in notes)]))
    finally:
        record.close()
    if not left:
        for file in kept.path.parent.glob(f"{kept.path.stem}.undo-*"):
            file.unlink()
    return left


def describe(undo: Undo) -> str:
    return f"{undo.device or 'this machine'}: {'; '.join(undo.what)}"


def by_hand(kept: Kept, number: int, undo: Undo, found: str | None = None) -> str:
    """The commands that do it, to be typed: those that were `found` to be, or those of the journal. What goes to a device is in a
    file beside the journal, for it may hold secrets."""
    if undo.through == "local":
        lines = [shlex.join(command) for command in undo.commands]
        return "\n".join(["by hand, as root:", *lines])
    file = kept.path.with_name(f"{kept.path.stem}.undo-{number}")
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(found or undo.by_hand or undo.script)
    if undo.through == "linux":
        there = "on the device: bash" if undo.at is None else ssh_typed.as_root(undo.at, "bash")
        return f"by hand: {there} < {shlex.quote(str(file))}"
    mode = "privileged" if undo.commands else "configuration"
    there = "" if undo.at is None else f" ({ssh_typed.terminal(undo.at)})"
    return f"by hand: enter the lines of {file} in {mode} mode of {undo.device}{there}"


async def _local(undo: Undo, _connections: Mapping[str, Connection], _secrets: Sequence[Secret]) -> tuple[str, ...]:
    def run() -> None:
        if undo.unless and _status(undo.unless)[0] == 0:
            return
        for command in undo.commands:
            status, said = _status(command)
            if status != 0:
                raise DeviceError("this machine", shlex.join(command), said.strip() or f"exit status {status}")

    await asyncio.to_thread(run)
    return ()


def _status(command: tuple[str, ...]) -> tuple[int, str]:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=LOCAL_S, check=False
        )
    except FileNotFoundError:
        return 127, f"there is no program {command[0]}"
    except subprocess.TimeoutExpired:
        return 124, f"no end within {LOCAL_S:g} s"
    return done.returncode, done.stderr or done.stdout


async def _linux(undo: Undo, connections: Mapping[str, Connection], secrets: Sequence[Secret]) -> tuple[str, ...]:
    async with SshConnection(_connection(undo, connections), root=True, secrets=secrets) as device:
        return await linux_state.put_back(device.execute, undo)


async def _ios(undo: Undo, connections: Mapping[str, Connection], secrets: Sequence[Secret]) -> tuple[str, ...]:
    from harness.devices.ios.driver import Ios
    from harness.devices.ios.parsers.configured import masked

    device = Ios(_connection(undo, connections), secrets=secrets)
    try:
        await device.connect()
        theirs = [masked(line) for line in await device.put_back(undo)]
        return (f"somebody else has changed it meanwhile; kept: {'; '.join(theirs)}",) if theirs else ()
    finally:
        with suppress(NatstormError):
            await device.disconnect()
    return ()


def _connection(undo: Undo, connections: Mapping[str, Connection]) -> Connection:
    device = undo.device or "?"
    if (found := connections.get(device)) is None:
        why = "has no such device" if connections else "cannot be used"
        raise DeviceError(device, "connect", f"the testbed, from which its password or key would come, {why}")
    at = undo.at or {}
    if other := [f"{name} {getattr(found, name)!r}, then {at[name]!r}" for name in SAME if at and at[name] != getattr(found, name)]:
        raise DeviceError(device, "connect", f"the testbed leads to another device now: {', '.join(other)}")
    return found


_Runner = Callable[[Undo, Mapping[str, Connection], Sequence[Secret]], Awaitable[tuple[str, ...]]]
"""What each returns are sentences on what it left alone."""
_RUNNERS: dict[str, _Runner] = {"local": _local, "linux": _linux, "ios": _ios}


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
