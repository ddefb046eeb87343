"""What came out of the NAT that had not gone in: packets that it changed beyond what a NAT may change, and packets it sent twice.

A NAT that leaves everything as it is lets a packet out once, with its payload. What comes out besides is a copy of what came out
before, or else the packet of the same flow that went in shortly before and never came out as it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from harness.model import FrameKind, Observation, Side
from harness.verdict.reading import Crossing, Reading

NAT_TRANSIT_S = 1.0
"""Longest time a packet may spend in the NAT to be taken for the one that came out, as in the pairing of unchanged ones."""

CLOCK_GRAIN_S = 0.001
"""Two captures may stamp one instant this far apart."""

CHECKSUMS = {"ip_checksum", "udp_checksum"}
"""Header fields that follow from others, so that the NAT has to change them."""
CAPTURERS = {"interface", "interface_index", "packet_type"}
"""What a Linux cooked header tells of the machine that captured, and not of the packet."""

FRAGMENTS = {"fragment", "fragment_offset", "ip_length", "mf", "flags"}
"""What a router that has to cut a packet up changes (RFC 791 section 3.2), as a NAT may be one."""

_WAYS = (("up", Side.INSIDE, Side.OUTSIDE), ("down", Side.OUTSIDE, Side.INSIDE))
_JUDGED = (FrameKind.IKE, FrameKind.ESP, FrameKind.KEEPALIVE, FrameKind.L2TP_CLEAR)

_End = tuple[str, int | None]
"""A client's own address and port: what names a flow, on either side of the NAT."""


@dataclass(frozen=True, slots=True)
class Altered:
    """A frame before the NAT and the frame behind it that took its place, with another payload or as another kind of packet."""

    direction: str
    before: Observation
    behind: Observation


@dataclass(frozen=True, slots=True)
class Copied:
    """A frame behind the NAT that had come out before: `original` has its counterpart before the NAT, `copy` has none."""

    direction: str
    original: Observation
    copy: Observation


class _Line:
    """The frames of one flow that went in and did not come out, by kind and time."""

    def __init__(self) -> None:
        self._kinds: dict[FrameKind, deque[Observation]] = {}

    def add(self, o: Observation) -> None:
        self._kinds.setdefault(o.kind, deque()).append(o)

    def take(self, behind: Observation, same_kind: bool) -> Observation | None:
        """The oldest one that can have become `behind`, of its kind if there is one. To be asked in the order of time."""
        kinds = [behind.kind] if same_kind else sorted(self._kinds, key=lambda kind: kind is not behind.kind)
        for waiting in (self._kinds.get(kind, deque()) for kind in kinds):
            while waiting and waiting[0].t < behind.t - NAT_TRANSIT_S:
                waiting.popleft()
            if waiting and waiting[0].t <= behind.t + CLOCK_GRAIN_S:
                return waiting.popleft()
        return None


def altered(reading: Reading) -> tuple[Altered, ...]:
    """Unpaired frames behind the NAT for which one of the same flow, unpaired too, had just gone in.

    The flow is known by the port mapping that the paired packets show; where none is known, by kind and time alone.
    """
    return reading.once(_altered)


def copied(reading: Reading) -> tuple[Copied, ...]:
    """Unpaired frames behind the NAT whose payload had come out before, paired with what had gone in.

    IKE and ESP have no two packets alike but those that are sent again, and each of these would have gone in. Keepalives are all
    alike: of those only one that follows another in the same flow at once is a copy.
    """
    return reading.once(_copied)


def explained(reading: Reading) -> frozenset[int]:
    """The ids of the frames behind the NAT that are another's doing of the NAT's: changed on their way, or copies."""
    return reading.once(_explained)


def made(reading: Reading) -> tuple[Observation, ...]:
    """Keepalives that came out of the NAT for a flow of its own client's, and that never went in: the NAT keeps its mapping alive
    itself. Nothing else can be made on a client's behalf without its keys; where a capture is not whole, one is only missed."""
    return reading.once(_made)


def unchanging(c: Crossing) -> Iterator[tuple[str, object, object]]:
    """(name, before, behind) of every field that a NAT has no business with. It may cut packets up that do not forbid it."""
    before, behind = c.before, c.behind
    if c.direction == "up":
        yield "the destination address", before.dst, behind.dst
        yield "the destination port", before.dport, behind.dport
    else:
        yield "the source address", before.src, behind.src
        yield "the source port", before.sport, behind.sport
    yield "what it was", before.kind.value, behind.kind.value
    yield "the payload", before.payload_digest, behind.payload_digest
    if c.cut:
        if before.headers.get("df") and not before.headers.get("fragment"):
            yield "a packet that forbids it", "whole", "in fragments"
    else:
        yield "the length", before.length, behind.length
    passed_over = CHECKSUMS | CAPTURERS | (FRAGMENTS if c.cut else set())
    for name in sorted((set(before.headers) | set(behind.headers)) - passed_over):
        yield name, before.headers.get(name), behind.headers.get(name)


def _altered(reading: Reading) -> tuple[Altered, ...]:
    paired = reading.once(_paired)
    copies = {id(c.copy) for c in copied(reading)}
    flow = _flows(reading)
    found = []
    for direction, before, behind in _WAYS:
        lines: dict[_End | None, _Line] = {}
        for o in reading.way(before, direction):
            if (o.side, o.frame) not in paired and o.kind is not FrameKind.ICMP:
                lines.setdefault(flow(o), _Line()).add(o)
        for o in reading.way(behind, direction):
            if (o.side, o.frame) in paired or id(o) in copies or o.kind is FrameKind.ICMP:
                continue
            key = flow(o)
            if key in lines and (key is not None or o.kind in _JUDGED):
                source = lines[key].take(o, same_kind=key is None)
                if source is not None:
                    found.append(Altered(direction, source, o))
    return tuple(found)


def _copied(reading: Reading) -> tuple[Copied, ...]:
    paired = reading.once(_paired)
    found = []
    for direction, _, behind in _WAYS:
        originals: dict[object, Observation] = {}
        for o in reading.way(behind, direction):
            if o.kind not in _JUDGED:
                continue
            alike = o.kind is FrameKind.KEEPALIVE
            key = (o.payload_digest, _client_end(reading, o)) if alike else o.payload_digest
            if (o.side, o.frame) in paired:
                originals[key] = o
            elif (original := originals.get(key)) is not None and not (alike and o.t - original.t > NAT_TRANSIT_S):
                found.append(Copied(direction, original, o))
    return tuple(found)


def _explained(reading: Reading) -> frozenset[int]:
    return frozenset((*(id(a.behind) for a in altered(reading)), *(id(c.copy) for c in copied(reading))))


def _made(reading: Reading) -> tuple[Observation, ...]:
    sides = [reading.capture(side) for side in (Side.INSIDE, Side.OUTSIDE)]
    if not all(facts is not None and facts.complete and not facts.dropped for facts in sides):
        return ()
    paired, flow = reading.once(_paired), _flows(reading)
    return tuple(
        o
        for o in reading.way(Side.OUTSIDE, "up", FrameKind.KEEPALIVE)
        if (o.side, o.frame) not in paired and id(o) not in explained(reading) and flow(o) is not None
    )


def _paired(reading: Reading) -> set[tuple[Side, int]]:
    pairs = reading.evidence.pairs
    return {(Side.INSIDE, p.inside) for p in pairs} | {(Side.OUTSIDE, p.outside) for p in pairs}


def _flows(reading: Reading) -> Callable[[Observation], _End | None]:
    """The flow that a frame of either side belongs to; None where no paired packet shows its mapping."""
    ends = {_client_end(reading, c.outside): _client_end(reading, c.inside) for c in reading.crossings()}
    known = set(ends.values())

    def flow(o: Observation) -> _End | None:
        end = _client_end(reading, o)
        return ends.get(end) if o.side is Side.OUTSIDE else end if end in known else None

    return flow


def _client_end(reading: Reading, o: Observation) -> _End:
    return (o.src, o.sport) if reading.direction(o) == "up" else (o.dst, o.dport)
