"""From thousands of frames to a diagram of some dozen rows: which packets decide, and what went on between them.

Deciding packets get a row each. Between two of them, all packets of one client and one phase ("main mode", "L2TP control",
"marked traffic" …) share a row that counts them in both directions, so that a session that goes quiet shows as "40 up, 0 down".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.model import Evidence, FrameKind, Observation, Side
from harness.report.story import Row

MAX_ROWS = 48
MAX_DECIDING = 6


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet as both captures saw it. `inside` and `outside` are frame numbers, 0 where that side did not see it."""

    seen: Observation
    client: str
    up: bool
    inside: int
    outside: int


def sequence(evidence: Evidence, deciding: Iterable[tuple[str, int]]) -> tuple[tuple[Row, ...], int]:
    """The rows in order of time, and how many packets were left out for want of room."""
    wanted = set(list(dict.fromkeys(deciding))[: 2 * MAX_DECIDING])
    rows: list[Row] = []
    running: dict[tuple[str, str, str, bool], int] = {}
    for packet in packets(evidence):
        label = phase(packet.seen)
        if not label:
            continue
        wrong = _misdelivered(packet, evidence)
        reach = "all" if packet.inside and packet.outside else "inside" if packet.inside else "outside"
        if (Side.INSIDE, packet.inside) in wanted or (Side.OUTSIDE, packet.outside) in wanted:
            rows.append(_row(packet, exact(packet.seen, evidence), reach, wrong, deciding=True))
            running.clear()
            continue
        if wrong and packet.seen.inner is not None and packet.seen.inner.mark is not None:
            label = f"marked traffic of c{packet.seen.inner.mark.owner}"
        place = running.setdefault((packet.client, label, reach, wrong), len(rows))
        if place == len(rows):
            rows.append(_row(packet, label, reach, wrong, deciding=False))
        else:
            old = rows[place]
            rows[place] = replace(old, up=old.up + packet.up, down=old.down + (not packet.up))
    return _fit(rows)


def packets(evidence: Evidence) -> tuple[Packet, ...]:
    """Every packet between the clients and the gateway, in order of time, seen on one side or on both."""
    owner = {plan.address: plan.name for plan in evidence.plans}
    ports: dict[int, str] = {}
    for identity in evidence.identities:
        for port in (identity.outside_ike_port, identity.outside_natt_port):
            if port is not None:
                ports[port] = identity.client
    inside = _by_frame(evidence.observations.get(Side.INSIDE, ()))
    outside = _by_frame(evidence.observations.get(Side.OUTSIDE, ()))
    found: list[Packet] = []
    for pair in evidence.pairs:
        near, far = inside.pop(pair.inside, None), outside.pop(pair.outside, None)
        seen = _richer(near, far)
        if seen is None:
            continue
        up = pair.direction == "up"
        address = (seen if near is None else near).src if up else (seen if near is None else near).dst
        found.append(Packet(seen, owner.get(address, address), up, pair.inside if near else 0, pair.outside if far else 0))
    for seen in inside.values():
        up = seen.dst == evidence.gateway_address
        address = seen.src if up else seen.dst
        if address in owner:
            found.append(Packet(seen, owner[address], up, seen.frame, 0))
    for seen in outside.values():
        up = seen.dst == evidence.gateway_address
        if evidence.gateway_address not in (seen.src, seen.dst):
            continue
        found.append(Packet(seen, ports.get((seen.sport if up else seen.dport) or 0, "unknown client"), up, 0, seen.frame))
    return tuple(sorted(found, key=lambda packet: (packet.seen.t, packet.inside, packet.outside)))


def phase(seen: Observation) -> str:
    """The kind of packet, in few words; empty for what a diagram need not show (keepalives, ARP and the like)."""
    if seen.kind is FrameKind.IKE:
        return str((seen.ike or {}).get("exchange") or "IKE")
    if seen.kind is FrameKind.L2TP_CLEAR:
        return "L2TP in clear"
    if seen.kind is not FrameKind.ESP:
        return ""
    inner = seen.inner
    if inner is None:
        return "ESP that no key opens"
    if inner.mark is not None or seen.mark is not None:
        return "marked traffic"
    if inner.ppp is not None:
        return "PPP"
    return "L2TP control" if inner.l2tp is not None else "ESP"


def exact(seen: Observation, evidence: Evidence) -> str:
    """One packet in the words of the field: "QM3", "SCCRP", "mark 12 of c1, answer"."""
    if seen.kind is FrameKind.IKE and seen.ike is not None:
        again = ", again" if seen.ike.get("retransmission") else ""
        return f"{seen.ike.get('message') or phase(seen)}{again}"
    inner = seen.inner
    if inner is not None:
        mark = inner.mark or seen.mark
        if mark is not None:
            return f"mark {mark.sequence} of c{mark.owner}{', answer' if mark.answer else ''}"
        if inner.ppp is not None:
            return " ".join(str(part) for part in (inner.ppp.get("protocol"), inner.ppp.get("code")) if part is not None)
        if inner.l2tp is not None and inner.l2tp.get("message"):
            return str(inner.l2tp["message"])
    if seen.esp is not None:
        return f"ESP, SPI {seen.esp.get('spi')}, sequence {seen.esp.get('sequence')}"
    return phase(seen) or seen.kind.value


def _row(packet: Packet, label: str, reach: str, wrong: bool, *, deciding: bool) -> Row:
    return Row(
        t=packet.seen.t,
        client=packet.client,
        label=label,
        up=int(packet.up),
        down=int(not packet.up),
        reach=reach,
        frames=(packet.inside, packet.outside),
        deciding=deciding,
        wrong=wrong,
    )


def _misdelivered(packet: Packet, evidence: Evidence) -> bool:
    """Whether a packet towards a client carries somebody else's mark."""
    mark = packet.seen.mark if packet.seen.inner is None else packet.seen.inner.mark or packet.seen.mark
    if mark is None or packet.up or packet.client == "unknown client":
        return False
    return packet.client != f"c{mark.owner}" and any(plan.number == mark.owner for plan in evidence.plans)


def _fit(rows: Sequence[Row]) -> tuple[tuple[Row, ...], int]:
    """At most MAX_ROWS: those nearest to a deciding or misdelivered packet stay, in their order."""
    if len(rows) <= MAX_ROWS:
        return tuple(rows), 0
    anchors = [i for i, row in enumerate(rows) if row.deciding] or [i for i, row in enumerate(rows) if row.wrong] or [0]
    ranked = sorted(range(len(rows)), key=lambda i: (not rows[i].deciding, min(abs(i - anchor) for anchor in anchors), i))
    kept = sorted(ranked[:MAX_ROWS])
    left_out = sum(row.up + row.down for row in rows) - sum(rows[i].up + rows[i].down for i in kept)
    return tuple(rows[i] for i in kept), left_out


def _by_frame(observations: Iterable[Observation]) -> dict[int, Observation]:
    return {seen.frame: seen for seen in observations}


def _richer(near: Observation | None, far: Observation | None) -> Observation | None:
    """The view of the packet that was decrypted further; the inside one where both are alike."""
    if near is None or far is None:
        return near or far
    return far if near.inner is None and far.inner is not None else near
