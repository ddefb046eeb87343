"""Plays a scenario on real machines until this one was not too busy: what a stall spoiled says nothing, and is played again."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.model import Evidence, RecordKind
from harness.scenario.runner import Runner
from harness.scenario.script import Script

ATTEMPTS = 4


def play_calmly(runner: Runner, script: Script, variant: str, folder: Path) -> Evidence:
    """The evidence of the first attempt in which the clients were not held up, or of the last; its files are in `folder`."""
    for _ in range(ATTEMPTS):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        evidence = runner.play(script, variant, folder=folder)
        held_up = [record for record in evidence.records if record.kind is RecordKind.IMPAIRED]
        if not held_up:
            break
        print(f"{script.name}: {held_up[0].data.get('reason')}; once more", flush=True)
    return evidence
