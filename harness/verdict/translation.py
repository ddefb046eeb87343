"""Port translation inside the gateway: after decryption and before encryption, never on the wire, and the SA found by the port."""

from __future__ import annotations

from collections.abc import Collection

from harness.model import FrameKind, Side, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.ports import L2TP_PORT, AtBoundary, at_boundary, port_owners, ports_by_client, require_boundary
from harness.verdict.reading import Reading, mark_of
from harness.verdict.trust import WIRE, Need, check


@check(*WIRE, Need.DECRYPTED, Need.TRANSLATED)
def source_port_is_translated_inbound(reading: Reading) -> Verdict:
    """What the client sends from 1701 on the wire reaches L2TP from the client's own port."""
    f = Findings()
    _expect_wire_port(f, reading, "up")
    _expect_boundary_ports(f, reading, "up")
    return f.verdict(f"on the wire every inner source port is {L2TP_PORT}; L2TP sees {f.facts['ports']}")


@check(*WIRE, Need.DECRYPTED, Need.TRANSLATED)
def destination_port_is_translated_back_outbound(reading: Reading) -> Verdict:
    """What L2TP sends to the client's own port, the one it hears the client by, leaves the gateway, once decrypted, for 1701."""
    f = Findings()
    _expect_wire_port(f, reading, "down")
    _expect_boundary_ports(f, reading, "up", "down")
    return f.verdict(f"L2TP sends to {f.facts['ports']}; on the wire every inner destination port is {L2TP_PORT}")


@check(*WIRE, Need.DECRYPTED, Need.MARKS, Need.TRANSLATED)
def destination_port_selects_the_sa(reading: Reading) -> Verdict:
    """A reply to the port of client k leaves in client k's outbound SA, for client k's mapping at the NAT.

    Judged by replies that were seen both at the L2TP boundary, where they bear the port, and on the wire.
    """
    ports = _own_ports(reading, at_least=2)
    owners = port_owners(reading)
    f = Findings(ports={c: sorted(p) for c, p in ports.items()})
    sent: dict[tuple[int, int], list[AtBoundary]] = {}
    for b in at_boundary(reading):
        mark = mark_of(b.frame)
        if b.direction == "down" and mark is not None and mark.answer:
            sent.setdefault((mark.owner, mark.sequence), []).append(b)
    judged: set[str] = set()
    unseen = 0
    left: dict[tuple[int, int], int] = {}
    for o in reading.way(Side.OUTSIDE, "down", FrameKind.ESP):
        mark = mark_of(o)
        if mark is None or not mark.answer:
            continue
        key = (mark.owner, mark.sequence)
        before = sent.get(key)
        if before is None:
            unseen += 1
            continue
        reply = before[min(left.get(key, 0), len(before) - 1)]  # the first with the first, the second with the second
        left[key] = left.get(key, 0) + 1
        addressed = owners.get(reply.port, frozenset())
        if not f.expect(len(addressed) == 1, f"L2TP replied to port {reply.port}, which is {_whose(addressed)}", reply.frame):
            continue
        client = next(iter(addressed))
        judged.add(client)
        identity = reading.identities[client]
        f.expect(reading.sa_owner(o) == client, f"a reply to {client}'s port left in {reading.sa_owner(o)}'s SA", reply.frame, o)
        f.expect(o.dport == identity.outside_natt_port, f"a reply to {client}'s port left for NAT port {o.dport}", reply.frame, o)
    f.facts.update(judged=sorted(judged), replies_not_seen_at_the_boundary=unseen)
    missing = sorted(set(ports) - judged)
    why_not = f"no marked reply to {', '.join(missing)} was captured both at the L2TP boundary and on the wire"
    require(not missing or bool(f.faults), why_not)
    return f.verdict(f"each reply left in the SA and for the NAT port of the client whose port it bore: {f.facts['ports']}")


@check(*WIRE, Need.TRANSLATED)
def port_is_translated_back_before_encryption(reading: Reading) -> Verdict:
    """What L2TP sent to a client's own port leaves for the port that client uses, and its tag is valid: the tag covers the port, so
    the port was put back before it was made.

    Judged on the outside, where nothing but the gateway has touched the packet; a tag that is wrong there is the gateway's fault
    and no reason to doubt the capture.
    """
    ports = _own_ports(reading, at_least=1)
    f = Findings(ports={c: sorted(p) for c, p in ports.items()}, judged={})
    translated = {c for c, known in ports.items() if known - {L2TP_PORT}}
    require(bool(translated), "the gateway translates no port, so there is nothing to put back")
    heard = {b.client for b in at_boundary(reading) if b.direction == "down" and b.port != L2TP_PORT}
    for o in reading.way(Side.OUTSIDE, "down", FrameKind.ESP):
        client, valid = reading.sa_owner(o), (o.esp or {}).get("icv_ok")
        if client not in translated or valid is None:
            continue
        assert client is not None
        f.facts["judged"][client] = f.facts["judged"].get(client, 0) + 1
        if not f.expect(bool(valid), f"the gateway sent {client} a packet whose authentication tag is wrong", o):
            continue
        port = None if o.inner is None else o.inner.dport
        f.expect(port not in ports[client] - {L2TP_PORT}, f"the gateway encrypted {client}'s translated port {port}", o)
    unheard = sorted(translated - {c for c in heard if c in f.facts["judged"]})
    why_not = f"nothing that L2TP sent to {', '.join(unheard)} was captured both at its boundary and on the wire"
    require(not unheard or bool(f.faults), why_not)
    return f.verdict(f"every packet to {', '.join(sorted(translated))} has a valid tag over the port that the client expects")


@check(*WIRE, Need.DECRYPTED, Need.TRANSLATED)
def translated_ports_stay_inside(reading: Reading) -> Verdict:
    """No decrypted packet, on either side of the NAT, bears a translated port: all say 1701."""
    own = _own_ports(reading, at_least=1)
    ports = {p for found in own.values() for p in found}
    require(ports != {L2TP_PORT}, "the gateway translates no port, so there is nothing to stay inside")
    f = Findings(ports=sorted(ports))
    for side in (Side.INSIDE, Side.OUTSIDE):
        for o in reading.frames(side):
            if o.kind is FrameKind.ESP and o.inner is not None:
                f.expect(not {o.inner.sport, o.inner.dport} & ports, f"a translated port is on the {side.value} wire", o)
                f.expect(
                    o.inner.sport == o.inner.dport == L2TP_PORT, f"a port other than {L2TP_PORT} is on the {side.value} wire", o
                )
    require_boundary(f, reading, own, "up", "down")
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


def _expect_boundary_ports(f: Findings, reading: Reading, *directions: str) -> None:
    """At the L2TP boundary every packet bears its client's own port, which is the client's alone and the only one."""
    ports = _own_ports(reading, at_least=1)
    owners = port_owners(reading)
    f.facts["ports"] = {c: sorted(p) for c, p in ports.items()}
    for client, found in ports.items():
        f.expect(L2TP_PORT not in found, f"L2TP knows {client} by {L2TP_PORT}: not translated")
        f.expect(len(found) == 1, f"L2TP knows {client} by several ports: {sorted(found)}")
    for b in at_boundary(reading):
        if b.direction not in directions:
            continue
        f.expect(b.port != L2TP_PORT, f"a packet going {b.direction} is at L2TP with {L2TP_PORT}, untranslated", b.frame)
        if b.client is not None:
            whose = owners.get(b.port, frozenset())
            f.expect(whose == {b.client}, f"{b.client}'s packet going {b.direction} bears port {b.port}, {_whose(whose)}", b.frame)
    for direction in directions:
        f.facts[f"at_boundary_{direction}"] = sum(b.direction == direction for b in at_boundary(reading))
    require_boundary(f, reading, ports, *directions)


def _whose(clients: Collection[str]) -> str:
    return " and ".join(sorted(clients)) + "'s" if clients else "no client's"
