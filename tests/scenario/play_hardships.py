"""Plays scenarios of harness.scenario.hardships, one after another on one lab, and keeps the evidence of each.

    python tests/scenario/play_hardships.py FOLDER VARIANT SCENARIO…

Starts itself again within an enclosure. FOLDER gets a sub-folder a scenario with its files, and in it evidence.pickle: the
Evidence, what `harness.scenario.outcome.sum_up` makes of it, and the seconds it took.
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
from harness.scenario.hardships import HARDSHIPS
from harness.scenario.outcome import sum_up
from harness.scenario.runner import Runner
from harness.testbed import check


def main(folder: Path, variant: str, names: list[str]) -> None:
    enclosure.ensure()
    began = time.monotonic()

    def tell(event: StepEvent) -> None:
        if event.change in (StepChange.BEGAN, StepChange.NOTED):
            print(f"{time.monotonic() - began:7.2f}  {event.name}", flush=True)

    bus = StepBus(time.time)
    bus.subscribe(tell)
    with Runner(check(enclosure.ROOT / "testbeds" / "linux.yaml"), Path(tempfile.mkdtemp()), bus) as runner:
        for name in names:
            started = time.monotonic()
            where = folder / name
            evidence = play_calmly(runner, HARDSHIPS[name], variant, where)
            verdicts, head = sum_up(evidence)
            (where / "evidence.pickle").write_bytes(pickle.dumps((evidence, verdicts, head, time.monotonic() - started)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
