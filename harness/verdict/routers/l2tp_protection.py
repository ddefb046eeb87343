"""What a VPDN group with a crypto profile lets onto the wire, and what it takes from it."""

from __future__ import annotations

from collections.abc import Mapping

from harness.model import Evidence, FrameKind, Side, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.reading import came_up, frames, l2tp, pings, step, told

CALLER = "caller 1"


@check(Side.OUTSIDE)
def nothing_in_clear_between_lac_and_lns(evidence: Evidence) -> Verdict:
    """SEC-02: a call's whole life is IKE on port 500 and ESP; no L2TP is in the clear."""
    found = Findings(kinds=sorted({frame.kind.value for frame in frames(evidence)}))
    require(came_up(evidence, CALLER) is not None, "no call came up, so nothing was to be protected")
    require(bool(frames(evidence, FrameKind.ESP)), "no ESP crossed the wire")
    for frame in frames(evidence):
        fits = frame.kind is FrameKind.ESP or (frame.kind is FrameKind.IKE and 500 in (frame.sport, frame.dport))
        found.expect(fits, f"{frame.kind.value} crossed the wire from {frame.src}", frame)
    return found.verdict("nothing but IKE on port 500 and ESP crossed the wire")


@check(Side.OUTSIDE)
def clear_request_is_ignored(evidence: Evidence) -> Verdict:
    """SEC-31: where the group is protected, an SCCRQ in the clear gets no answer and makes no tunnel."""
    forged = step(evidence, "inject:SCCRQ in the clear")
    found = Findings()
    answers = [one for one in frames(evidence, since=forged.began, until=forged.ended) if one.src == evidence.gateway_address]
    require(bool(told(evidence, "injected")), "no SCCRQ was sent in the clear")
    for frame in answers:
        found.expect(False, f"the LNS answered an SCCRQ in the clear with {frame.kind.value}", frame)
    after = l2tp(evidence, since=forged.ended, clear=True)
    for frame in after:
        found.expect(False, "L2TP went on in the clear afterwards", frame)
    alive = pings(evidence, CALLER, since=forged.ended)
    require(bool(alive), "no protected call was asked afterwards whether it lives, so the silence says nothing of the LNS")
    found.expect(all(alive), "the protected call that was up died of it")
    return found.verdict("the LNS was silent to an SCCRQ in the clear, and alive to the protected call")


CHECKS: Mapping[str, RouterCheck] = {
    "SEC-02": nothing_in_clear_between_lac_and_lns,
    "SEC-31": clear_request_is_ignored,
}
