"""The cleartext sentinel: all on the two sides of the NAT that ought to be protected and is not, or that nobody expects there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.model import FrameKind, Observation, Side

_WATCHED = (Side.INSIDE, Side.OUTSIDE)
_ECHO = (0, 8)
_ICMP_ERRORS = (3, 4, 5, 11, 12)
_GRE, _TCP, _UDP, _L2TP_OVER_IP, _AH = 47, 6, 17, 115, 51


class Exposure(StrEnum):
    CLEAR_L2TP = "clear-l2tp"  # L2TP, or something that reads like it, outside ESP
    CLEAR_PPP = "clear-ppp"  # PPP in another clear tunnel, a marked echo on the bare wire
    BARE_ESP = "bare-esp"  # protocol 50 where NAT traversal is due
    UNKNOWN = "unknown"  # neither IPsec nor an ICMP error about it


_DECLARABLE = (Exposure.CLEAR_L2TP, Exposure.CLEAR_PPP)


@dataclass(frozen=True, slots=True)
class Finding:
    """One frame that the sentinel points at. `flow` is source, destination, protocol number and ports."""

    side: Side
    frame: int
    exposure: Exposure
    flow: tuple[str, str, int, int | None, int | None]
    why: str


def watch(
    observations: Mapping[Side, Sequence[Observation]],
    *,
    nat_traversal: bool | Callable[[Observation], bool] = True,
    clear_expected: bool | Callable[[Observation], bool] = False,
) -> tuple[Finding, ...]:
    """All findings of both sides, in order. Behind the gateway's decapsulation traffic is clear by right, so that is not watched.

    `nat_traversal`: whether ESP must be in UDP, everywhere (True) or of those frames that it names. `clear_expected` declares clear
    L2TP and PPP expected likewise. Unknown flows and bare ESP are found regardless.
    """
    found: list[Finding] = []
    for side in _WATCHED:
        for observation in observations.get(side, ()):
            finding = _look(observation, _declared(observation, nat_traversal))
            if finding is not None and not (finding.exposure in _DECLARABLE and _declared(observation, clear_expected)):
                found.append(finding)
    return tuple(found)


def flows(findings: Iterable[Finding]) -> dict[tuple[str, str, int, int | None, int | None], tuple[Finding, ...]]:
    """The findings by flow, for a report that names each flow once."""
    grouped: dict[tuple[str, str, int, int | None, int | None], list[Finding]] = {}
    for finding in findings:
        grouped.setdefault(finding.flow, []).append(finding)
    return {flow: tuple(each) for flow, each in grouped.items()}


def _declared(observation: Observation, expected: bool | Callable[[Observation], bool]) -> bool:
    return expected(observation) if callable(expected) else expected


def _look(o: Observation, nat_traversal: bool) -> Finding | None:
    protocol = int(o.headers.get("protocol", 0))
    flow = (o.src, o.dst, protocol, o.sport, o.dport)
    verdict = _exposure(o, protocol, nat_traversal)
    return None if verdict is None else Finding(o.side, o.frame, verdict[0], flow, verdict[1])


def _exposure(o: Observation, protocol: int, nat_traversal: bool) -> tuple[Exposure, str] | None:
    resembles = o.headers.get("looks_like")
    if o.kind is FrameKind.L2TP_CLEAR:
        return Exposure.CLEAR_L2TP, f"UDP 1701 that nothing protects{_message(o)}"
    if resembles:
        return Exposure.CLEAR_L2TP, f"the bytes read like {resembles}"
    if o.kind is FrameKind.ESP:
        if o.esp is not None and o.esp.get("encryption") == "null":
            return Exposure.CLEAR_L2TP, "ESP with null encryption"
        bare = nat_traversal and o.headers.get("encapsulation") == "none"
        return (Exposure.BARE_ESP, "ESP in protocol 50 where UDP encapsulation is due") if bare else None
    if o.kind is FrameKind.IKE:
        # What cannot even be read as an ISAKMP header is some other protocol on IKE's port.
        return (Exposure.UNKNOWN, f"not IKE on IKE's port: {o.problem}") if o.ike is None else None
    if o.kind is FrameKind.KEEPALIVE:
        return None
    if o.kind is FrameKind.ICMP:
        return _icmp(o)
    return _other(o, protocol)


def _message(o: Observation) -> str:
    message = (o.inner.l2tp or {}).get("message") if o.inner else None
    return f": {message}" if message else ""


def _icmp(o: Observation) -> tuple[Exposure, str] | None:
    if o.mark is not None:
        return Exposure.CLEAR_PPP, f"a marked echo of client {o.mark.owner} outside its tunnel"
    kind = o.headers.get("icmp_type")
    if kind in _ICMP_ERRORS:
        quoted = o.headers.get("quoted") or {}
        if 1701 in (quoted.get("sport"), quoted.get("dport")) and not {500, 4500} & {quoted.get("sport"), quoted.get("dport")}:
            return Exposure.CLEAR_L2TP, "an ICMP error that quotes unprotected UDP 1701"
        return None
    return Exposure.UNKNOWN, f"ICMP {'echo' if kind in _ECHO else f'type {kind}'} on the bare wire"


def _other(o: Observation, protocol: int) -> tuple[Exposure, str] | None:
    if protocol == _GRE:
        return Exposure.CLEAR_PPP, "GRE: PPP in PPTP's clear tunnel"
    if protocol == _L2TP_OVER_IP:
        return Exposure.CLEAR_L2TP, "L2TPv3 over IP"
    if o.headers.get("fragment") == "part":
        return None  # judged at the fragment that completes it
    if not o.src:
        return Exposure.UNKNOWN, f"not IPv4{': ' + o.problem if o.problem else ''}"
    name = {_TCP: "TCP", _UDP: "UDP", _AH: "AH"}.get(protocol, f"IP protocol {protocol}")
    return Exposure.UNKNOWN, f"{name} that no step of a run sends{': ' + o.problem if o.problem else ''}"
