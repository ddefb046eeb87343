"""One run of the suites in virtual time, in a process of its own, with one mechanism broken or none."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.catalogue import SUITES
from harness.errors import LabError
from harness.prove.ledger import CLEAN, Played
from harness.prove.worlds import Run
from harness.report.story import Tone

ROOT = SUITES.parent
TOLD = (0, 1)
"""pytest's exit statuses of a session that came to its end: all passed, or something failed."""


def play(run: Run, fingerprint: str, *, keep: Path | None = None) -> Played:
    """Blocking. `keep` is a folder for the run's report, captures and all; without it nothing of it stays.

    LabError where the suites could not be run to their end: then nothing can be said of the fault.
    """
    with tempfile.TemporaryDirectory(prefix="natstorm-prove-") as scratch:
        reports = keep or Path(scratch)
        began = time.monotonic()
        done = subprocess.run(_command(run, reports), cwd=ROOT, capture_output=True, text=True, check=False)
        took = time.monotonic() - began
        runs = sorted(reports.glob("*/summary.json"), key=lambda path: path.stat().st_mtime)
        if done.returncode not in TOLD or not runs:
            said = (done.stdout + done.stderr).strip().splitlines()[-15:]
            raise LabError(f"play the suites with {run.fault or 'nothing'} broken", "\n".join(said) or f"status {done.returncode}")
        folder = runs[-1].parent
        blamed, undecided = _headlines(folder)
        kept = folder.name if keep else ""
        found = _outcomes(folder)
        return Played(run.fault, run.seed, fingerprint, found, blamed, round(took, 2), kept, undecided, run.world)


def _command(run: Run, reports: Path) -> list[str]:
    command = [sys.executable, "-m", "pytest", str(SUITES), f"--rootdir={ROOT}", f"--confcutdir={ROOT}", "-p", "no:cacheprovider"]
    command += ["-q", "--tb=no", "--no-html", f"--testbed={run.testbed}", "--time=virtual", f"--seed={run.seed}"]
    command += [f"--reports={reports}", *run.options]
    return command + ([] if run.fault == CLEAN else [f"--fault={run.fault}"])


def _outcomes(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        test = case["nodeid"].partition("::")[2].partition("[")[0]
        name = f"{case['id']} [{case['variant']}-{case['scenario']}]"
        # Two tests may ask different things about one behaviour and scenario.
        found[name if name not in found else f"{case['id']} {test} [{case['variant']}-{case['scenario']}]"] = case["outcome"]
    return found


def _headlines(folder: Path) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Scenario → the boxes blamed, and the scenarios of which the headline does not say who survived."""
    told = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("scenarios/*/story.json"))]
    heads = {f"{story['variant']}-{story['scenario']}": story["headline"] for story in told}
    blamed = {scenario: tuple(head["blame"]) for scenario, head in heads.items()}
    return blamed, tuple(scenario for scenario, head in heads.items() if Tone(head["tone"]).open)
