"""Plays two short scripts with one real Linux client on one lab, and keeps the evidence of each.

    python tests/scenario/play_real_client.py FOLDER

Starts itself again within an enclosure. FOLDER gets a sub-folder a script with its files, and in it evidence.pickle.
"""

from __future__ import annotations

import pickle
import sys
import tempfile
import time
from pathlib import Path

from calm import play_calmly

from harness.lab import enclosure
from harness.model.steps import StepBus, StepChange, StepEvent
from harness.scenario.play import Play
from harness.scenario.real_clients import REAL
from harness.scenario.runner import Runner
from harness.scenario.script import Script
from harness.testbed import check

HOLD_S = 1.0


async def beside(play: Play) -> None:
    """Two at once, the second one real: every rekey, a farewell and a return."""
    await play.connect("c1")
    await play.connect("c2")
    await play.hold(HOLD_S)
    for by in ("client", "gateway"):
        await play.rekey_ike("c2", by=by)
        await play.hold(HOLD_S)
        await play.rekey_ipsec("c2", by=by)
        await play.hold(HOLD_S)
    await play.client_close("c2")
    await play.hold(HOLD_S)
    await play.come_back("c2")
    await play.hold(3 * HOLD_S)


async def newcomer(play: Play) -> None:
    await play.connect("c1")
    await play.hold(HOLD_S)
    await play.connect("c2")
    await play.hold(4 * HOLD_S)


SECOND_IS_REAL = {"c2": {"personality": REAL}}
SCRIPTS = {
    "demux": Script("beside", "a simulated client and a real one", 2, beside, overrides=SECOND_IS_REAL),
    "plain": Script("newcomer", "a simulated client, then a real one", 2, newcomer, overrides=SECOND_IS_REAL),
}
"""By the gateway's variant."""


def main(folder: Path) -> None:
    enclosure.ensure()
    began = time.monotonic()

    def tell(event: StepEvent) -> None:
        if event.change in (StepChange.BEGAN, StepChange.NOTED):
            print(f"{time.monotonic() - began:7.2f}  {event.name}", flush=True)

    bus = StepBus(time.time)
    bus.subscribe(tell)
    with Runner(check(enclosure.ROOT / "testbeds" / "virtual.yaml"), Path(tempfile.mkdtemp()), bus) as runner:
        for variant, script in SCRIPTS.items():
            where = folder / script.name
            evidence = play_calmly(runner, script, variant, where)
            (where / "evidence.pickle").write_bytes(pickle.dumps(evidence))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
