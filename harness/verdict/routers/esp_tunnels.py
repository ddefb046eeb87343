"""Tunnels through a NAT that knows ESP: whether they are up together, and what crosses the NAT."""

from __future__ import annotations

from collections.abc import Mapping

from harness.model import Evidence, FrameKind, Side, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.reading import arrived, exchanged, frames

SIDES = (Side.INSIDE, Side.OUTSIDE)


@check(*SIDES)
def several_tunnels_are_up_together(evidence: Evidence) -> Verdict:
    """ESN-03: once all are up, a packet of every one crosses both ways, time and again, and comes to its own host."""
    found = Findings()
    talks = exchanged(evidence)
    require(len({step.clients for step in talks}) > 1, "fewer than two tunnels were asked whether they live")
    for step in talks:
        for sent, got in arrived(evidence, since=step.began, until=step.ended):
            found.expect(got is not None, f"packet {sent.data['number']} of {sent.who} did not come to {sent.data['dst']}")
    for sent, got in arrived(evidence):
        if got is not None:
            found.expect(got.data["dst"] == sent.data["dst"], f"packet {sent.data['number']} came to {got.data['dst']}")
    return found.verdict("every tunnel carried its packets both ways while the others were up")


@check(*SIDES)
def esp_goes_without_udp(evidence: Evidence) -> Verdict:
    """ESN-04: the tunnels' packets are protocol 50 on both sides of the NAT, and nothing is on UDP 4500."""
    found = Findings()
    for side in SIDES:
        require(bool(frames(evidence, FrameKind.ESP, side=side)), f"no ESP crossed the {side.value} of the NAT")
        for frame in frames(evidence, side=side):
            found.expect(4500 not in (frame.sport, frame.dport), f"{frame.kind.value} on UDP 4500 {side.value} the NAT", frame)
            if frame.kind is FrameKind.ESP:
                found.expect(frame.sport is None, f"ESP in UDP {side.value} the NAT", frame)
    return found.verdict("ESP crossed the NAT as protocol 50, and nothing was on UDP 4500")


CHECKS: Mapping[str, RouterCheck] = {
    "ESN-03": several_tunnels_are_up_together,
    "ESN-04": esp_goes_without_udp,
}
