"""IKE and ESP that belong to no client of the run: nothing that the run's keys could open, so no reason to doubt the captures.

What the gateway sends so is a fault of the gateway's, or of whoever sends in its name; what comes from nobody's address is noise.
Both are counted. In captures taken elsewhere what nobody's keys open may be a client's whose key is not there: only what comes from
nobody's address is foreign to them. What a client's own address sends so is not foreign: a client's packets are the run's own, and
its keys open them.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.model import FrameKind, Observation, RecordKind, Side
from harness.verdict.reading import Reading, ike, spi_of

FROM_GATEWAY, FROM_NOBODY = "from_the_gateway", "from_nobody"
MAX_NAMED = 20


def agreed_spis(reading: Reading) -> frozenset[str]:
    """The SPIs that a quick mode proposed or took, or that a client says it agreed: for these there are keys."""
    return reading.once(_agreed_spis)


def foreign(reading: Reading) -> Mapping[str, tuple[Observation, ...]]:
    """FROM_GATEWAY and FROM_NOBODY → the frames, on either side of the NAT, as each capture has them.

    ESP on an SPI that nobody agreed, and what is no ISAKMP message of any client's main mode though it came to the port of one.
    """
    return reading.once(_foreign)


def foreign_facts(reading: Reading) -> dict[str, object]:
    """For a verdict: how many there were, and the first of them. {} where there were none."""
    found = {whose: frames for whose, frames in foreign(reading).items() if frames}
    if not found:
        return {}
    return {
        "foreign": {
            whose: {
                "count": len(frames),
                "spis": sorted({str(spi_of(o)) for o in frames if o.esp is not None})[:MAX_NAMED],
                "frames": [[o.side.value, o.frame] for o in frames[:MAX_NAMED]],
            }
            for whose, frames in found.items()
        }
    }


def _agreed_spis(reading: Reading) -> frozenset[str]:
    told = {
        str(r.data[name])
        for r in reading.evidence.records
        if r.kind is RecordKind.ESP_UP
        for name in ("spi_in", "spi_out")
        if name in r.data
    }
    proposed = {
        str(p["spi"])
        for side in (Side.INSIDE, Side.OUTSIDE)
        for o in reading.frames(side)
        if o.kind is FrameKind.IKE
        for p in ike(o, "proposals") or ()
        if p.get("protocol") == "ESP" and p.get("spi")
    }
    elsewhere = {spi for i in reading.evidence.elsewhere for spi in (*i.spis_in, *i.spis_out)}
    return frozenset(told | proposed | elsewhere)


def _foreign(reading: Reading) -> Mapping[str, tuple[Observation, ...]]:
    inside = {p.outside: p.inside for p in reading.evidence.pairs}
    sources = {o.frame: o.src for o in reading.frames(Side.INSIDE)}
    found: dict[str, list[Observation]] = {FROM_GATEWAY: [], FROM_NOBODY: []}
    for side in (Side.INSIDE, Side.OUTSIDE):
        for o in reading.frames(side):
            if not _nobodys(reading, o):
                continue
            direction = reading.direction(o)
            if direction == "down" and reading.evidence.accounts:
                found[FROM_GATEWAY].append(o)
            elif direction == "up":
                source = sources.get(inside.get(o.frame, 0), o.src) if side is Side.OUTSIDE else o.src
                mapped = source == reading.evidence.nat_outside and reading.at_port(o.sport, o.t) is not None
                if reading.at_address(source) is None and not mapped:
                    found[FROM_NOBODY].append(o)
    return {whose: tuple(frames) for whose, frames in found.items()}


def _nobodys(reading: Reading, o: Observation) -> bool:
    if o.kind is FrameKind.ESP:
        return spi_of(o) not in agreed_spis(reading)
    return o.kind is FrameKind.IKE and o.problem is not None and reading.ike_owner(o) is None
