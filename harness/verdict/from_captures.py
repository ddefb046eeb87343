"""Which checks can be put to captures that were taken elsewhere, where there are no records, no steps and no accounts of the boxes.

Each is the check of its row and no other. What is not put rests on something that no capture shows; `NOT_PUT` says on what.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.model import Evidence, FrameKind, Outcome, Side, Verdict
from harness.verdict import mapping, survivors
from harness.verdict.checks import CHECKS, NOTED
from harness.verdict.reading import reading_of
from harness.verdict.trust import Check, Need, unfinished

SURVIVAL, CLEAR, MAPPINGS = "survival", "nothing in clear", "mappings"

_ONE = ("NTT-01", "NTT-03", "NTT-05", "NTT-06", "NTT-07", "NTT-14", "NTT-15", "NTT-16", "NTT-17",
        "DMX-31", "DMX-32", "DMX-33", "DMX-34", "DMX-35")  # fmt: skip
_SEVERAL = ("NTT-10", "NTT-12", "NTT-13", "NTT-18")
"""Two clients at least: of one alone nothing can be told, or a NAT may leave it its port."""

_TRACES = "NTT-29"
"""Whether the traces align is, for captures taken elsewhere, a question about their clocks and no device."""

_PACKETWISE = (CLEAR, MAPPINGS, "NTT-13", "NTT-14", "NTT-15", "NTT-16", "NTT-17", "NTT-18", "DMX-33", "DMX-34")
"""Judged packet by packet. What fails beside these may lack but what came before the capture began, or after it ended."""

_IDLE = ("NTT-08",)
"""Where a client was idle long enough."""

DECIDING = (SURVIVAL, CLEAR, MAPPINGS, "NTT-14", "NTT-15")
"""Without these nothing is judged as a whole: one of them that is inconclusive leaves the outcome inconclusive."""

_IN_CLEAR = ("NTT-13", "NTT-14", "NTT-15", "NTT-16", "DMX-33")
"""What is judged where there is no IPsec at all."""

_SCENARIO = "a scenario that brings it about"
_NEEDS: Mapping[Need, str] = {
    Need.FAR_END: "a capture behind the gateway",
    Need.TRANSLATED: "a capture inside the gateway, between IPsec and L2TP",
    Need.VIEWS: "the gateway's own lists",
    Need.GATEWAY_EVENTS: "the gateway's own events",
    Need.NAT_VIEWS: "the NAT's own table",
    Need.PRINTED: "the gateway's command line",
}


@dataclass(frozen=True, slots=True)
class Put:
    """One check and what it says. `deciding`: the outcome as a whole depends on it."""

    name: str
    verdict: Verdict
    deciding: bool


def put(evidence: Evidence) -> tuple[Put, ...]:
    """All checks that captures alone can be judged by, the deciding ones first."""
    several = len(evidence.plans) > 1
    survival: Check = survivors.clients_live_together if several else survivors.sessions_last  # type: ignore[assignment]
    checks: dict[str, Check] = {SURVIVAL: survival, CLEAR: mapping.nothing_crosses_in_clear, MAPPINGS: mapping.mappings_last}  # type: ignore[dict-item]
    if evidence.nat_outside:
        rows = (*_ONE, *(_SEVERAL if several else ()), *(_IDLE if _idle(evidence) else ()))
        checks |= {row: CHECKS[row] for row in rows if row in _IN_CLEAR or not evidence.clear_expected}
    found = [Put(name, _in_full(evidence, name, check(evidence)), name in DECIDING) for name, check in checks.items()]
    return tuple(sorted(found, key=lambda one: not one.deciding))


def _in_full(evidence: Evidence, name: str, verdict: Verdict) -> Verdict:
    """The verdict; but no failure for want of what a capture can't have seen."""
    cut = tuple(unfinished(reading_of(evidence)))
    if verdict.outcome is not Outcome.FAIL or name in _PACKETWISE or not cut:
        return verdict
    return replace(verdict, outcome=Outcome.INCONCLUSIVE, because="; ".join(cut[:4]), facts={**verdict.facts, "doubts": list(cut)})


def not_put(evidence: Evidence) -> dict[str, str]:
    """Row → what it needs beyond captures, for every row of the catalogue with a check that was not put."""
    several = len(evidence.plans) > 1
    told = {}
    for row, check in {**CHECKS, **NOTED}.items():
        if evidence.clear_expected and row in (*_ONE, *_SEVERAL, *_IDLE) and row not in _IN_CLEAR:
            told[row] = "IPsec"
            continue
        if row in _ONE and evidence.nat_outside:
            continue
        if row in _ONE:
            told[row] = "a NAT that translates"
        elif row in _SEVERAL:
            if not several:
                told[row] = "two clients at least"
        elif row == _TRACES:
            told[row] = "nothing more, and judges no device: see what is said of the clocks"
        elif row in _IDLE:
            if not _idle(evidence):
                told[row] = "a client that is idle for longer than 20 s"
        elif row not in ("NTT-27", "NTT-28"):  # put by name
            told[row] = ", ".join(_NEEDS[need] for need in check.needs if need in _NEEDS) or _SCENARIO
    return told


def outcome(found: tuple[Put, ...]) -> Outcome:
    """FAIL where any check failed; PASS where the deciding ones passed; else nothing is said of the device."""
    if any(one.verdict.outcome is Outcome.FAIL for one in found):
        return Outcome.FAIL
    decided = all(one.verdict.outcome is Outcome.PASS for one in found if one.deciding)
    named = {one.name for one in found}
    return Outcome.PASS if decided and {SURVIVAL, CLEAR, MAPPINGS} <= named else Outcome.INCONCLUSIVE


def _idle(evidence: Evidence) -> bool:
    return any(o.kind is FrameKind.KEEPALIVE for o in reading_of(evidence).frames(Side.INSIDE))
