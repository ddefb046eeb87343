"""Builds the box in an enclosure of its own, runs a command on its host, and ends with that command's exit status."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench_in_a_box.access import AccessBench
from bench_in_a_box.box import GATEWAYS, Bench, Box
from bench_in_a_box.esp import EspBench
from harness.errors import NatstormError
from harness.lab import enclosure, launcher, packages

ROUTERS: Mapping[str, type[Bench]] = {"lac-lns": AccessBench, "esp": EspBench}


WORLDS = "no gateway: routers of that world (lac-lns: a LAC, and two LNSes; esp: a NAT, three endpoints inside, two outside)"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench_in_a_box", description=__doc__)
    parser.add_argument("--gateway", choices=GATEWAYS, default=GATEWAYS[0], help="which gateway stands in the box (natstorm)")
    parser.add_argument("--routers", choices=tuple(ROUTERS), help=WORLDS)
    parser.add_argument("--path", type=Path, metavar="DIR", help="programs that the devices have before all others")
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="after --: what to run on the box's host")
    given = parser.parse_args()
    try:
        if not enclosure.inside():
            packages.require(guest=True)
        enclosure.ensure()
        with tempfile.TemporaryDirectory(prefix="box-") as folder:
            place = Path(folder)
            bench = ROUTERS[given.routers](place, given.path) if given.routers else Box(place, given.gateway, given.path)
            return asyncio.run(_run(bench, given.command))
    except NatstormError as error:
        print(f"bench in a box: {error}", file=sys.stderr)
        return 3


async def _run(bench: Bench, command: list[str]) -> int:
    async with bench as box:
        # The command is to find a machine with devices beside it, and no enclosure.
        environment = {name: value for name, value in os.environ.items() if name not in (launcher.MARK, launcher.LAUNCHER)}
        process = await asyncio.create_subprocess_exec(*command, env=environment | box.environment)
        return await process.wait()


if __name__ == "__main__":
    sys.exit(main())
