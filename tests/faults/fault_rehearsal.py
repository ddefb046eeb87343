"""Plays a script on a simulated bench, broken or not, and keeps what it left behind: no pytest session, no dissection."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from harness.clients.journal import Journal
from harness.faults import FAULTS
from harness.model.steps import StepBus
from harness.scenario.bench import Gathered
from harness.scenario.breaking import makers
from harness.scenario.play import Play
from harness.scenario.scripts import script
from harness.scenario.simulated_bench import SimulatedBench
from harness.scenario.simulated_network import Makers
from harness.testbed.load import check

ROOT = Path(__file__).resolve().parents[2]
TESTBED = check(ROOT / "testbeds" / "virtual.yaml")


def rehearse(fault: str | None, scenario: str, variant: str, folder: Path) -> Gathered:
    """What the play left behind; its captures are in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen, bus = script(scenario), StepBus(time.time)
    plans = chosen.plans(TESTBED.plans(chosen.clients))
    bench = SimulatedBench(TESTBED, bus, 1, Makers() if fault is None else makers(FAULTS[fault]))

    async def record() -> Gathered:
        await bench.fresh(variant, chosen)
        clock = bench.clock()
        with Journal(folder, clock) as journal:
            gathered = Gathered(journal.records)
            async with bench.witnesses(folder, gathered), bench.fleet(journal) as fleet:
                for plan in plans:
                    fleet.add(plan)
                await Play(plans, fleet, bench, clock, bus, gathered, chosen.marks_per_s).perform(chosen.run)
        return gathered

    try:
        return bench.run(record())
    finally:
        bench.close()


def digest(folder: Path) -> str:
    """Of all captures: two runs that look the same from outside and behind the gateway have the same."""
    whole = hashlib.blake2b()
    for path in sorted(folder.glob("*.pcap")):
        whole.update(path.name.encode() + path.read_bytes())
    return whole.hexdigest()
