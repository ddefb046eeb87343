"""Mutants of harness/virtual that nobody chose: which were tried, and which no test noticed.

`reports/prove/mutants.jsonl` holds a line for each that was tried, {"mutant", "fingerprint", "survived"}.
"""

from __future__ import annotations

import json
from pathlib import Path

from harness.prove.account import Mutants
from harness.prove.predictions import survivors

KEPT = Path(__file__).resolve().parents[2] / "reports" / "prove" / "mutants.jsonl"


def tally(fingerprint: str, kept: Path = KEPT) -> Mutants:
    """What was tried of the code with that fingerprint, and what is said of the survivors."""
    lines = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
    tried = {one["mutant"]: bool(one["survived"]) for one in map(json.loads, lines) if one["fingerprint"] == fingerprint}
    explained = survivors()
    return Mutants(len(tried), {name: explained.get(name, "") for name, survived in tried.items() if survived})
