"""What captures show of each client without any judgement: its mappings, main modes, SAs, and how much went which way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.model import FrameKind, Identity, Observation, Side

End = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class Moment:
    """One message that sets something up or ends it, by its first sending: an IKE message by its name, an L2TP one where it
    shows."""

    t: float
    side: Side
    frame: int
    up: bool
    name: str
    of: str  # cookie, or SPI


@dataclass(slots=True)
class Surveyed:
    """One client. `ends` are the addresses and ports it was seen at, by side; of a capture of the outside alone, a client is
    whatever uses one main mode and the port to which that floats."""

    client: str
    ends: dict[Side, list[End]] = field(default_factory=dict)
    cookies: list[tuple[str, str]] = field(default_factory=list)
    spis: dict[str, list[str]] = field(default_factory=lambda: {"up": [], "down": []})
    counts: Counter[str] = field(default_factory=Counter)  # "esp up", "keepalive down", …, "sent again", "l2tp in clear"
    moments: list[Moment] = field(default_factory=list)
    first: float = float("inf")
    last: float = float("-inf")

    def to_dict(self) -> dict[str, Any]:
        return {
            "client": self.client,
            "ends": {side.value: [f"{address}:{port}" for address, port in ends] for side, ends in self.ends.items()},
            "cookies": [list(pair) for pair in self.cookies],
            "spis_in": self.spis["down"],
            "spis_out": self.spis["up"],
            "counts": dict(self.counts),
            "first": self.first,
            "last": self.last,
            "timeline": [
                {"t": m.t, "side": m.side.value, "frame": m.frame, "way": "up" if m.up else "down", "message": m.name, "of": m.of}
                for m in self.moments
            ],
        }


def survey(
    observations: Mapping[Side, Sequence[Observation]], gateway: str, identities: Iterable[Identity] = ()
) -> tuple[Surveyed, ...]:
    """One a client, by name. Counts and timelines are of the inside, where there is one; ends are of both sides."""
    side = Side.INSIDE if Side.INSIDE in observations else Side.OUTSIDE
    known = {one.inside: one for one in identities}
    at_port = _by_port(observations[side], gateway) if side is Side.OUTSIDE else {}
    found: dict[str, Surveyed] = {}
    for o in observations[side]:
        up = o.dst == gateway
        if not up and o.src != gateway:
            continue
        end = (o.src, o.sport) if up else (o.dst, o.dport)
        client = at_port.get(end) if end[0] not in known else known[end[0]].client
        if client is not None:
            _add(found.setdefault(client, Surveyed(client)), o, end, up)
    for one in known.values():
        row = found.get(one.client)
        if row is not None and one.outside is not None:
            ports = (one.outside_ike_port, one.outside_natt_port, one.outside_l2tp_port)
            row.ends[Side.OUTSIDE] = [(one.outside, port) for port in dict.fromkeys(ports) if port is not None]
    return tuple(sorted(found.values(), key=lambda row: (len(row.client), row.client)))


def _by_port(frames: Iterable[Observation], gateway: str) -> dict[End, str]:
    """Outside end → the name of whoever uses it: the ends at which one main mode is spoken are one client's."""
    ends: dict[str, list[End]] = {}
    single: list[End] = []
    for o in frames:
        if gateway not in (o.src, o.dst) or o.kind not in (FrameKind.IKE, FrameKind.ESP, FrameKind.KEEPALIVE, FrameKind.L2TP_CLEAR):
            continue
        end = (o.src, o.sport) if o.dst == gateway else (o.dst, o.dport)
        if o.ike is not None:
            ends.setdefault(str(o.ike["icookie"]), []).append(end)
        else:
            single.append(end)
    names: dict[End, str] = {}
    count = 0
    for group in (*ends.values(), *([end] for end in single)):
        name = next((names[end] for end in group if end in names), None)
        if name is None:
            count += 1
            name = f"c{count}"
        for end in group:
            names.setdefault(end, name)
    return names


def _add(row: Surveyed, o: Observation, end: End, up: bool) -> None:
    way = "up" if up else "down"
    if o.kind in (FrameKind.IKE, FrameKind.ESP, FrameKind.KEEPALIVE, FrameKind.L2TP_CLEAR):
        row.counts[f"{o.kind.value} {way}"] += 1
        _once(row.ends.setdefault(o.side, []), end)
        row.first, row.last = min(row.first, o.t), max(row.last, o.t)
    if o.esp is not None:
        _once(row.spis[way], str(o.esp["spi"]))
    name, of = _named(o)
    if name is None:
        return
    if o.ike is not None and o.ike.get("retransmission"):
        row.counts["sent again"] += 1
        return
    if o.ike is not None and set(str(o.ike["rcookie"])) != {"0"}:
        _once(row.cookies, (str(o.ike["icookie"]), str(o.ike["rcookie"])))
    row.moments.append(Moment(o.t, o.side, o.frame, up, name, of))


def _named(o: Observation) -> tuple[str | None, str]:
    if o.ike is not None:
        deletes = o.ike.get("deletes")
        return ("IKE Delete" if deletes else str(o.ike.get("message") or o.ike["exchange"])), str(o.ike["icookie"])
    control = (o.inner.l2tp or {}).get("message") if o.inner is not None else None
    if control in (None, "ZLB", "Hello"):
        return None, ""
    return str(control), str(o.esp["spi"]) if o.esp is not None else "in clear"


def _once(found: list[Any], value: Any) -> None:
    if value not in found:
        found.append(value)
