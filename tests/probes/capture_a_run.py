"""Captures on both sides of the NAT while two clients dial a real gateway; started by tests/lab/bench_gateway.py in its namespaces.

    .venv/bin/python tests/lab/bench_gateway.py VARIANT .venv/bin/python tests/probes/capture_a_run.py DIR [OPTIONS]

OPTIONS are those of tests/clients/dial_real_gateway.py. DIR gets inside.pcap, outside.pcap, keys.jsonl and facts.json.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from pathlib import Path

from harness.model import Side
from harness.probes.capture import Capture

DIAL = Path(__file__).parents[1] / "clients" / "dial_real_gateway.py"


async def run(folder: Path, options: list[str]) -> int:
    sides = {Side.INSIDE: "inside", Side.OUTSIDE: "outside"}
    captures = [Capture(side, "nat", interface, folder / f"{side.value}.pcap") for side, interface in sides.items()]
    for capture in captures:
        await capture.start()
    dialler = await asyncio.create_subprocess_exec(sys.executable, str(DIAL), "--folder", str(folder), *options)
    status = await dialler.wait()
    facts = [dataclasses.asdict(await capture.stop()) for capture in captures]
    (folder / "facts.json").write_text(json.dumps(facts))
    return status


if __name__ == "__main__":
    sys.exit(asyncio.run(run(Path(sys.argv[1]), sys.argv[2:])))
