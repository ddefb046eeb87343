"""Plays a scenario on real machines until this one was not too busy: what a stall spoiled says nothing, and is played again."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.model import Evidence, Outcome, RecordKind
from harness.scenario.outcome import sum_up
from harness.scenario.runner import Runner
from harness.scenario.script import Script

ATTEMPTS = 4


def play_calmly(runner: Runner, script: Script, variant: str, folder: Path) -> Evidence:
    """The evidence of the first attempt that is to be trusted, or of the last; its files are in `folder`."""
    for _ in range(ATTEMPTS):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        evidence = runner.play(script, variant, folder=folder)
        doubt = _doubt(evidence)
        if not doubt:
            break
        print(f"{script.name}: {doubt}; once more", flush=True)
    return evidence


def _doubt(evidence: Evidence) -> str:
    """Why nothing can be said of who survived; "" where something can, whatever it is."""
    held_up = next((record for record in evidence.records if record.kind is RecordKind.IMPAIRED), None)
    if held_up is not None:
        return str(held_up.data.get("reason"))
    survival = sum_up(evidence)[0]["survival"]
    return survival.because if survival.outcome is Outcome.INCONCLUSIVE else ""
