"""Populations that no single NAT stands before: a second site, clients on the outside, a router that translates nothing.

Each part of such a population is an Evidence of its own, in which "inside" and "the NAT" are its own, so that one judgement serves
for all. Where a client has a public address the one capture that shows it stands for both sides; the frame numbers tell which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from harness.model import CaptureFacts, Evidence, Observation, Pair, Side, Verdict

DIRECT = 0
"""The site of clients that no NAT stands before."""

FIRST = 1
"""The testbed's own."""


def parts(evidence: Evidence) -> Mapping[int, Evidence]:
    """Site → the evidence of its clients alone. One part where all clients are behind the testbed's NAT."""
    numbers = sorted({plan.site for plan in evidence.plans})
    return {number: _part(evidence, number) for number in numbers}


def routed(evidence: Evidence) -> Evidence:
    """The evidence of a NAT that translates nothing: nobody is known by its address."""
    return replace(evidence, nat_outside="")


def capture_of(evidence: Evidence, site: int) -> Side:
    """The capture that the part's "inside" stands for."""
    if site == DIRECT:
        return Side.OUTSIDE
    return next((s.side for s in evidence.sites if s.number == site), Side.INSIDE)


def as_captured(verdict: Verdict, side: Side) -> Verdict:
    """The verdict on a part, its frames named by the capture that they are in."""
    frames = tuple((side.value if where == Side.INSIDE.value else where, number) for where, number in verdict.frames)
    return replace(verdict, frames=tuple(dict.fromkeys(frames)))


def _part(evidence: Evidence, number: int) -> Evidence:
    plans = tuple(p for p in evidence.plans if p.site == number)
    names = {p.name for p in plans}
    addresses = {p.address for p in plans}
    identities = tuple(i for i in evidence.identities if i.client in names)
    outside = evidence.observations.get(Side.OUTSIDE, ())
    site = next((s for s in evidence.sites if s.number == number), None)
    if number == DIRECT:
        nat = ""
        outside = tuple(o for o in outside if o.src in addresses or o.dst in addresses)
        inside: Iterable[Observation] = outside
        pairs = tuple(Pair(o.frame, o.frame, "up" if o.dst == evidence.gateway_address else "down") for o in outside)
    else:
        nat = evidence.nat_outside if site is None else site.outside
        direct = (p.address for p in evidence.plans if p.site == DIRECT)
        others = {evidence.nat_outside, *(s.outside for s in evidence.sites), *direct} - {nat}
        outside = tuple(o for o in outside if not {o.src, o.dst} & others)
        inside = evidence.observations.get(Side.INSIDE if site is None else site.side, ())
        pairs = evidence.pairs if site is None else site.pairs
    seen: dict[Side, tuple[Observation, ...]] = {
        **{side: found for side, found in evidence.observations.items() if side is not Side.INSIDE_2},
        Side.INSIDE: tuple(o if o.side is Side.INSIDE else replace(o, side=Side.INSIDE) for o in inside),
        Side.OUTSIDE: tuple(outside),
    }
    return replace(
        evidence,
        plans=plans,
        records=tuple(r for r in evidence.records if r.client in names),
        observations=seen,
        captures=_captures(evidence, number),
        pairs=pairs,
        identities=identities,
        elsewhere=tuple(i for i in evidence.identities if i.client not in names),
        nat_outside=nat,
        sites=(),
    )


def _captures(evidence: Evidence, number: int) -> tuple[CaptureFacts, ...]:
    inside = capture_of(evidence, number)
    kept = [c for c in evidence.captures if c.side not in (Side.INSIDE, Side.INSIDE_2)]
    return (*(replace(c, side=Side.INSIDE) for c in evidence.captures if c.side is inside), *kept)
