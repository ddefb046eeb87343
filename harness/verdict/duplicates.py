"""Marks that were delivered more than once, and who multiplied them.

A mark goes once through every place: client, NAT, gateway, far end, and back. More frames behind a place than before it are that
place's doing. The very same ESP packet again (one SPI, one sequence number) is a copy that the network made; the receiver's replay
window drops it (RFC 4303 section 3.4.3). Another sequence number is a packet that somebody made anew.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.model import FrameKind, Observation, Side
from harness.verdict.reading import Reading, mark_of, spi_of

_Key = tuple[str, int, bool]  # owner, sequence, answer
_Packets = dict[_Key, dict[tuple[str | None, object], list[Observation]]]  # by SPI and sequence number


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What one box ("client", "nat", "network", "gateway", "far end") delivered more than once of one client's marks."""

    box: str
    owner: str
    frames: tuple[Observation, ...]

    @property
    def sentence(self) -> str:
        return f"the {self.box.replace('nat', 'NAT')} delivered {len(self.frames)} marks of {self.owner} more than once"

    def facts(self) -> dict[str, object]:
        return {"box": self.box, "owner": self.owner, "frames": [[o.side.value, o.frame] for o in self.frames[:10]]}


def duplicates(reading: Reading) -> tuple[Duplicates, ...]:
    """By box and client; each frame is the last one of a mark that came too often."""
    found: dict[tuple[str, str], list[Observation]] = {}
    inside_up, outside_up = _packets(reading, Side.INSIDE, "up"), _packets(reading, Side.OUTSIDE, "up")
    outside_down, inside_down = _packets(reading, Side.OUTSIDE, "down"), _packets(reading, Side.INSIDE, "down")
    to_host, from_host = _far_end(reading)
    for key, packets in inside_up.items():
        if len(packets) > 1:
            _note(found, "client", key, packets)
    for key, frames in to_host.items():
        if len(frames) > max(1, len(inside_up.get(key, {}))):
            found.setdefault(("gateway", key[0]), []).append(frames[-1])
    for key, frames in from_host.items():
        if key[2] and len(frames) > max(1, len(to_host.get((*key[:2], False), ()))):
            found.setdefault(("far end", key[0]), []).append(frames[-1])
    for key, packets in outside_down.items():
        if len(packets) > max(1, len(from_host.get(key, ()))):
            _note(found, "gateway", key, packets)
    for before, behind in ((inside_up, outside_up), (outside_down, inside_down)):
        _copies(found, before, behind)
    return tuple(Duplicates(box, owner, tuple(frames)) for (box, owner), frames in found.items())


def _copies(found: dict[tuple[str, str], list[Observation]], before: _Packets, behind: _Packets) -> None:
    """One ESP packet, several times: by the NAT if more came out than went in, else by the network that brought it there."""
    for key in {**before, **behind}:
        first, then = before.get(key, {}), behind.get(key, {})
        for packet in {**first, **then}:
            went_in, came_out = first.get(packet, []), then.get(packet, [])
            if len(came_out) > max(1, len(went_in)):
                found.setdefault(("nat", key[0]), []).append(came_out[-1])
            elif len(went_in) > 1:
                found.setdefault(("network", key[0]), []).append(went_in[-1])


def _note(
    found: dict[tuple[str, str], list[Observation]],
    box: str,
    key: _Key,
    packets: dict[tuple[str | None, object], list[Observation]],
) -> None:
    last = max((o for frames in packets.values() for o in frames), key=lambda o: (o.t, o.frame))
    found.setdefault((box, key[0]), []).append(last)


def _packets(reading: Reading, side: Side, direction: str) -> _Packets:
    """Marked ESP of one side and direction."""
    found: _Packets = {}
    for o in reading.way(side, direction, FrameKind.ESP):
        key = _key(reading, o)
        if key is not None and o.esp is not None:
            found.setdefault(key, {}).setdefault((spi_of(o), o.esp.get("sequence")), []).append(o)
    return found


def _far_end(reading: Reading) -> tuple[dict[_Key, list[Observation]], dict[_Key, list[Observation]]]:
    """The marks that came out of the tunnels, and those that went into them."""
    to_host: dict[_Key, list[Observation]] = {}
    from_host: dict[_Key, list[Observation]] = {}
    for o in reading.frames(Side.FAR_END):
        key = _key(reading, o)
        if key is not None:
            (from_host if reading.ppp_owners(o.dst) else to_host).setdefault(key, []).append(o)
    return to_host, from_host


def _key(reading: Reading, o: Observation) -> _Key | None:
    mark = mark_of(o)
    return None if mark is None else (reading.numbered(mark.owner), mark.sequence, mark.answer)

