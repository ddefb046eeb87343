"""The `natstorm` command. Each group of sub-commands lives with what it commands; this file only mounts them.

Exit status: 0 all passed, 1 a failure, 2 a mistake in the usage or the testbed, 3 inconclusive (a lab that did not come up, or a
machine that refused a file, too).
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from harness.errors import MissingTool, NatstormError, UsageError
from harness.model.reach import Connection
from harness.model.router_lab import Described
from harness.model.testbed import Testbed
from harness.programme import DEFAULT_TESTBED

D = TypeVar("D", bound=Described)

GROUPS = (
    "harness.qualify", "harness.prove.commands", "harness.lab.machine", "harness.lab.commands", "harness.report.commands",
    "harness.scenario.commands", "harness.scenario.wire_command", "harness.testbed.commands", "harness.devices.commands",
    "harness.devices.ios.parse_command",
)  # fmt: skip
"""Modules with `add_commands(sub_parsers)`. Every command sets `run`: a function of the parsed arguments, returning the status."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="natstorm", description="Interop tests for L2TP/IPsec gateways behind one NAT.")
    parser.add_argument("--version", action="version", version=f"natstorm {version('natstorm')}")
    commands = parser.add_subparsers(metavar="COMMAND")
    parser.set_defaults(
        load_testbed=_load_testbed,
        load_described=_load_described,
        lock_devices=_lock_devices,
        default_testbed=DEFAULT_TESTBED,
    )
    for group in GROUPS:
        importlib.import_module(group).add_commands(commands)
    arguments = parser.parse_args(argv)
    if "run" not in arguments:
        parser.print_help(sys.stderr)
        return 2
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except NatstormError as error:
        print(f"natstorm: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 3
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `| head`: nobody is left to be told
        from harness.report.outlet import drain

        drain(sys.stdout)
        return 128 + signal.SIGPIPE
    except OSError as error:  # a disk that is full, a folder that is gone: the machine's affair, and no verdict
        where = "" if error.filename is None else f"{os.fspath(error.filename)}: "
        print(f"natstorm: {where}{error.strerror or error}", file=sys.stderr)
        return 3
    return status


def _load_testbed(file: Path) -> Testbed:
    from harness.testbed import load

    return _with_telnet(load(file))


def _load_described(file: Path) -> Described:
    from harness.testbed import load_any

    return _with_telnet(load_any(file))


def _with_telnet(testbed: D) -> D:
    """Where a device is reached by it, the one that `natstorm setup` has unpacked is offered."""
    if any(one.protocol == "telnet" for one in testbed.connections):
        from harness.lab import unpacked

        with suppress(MissingTool):  # the device that is reached by it says so
            unpacked.offer("telnet")
    return testbed


def _lock_devices(
    devices: Sequence[Connection], routers: Sequence[Connection], tell: Callable[[str], None]
) -> AbstractContextManager[None]:
    from harness.lab import field_locks

    return field_locks.held(devices, routers, "natstorm restore", tell)


if __name__ == "__main__":
    sys.exit(main())
