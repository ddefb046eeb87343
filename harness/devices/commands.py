"""`natstorm restore`: put devices back after a run that did not get to it."""

from __future__ import annotations

import argparse
import asyncio
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from harness.devices import journal
from harness.devices.journal import Kept
from harness.errors import LabError, NatstormError, UsageError, typed
from harness.model.reach import Connection
from harness.model.secret import Secret


def add_commands(commands: Any) -> None:
    """`restore` finds two functions in the arguments: `load_described`, which reads a testbed file, and `lock_devices`: of devices,
    those of them that are routers, and `tell` it makes the context in which all are locked."""
    restore = commands.add_parser(
        "restore",
        help="put devices back after an interrupted run",
        description="Undo what interrupted runs have left changed, from the journals in " + str(journal.directory()) + ".",
    )
    restore.add_argument("--testbed", default=None, metavar="FILE", help="of this testbed alone, with its credentials")
    restore.add_argument("--list", action="store_true", help="say what there is to undo, and do nothing")
    restore.add_argument("--dry-run", action="store_true", help="say what would be done, step by step, and do nothing")
    restore.add_argument("--keep-theirs", action="store_true", help="leave for good what the run and somebody else have changed")
    restore.add_argument("--force", action="store_true", help="even where its run is still alive, or somebody has a lock")
    restore.set_defaults(run=_restore)


def _restore(arguments: argparse.Namespace) -> int:
    """0 where nothing is left to undo; 3 where something is. UsageError for a testbed that there is not, and of which there is no
    journal either: one may well outlive its testbed."""
    found = [one for one in journal.kept() if arguments.testbed is None or _same(one.file, arguments.testbed)]
    if not found:
        if arguments.testbed is not None and not Path(arguments.testbed).is_file():
            cure = f"{typed('restore --list')} names the testbeds of which there are journals"
            raise UsageError("there is no such file, and no journal of it", file=arguments.testbed, cure=cure)
        print(f"nothing to restore: no journal in {journal.directory()}" + (" of that testbed" if arguments.testbed else ""))
        return 0
    left = 0
    for one in found:
        print(_title(one))
        if one.problems:
            left += len(one.problems)
            cure = "put back by hand what it tells of, then remove the file"
            print("".join(f"  {problem}\n" for problem in one.problems) + f"  cure: {cure}")
        if arguments.list:
            left += len(one.open)
        elif one.alive and not arguments.force:
            print(f"  left alone: its run lives (process {one.pid}); end it, and it puts all back itself, or use --force")
            left += len(one.open)
        elif arguments.dry_run:
            _rehearse(one)
            left += len(one.open)
        elif one.open or not one.problems:
            left += _put_back(one, arguments)
    return 3 if left and not (arguments.list or arguments.dry_run) else 0


def _put_back(one: Kept, arguments: argparse.Namespace) -> int:
    from harness.devices import restore

    def tell(text: str) -> None:
        print("  " + text.replace("\n", "\n  "), flush=True)

    connections: dict[str, Connection] = {}
    secrets: tuple[Secret, ...] = ()
    if any(undo.through != "local" for _, undo in one.open):
        try:
            testbed = arguments.load_described(Path(arguments.testbed or one.file))
            connections, secrets = restore.connections_of(testbed), testbed.secrets
        except (NatstormError, OSError) as error:
            print(f"  its testbed cannot be used: {error}")
    touched = {undo.device: undo.through for _, undo in one.open if undo.device in connections}
    there = [connections[device] for device in touched]
    routers = [connections[device] for device, through in touched.items() if through == "ios"]
    try:
        with nullcontext() if arguments.force or not there else arguments.lock_devices(there, routers, tell):
            if (now := journal.read(one.path)) is None:
                return 0  # somebody else has put all back meanwhile
            return asyncio.run(restore.put_back(now, connections, tell, secrets, keep_theirs=arguments.keep_theirs))
    except LabError as error:
        tell(f"left alone: {error}")
        return len(one.open)


def _rehearse(one: Kept) -> None:
    for _, undo in reversed(one.open):
        print(f"  {undo.device or 'this machine'}:")
        if undo.through == "local":
            for command in undo.commands:
                print("    " + " ".join(command))
        else:
            for sentence in undo.what:
                print(f"    {sentence}")
            for command in undo.commands:
                print("    " + " ".join(command))


def _title(one: Kept) -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.t))
    count = len(one.open)
    return f"{one.testbed} ({one.file}), run of {since}: {count} change{'' if count == 1 else 's'} to undo\n  {one.path}"


def _same(file: str, wanted: str) -> bool:
    return Path(file).resolve() == Path(wanted).resolve()
