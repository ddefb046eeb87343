"""Verdicts: what the evidence says, in one of three words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judgement. `because` is a sentence for the report; `facts` the values it rests on (JSON types only).

    `frames` names the deciding frames as (side, frame number), so that a reader can open the capture at the packet.
    """

    outcome: Outcome
    because: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    frames: tuple[tuple[str, int], ...] = ()
