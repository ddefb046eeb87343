"""Do the traces of both sides of the NAT line up? By packet, since payloads cross unchanged, or else by time."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence

from harness.model import FrameKind, Observation, Side, Verdict
from harness.verdict.altered import explained
from harness.verdict.findings import Findings, require
from harness.verdict.reading import Crossing, Reading
from harness.verdict.trust import WIRE, check, clocks_apart

ALIGNED_S = 0.001
"""How close two traces have to be, in seconds, to be read side by side."""

_TRACED = (FrameKind.IKE, FrameKind.ESP, FrameKind.KEEPALIVE)


@check(*WIRE)
def traces_align(reading: Reading) -> Verdict:
    """One offset of the clocks brings every packet that was seen on both sides behind itself, and every packet that came out of the
    NAT is found going in: by its payload, as one of the same kind and length within 1 ms, or as one that the NAT altered or copied,
    which is other rows' business.
    """
    f = Findings()
    crossings = [c for c in reading.crossings() if c.inside.kind in _TRACED]
    offset = _offset(crossings)
    clock = reading.evidence.clock
    apart = offset + (clock.offset_s if clock is not None and clock.corrected else 0.0)  # the stamps are on one clock then
    f.facts["offset_ms"] = round(apart * 1000, 3)
    for c in crossings:
        sign = 1.0 if c.direction == "up" else -1.0
        took = c.behind.t - c.before.t - sign * offset
        f.expect(took >= -ALIGNED_S, f"no offset of the clocks aligns the traces: a packet came out {-took * 1000:.1f} ms "
                 "before it went in", c.before, c.behind)  # fmt: skip
    seen = [o for side in (Side.INSIDE, Side.OUTSIDE) for o in reading.frames(side) if o.kind in _TRACED]
    require(bool(seen), "neither trace holds any IKE, ESP or keepalive")
    matched = {(o.side, o.frame) for c in crossings for o in (c.before, c.behind)}
    traced = meddled = 0
    for before, behind, direction in ((Side.INSIDE, Side.OUTSIDE, "up"), (Side.OUTSIDE, Side.INSIDE, "down")):
        waiting = [o for o in reading.way(before, direction) if (before, o.frame) not in matched and o.kind in _TRACED]
        left = [o for o in reading.way(behind, direction) if (behind, o.frame) not in matched and o.kind in _TRACED]
        if direction == "up":
            left = [o for o in left if o.src == reading.evidence.nat_outside]
        shift = offset if direction == "up" else -offset
        for o, source in _by_time(waiting, left, shift):
            traced += source is not None
            meddled += source is None and id(o) in explained(reading)
            known = source is not None or id(o) in explained(reading)
            f.expect(known, f"{behind.value} frame {o.frame} matches nothing on the other side, by packet or by time", o)
    f.facts.update(by_packet=len(crossings), by_time=traced, altered_or_copied=meddled)
    return f.verdict(f"{len(crossings)} packets align by payload, {traced} by time; the clocks are {apart * 1000:+.3f} ms apart")


def _offset(crossings: Sequence[Crossing]) -> float:
    """How much later the outside clock is, in seconds: half of what transit upwards takes longer than transit downwards. With one
    direction alone, or where both clocks agree well enough to leave transit positive, none is assumed."""
    ways = {
        way: statistics.median([c.behind.t - c.before.t for c in crossings if c.direction == way])
        for way in ("up", "down")
        if any(c.direction == way for c in crossings)
    }
    if len(ways) < 2 or all(took >= 0.0 for took in ways.values()):
        return 0.0
    return clocks_apart(crossings)


def _by_time(
    waiting: Sequence[Observation], left: Sequence[Observation], shift: float
) -> list[tuple[Observation, Observation | None]]:
    """For each frame that came out, the one of its kind and length that had gone in within ALIGNED_S; each serves once."""
    lines: dict[tuple[FrameKind, int], deque[Observation]] = {}
    for o in waiting:
        lines.setdefault((o.kind, o.length), deque()).append(o)
    found: list[tuple[Observation, Observation | None]] = []
    for o in left:
        line = lines.get((o.kind, o.length), deque())
        while line and o.t - shift - line[0].t > ALIGNED_S:
            line.popleft()
        near = bool(line) and abs(o.t - shift - line[0].t) <= ALIGNED_S
        found.append((o, line.popleft() if near else None))
    return found
