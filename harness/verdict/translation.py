"""Port translation inside the gateway: after decryption and before encryption, never on the wire, and the SA found by the port."""

from __future__ import annotations

from harness.model import FrameKind, Observation, Side, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.ports import L2TP_PORT, boundary_owner, ports_by_client
from harness.verdict.reading import Reading, mark_of
from harness.verdict.trust import WIRE, Need, check


@check(*WIRE, Need.DECRYPTED)
def source_port_is_translated_inbound(reading: Reading) -> Verdict:
    """What the client sends from 1701 on the wire reaches L2TP from the client's own port."""
    f = Findings()
    _expect_wire_port(f, reading, "up")
    _expect_boundary_port(f, reading, "up")
    return f.verdict(f"on the wire every inner source port is {L2TP_PORT}; L2TP sees {f.facts['ports']}")


@check(*WIRE, Need.DECRYPTED)
def destination_port_is_translated_back_outbound(reading: Reading) -> Verdict:
    """What L2TP sends to the client's own port leaves the gateway, once decrypted, for 1701."""
    f = Findings()
    _expect_wire_port(f, reading, "down")
    _expect_boundary_port(f, reading, "down")
    return f.verdict(f"L2TP sends to {f.facts['ports']}; on the wire every inner destination port is {L2TP_PORT}")


@check(*WIRE, Need.DECRYPTED, Need.MARKS)
def destination_port_selects_the_sa(reading: Reading) -> Verdict:
    """A reply to the port of client k leaves in client k's outbound SA, for client k's mapping at the NAT."""
    ports = _own_ports(reading, at_least=2)
    f = Findings(ports={c: sorted(p) for c, p in ports.items()})
    at_boundary = {
        (m.owner, m.sequence): o
        for o in reading.frames(Side.TRANSLATED)
        if (m := mark_of(o)) is not None and m.answer and reading.direction(o) == "down" and o.dport != L2TP_PORT
    }
    f.facts["boundary_capture"] = bool(at_boundary)
    judged = set()
    for o in reading.way(Side.OUTSIDE, "down", FrameKind.ESP):
        mark = mark_of(o)
        if mark is None or not mark.answer:
            continue
        before = at_boundary.get((mark.owner, mark.sequence))
        owner = reading.numbered(mark.owner)
        if before is not None and before.dport is not None:
            addressed = next((c for c, p in ports.items() if before.dport in p), None)
            f.expect(addressed is not None, f"L2TP replied to port {before.dport}, which is no client's", before)
            owner = addressed or owner
        identity = reading.identities.get(owner)
        if identity is None:
            continue
        judged.add(owner)
        f.expect(reading.sa_owner(o) == owner, f"a reply to {owner}'s port left in {reading.sa_owner(o)}'s SA", before, o)
        f.expect(o.dport == identity.outside_natt_port, f"a reply to {owner}'s port left for NAT port {o.dport}", before, o)
    require(judged >= set(ports) or bool(f.faults), f"no marked reply to {', '.join(sorted(set(ports) - judged))} was captured")
    return f.verdict(f"each reply left in the SA and for the NAT port of the client whose port it bore: {f.facts['ports']}")


@check(*WIRE, Need.DECRYPTED)
def translated_ports_stay_inside(reading: Reading) -> Verdict:
    """No decrypted packet, on either side of the NAT, bears a translated port: all say 1701."""
    ports = {p for found in _own_ports(reading, at_least=1).values() for p in found}
    require(ports != {L2TP_PORT}, "the gateway translates no port, so there is nothing to stay inside")
    f = Findings(ports=sorted(ports))
    for side in (Side.INSIDE, Side.OUTSIDE):
        for o in reading.frames(side):
            if o.kind is FrameKind.ESP and o.inner is not None:
                f.expect(not {o.inner.sport, o.inner.dport} & ports, f"a translated port is on the {side.value} wire", o)
                f.expect(
                    o.inner.sport == o.inner.dport == L2TP_PORT, f"a port other than {L2TP_PORT} is on the {side.value} wire", o
                )
    return f.verdict(f"none of the ports {sorted(ports)} was seen on the wire in {f.judged // 2} decrypted packets")


def _own_ports(reading: Reading, *, at_least: int) -> dict[str, set[int]]:
    ports = ports_by_client(reading)
    order = reading.arrivals()
    require(len(order) >= at_least, f"{len(order)} clients agreed an ESP SA, {at_least} are needed")
    for client in order:
        require(client in ports, f"nothing shows the port by which the gateway knows {client}")
    return {c: ports[c] for c in order}


def _expect_wire_port(f: Findings, reading: Reading, direction: str) -> None:
    seen = [o for o in reading.way(Side.OUTSIDE, direction, FrameKind.ESP) if o.inner is not None]
    require(bool(seen), f"no decrypted packet went {direction}")
    for o in seen:
        assert o.inner is not None
        port = o.inner.sport if direction == "up" else o.inner.dport
        f.expect(port == L2TP_PORT, f"the client's inner port is {port} on the wire", o)


def _expect_boundary_port(f: Findings, reading: Reading, direction: str) -> None:
    """At the L2TP boundary, by its own capture where there is one, by the gateway's account of its sessions otherwise."""
    ports = _own_ports(reading, at_least=1)
    f.facts["ports"] = {c: sorted(p) for c, p in ports.items()}
    for client, found in ports.items():
        f.expect(L2TP_PORT not in found, f"L2TP knows {client} by {L2TP_PORT}: not translated")
        f.expect(len(found) == 1, f"L2TP knows {client} by several ports: {sorted(found)}")
    capture = reading.capture(Side.TRANSLATED)
    f.facts["boundary_capture"] = capture is not None
    if capture is None:
        return
    require(not capture.dropped and capture.complete, "the capture at the L2TP boundary is not complete")
    crossed = [o for o in reading.frames(Side.TRANSLATED) if reading.direction(o) == direction]
    require(bool(crossed), f"nothing was captured going {direction} at the L2TP boundary")
    translated = [o for o in crossed if _client_port(o, direction) != L2TP_PORT]
    twins = {mark_of(o) for o in translated} - {None}
    plain = [o for o in crossed if _client_port(o, direction) == L2TP_PORT and mark_of(o) is not None]
    # Downwards a tap may lie behind the translator, and show IPsec's form alone; what L2TP sends to then stands in the gateway's
    # account of its sessions. Upwards the last form seen is the one that L2TP gets.
    both = direction == "up" or any(mark_of(o) in twins for o in plain)
    f.facts["boundary_shows_l2tp_side"] = both
    for o in plain if both else ():
        f.expect(mark_of(o) in twins, f"a packet going {direction} met L2TP by {L2TP_PORT}, untranslated", o)
    if direction == "up":
        f.expect(bool(translated), "no packet going up was translated")
    for o in translated:
        owner, known = _marked_owner(reading, o), _client_port(o, direction)
        if owner is not None and owner in ports:
            f.expect(known in ports[owner], f"{owner}'s packet going {direction} bears port {known} at L2TP", o)
            f.expect(boundary_owner(reading, known or 0) in (None, owner), f"port {known} is another client's", o)


def _client_port(o: Observation, direction: str) -> int | None:
    return o.sport if direction == "up" else o.dport


def _marked_owner(reading: Reading, o: Observation) -> str | None:
    mark = mark_of(o)
    return None if mark is None else reading.numbered(mark.owner)
