"""Packets of hosts that have an outside address of their own: the address changes, and nothing else that names an endpoint."""

from __future__ import annotations

from dataclasses import replace

from harness.nat import icmp_errors
from harness.nat.headers import ICMP, OFFSET, TCP, UDP
from harness.nat.ios.one_to_one import OneToOne
from harness.nat.ios.tcp import Flow, Tcp
from harness.nat.rewriting import Rewriter
from harness.nat.state import Dropped, State
from harness.nat.table import Session

_LEAST = {UDP: 8, TCP: 20, ICMP: 8}


def outward(state: State, addresses: OneToOne, tcp: Tcp | None, rewriter: Rewriter, packet: bytes, at: int) -> bytes | None:
    """The packet as it goes out; None where its source has no address of its own."""
    session = addresses.outward(state, packet)
    if session is None:
        return None
    at, session = _read(packet, at, session)
    if at and packet[9] == ICMP and icmp_errors.is_error(packet, at):
        packet, at = _error(packet, at, session, inward=False), 0
    elif at and packet[9] == TCP and tcp is not None:
        flow = _flow(packet[12:16], packet[16:20], packet[at : at + 2], packet[at + 2 : at + 4], session)
        tcp.check(flow)
        packet = tcp.outward(state, flow, packet, at)
    session.binding.sessions[0].up += 1
    state.timers.outbound(state.now, session.binding)
    return rewriter.outward(packet, at, session)


def inward(state: State, addresses: OneToOne, tcp: Tcp | None, rewriter: Rewriter, packet: bytes, at: int) -> bytes | None:
    """The packet as it goes on inside; None where its destination is nobody's own address."""
    session = addresses.inward(state, packet)
    if session is None:
        return None
    at, session = _read(packet, at, session)
    if at and packet[9] == ICMP and icmp_errors.is_error(packet, at):
        packet, at = _error(packet, at, session, inward=True), 0
    elif at and packet[9] == TCP and tcp is not None:
        flow = _flow(session.address_in, packet[12:16], packet[at + 2 : at + 4], packet[at : at + 2], session)
        tcp.check(flow)
        packet = tcp.inward(state, flow, packet, at)
    session.binding.sessions[0].down += 1
    state.timers.inbound(state.now, session.binding)
    return rewriter.inward(packet, at, session)


def _read(packet: bytes, at: int, session: Session) -> tuple[int, Session]:
    """(where the transport header begins, 0 for a further fragment; the session with this packet's own ports)."""
    if (packet[6] << 8 | packet[7]) & OFFSET:
        return 0, session
    if len(packet) < at + _LEAST.get(packet[9], 0):
        raise Dropped("malformed")
    source, destination = packet[at : at + 2], packet[at + 2 : at + 4]
    if packet[9] == ICMP:
        source = destination = packet[at + 4 : at + 6]
    return at, replace(session, port_out=source, port_in=destination, port_change=0)


def _error(packet: bytes, at: int, session: Session, *, inward: bool) -> bytes:
    """The error with its quotation as the receiver knows it; the quoted ports stay."""
    _, key = icmp_errors.quoted_key(packet, at)
    own = key[8:10] if inward or len(key) < 12 else key[10:12]
    return icmp_errors.translate(packet, at, replace(session, port_in=own, port_out=own), inward=inward)


def _flow(inside: bytes, remote: bytes, inside_port: bytes, remote_port: bytes, session: Session) -> Flow:
    return Flow(inside, int.from_bytes(inside_port), remote, int.from_bytes(remote_port), session.address_out, keeps_ports=True)
