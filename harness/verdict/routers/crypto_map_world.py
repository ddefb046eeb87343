"""What checks on crypto maps share: who is where among endpoints without a NAT, and what of a host's went how."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict

from harness.model import Evidence, FrameKind, Observation, Step
from harness.verdict.findings import Findings, require
from harness.verdict.routers.reading import CLOSE_S, arrived, frames, step, told

WEST, WEST_HOST = "10.0.0.11", "10.1.1.5"
EAST: Mapping[int, str] = {number: f"203.0.113.24{number}" for number in range(1, 5)}
ELSEWHERE = "10.9.9.9"
AH = 51


class Span(TypedDict):
    """A time, as the readers take it."""

    since: float
    until: float


def host(number: int) -> str:
    """Behind the endpoint of that number in the east."""
    return f"10.2.{number}.5"


def during(first: Step, last: Step | None = None) -> Span:
    """From the beginning of a step to the end of it, or of another. What is sent in the moment in which that one ends is the next
    one's."""
    return {"since": first.began, "until": (last or first).ended - CLOSE_S}


def talk(evidence: Evidence, number: int, label: str = "") -> Step:
    """The step in which a packet went from west-1's host to that one in the east, and one back."""
    return step(evidence, f"exchange:west-1:east-{number}{label and f':{label}'}")


def require_sent(evidence: Evidence, name: str, span: Span, when: str) -> None:
    """Inconclusive where the host behind that endpoint sent nothing in that time."""
    require(bool(told(evidence, "sent", f"host of {name}", **span)), f"{name}'s host sent nothing {when}")


def in_esp(evidence: Evidence, src: str, dst: str, span: Span) -> tuple[Observation, ...]:
    """The ESP packets that hold one from host to host."""
    found = frames(evidence, FrameKind.ESP, **span)
    return tuple(frame for frame in found if between(frame.esp or {}) == (src, dst))


def between(esp: Mapping[str, Any]) -> tuple[Any, Any]:
    return esp.get("inner_src"), esp.get("inner_dst")


def in_clear(evidence: Evidence, src: str, dst: str, span: Span) -> tuple[Observation, ...]:
    """Packets from host to host that nobody has protected; what IKE sends in a host's name, to find a peer, is none."""
    found = frames(evidence, src=src, **span)
    return tuple(frame for frame in found if frame.dst == dst and frame.kind is not FrameKind.IKE)


def in_ah(evidence: Evidence, span: Span, src: str) -> tuple[Observation, ...]:
    return tuple(frame for frame in frames(evidence, src=src, **span) if frame.headers.get("protocol") == AH)


def ike(evidence: Evidence, span: Span, *messages: str, src: str = "", dst: str = "") -> tuple[Observation, ...]:
    """ISAKMP messages of these names."""
    found = frames(evidence, FrameKind.IKE, src=src, **span)
    return tuple(frame for frame in found if dst in ("", frame.dst) and (frame.ike or {}).get("message") in messages)


def ciphers(found: Sequence[Observation]) -> set[str]:
    return {str((frame.esp or {}).get("encryption")) for frame in found}


def carried(found: Findings, evidence: Evidence, number: int, span: Span, *, both_ways: bool = True) -> tuple[Observation, ...]:
    """Asserts that west-1's host and that one in the east talk in ESP between the two endpoints, and that it arrives; returns what
    went to the east. Inconclusive where nothing was sent."""
    peer, there = EAST[number], host(number)
    sent = [(one, got) for one, got in arrived(evidence, **span) if {one.data["src"], one.data["dst"]} == {WEST_HOST, there}]
    require(bool(sent), f"no host sent anything between west-1 and east-{number}")
    out, back = in_esp(evidence, WEST_HOST, there, span), in_esp(evidence, there, WEST_HOST, span)
    for frame in (*out, *back):
        found.expect({frame.src, frame.dst} == {WEST, peer}, f"ESP for {there} went from {frame.src} to {frame.dst}", frame)
    for frame in (*in_clear(evidence, WEST_HOST, there, span), *in_clear(evidence, there, WEST_HOST, span)):
        found.expect(False, f"a packet from {frame.src} to {frame.dst} went in the clear", frame)
    found.expect(bool(out), f"no ESP for {there} went to {peer}")
    found.expect(bool(back) or not both_ways, f"no ESP came from {peer} for {WEST_HOST}")
    for direction in (WEST_HOST, there) if both_ways else (WEST_HOST,):
        through = [got for one, got in sent if one.data["src"] == direction and got is not None]
        found.expect(bool(through), f"nothing from {direction} arrived")
    return out


def permit_of(ids: Sequence[Mapping[str, Any]]) -> str:
    """The line of the responder's access list that a quick mode's two IDs, the initiator's first, amount to."""
    theirs, ours = (_network(one) for one in ids)
    return f"permit ip {ours} {theirs}"


def _network(one: Mapping[str, Any]) -> str:
    network = ipaddress.IPv4Network(str(one["value"]))
    if network.prefixlen == 32:
        return f"host {network.network_address}"
    return f"{network.network_address} {network.hostmask}"


def ids_of(found: Sequence[Observation]) -> Iterator[tuple[Mapping[str, Any], ...]]:
    for frame in found:
        yield tuple((frame.ike or {}).get("ids") or ())
