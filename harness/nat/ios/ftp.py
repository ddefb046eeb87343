"""FTP through the NAT: the address in PORT, EPRT and the 227 reply (RFC 959, RFC 2428), on the ports that are configured.

A server that no list names is looked for on port 21. One that a list permits has its control connections on the ports of those
lists alone: what goes to its port 21 is dropped, unless that is among them (ESN-70, ESN-71). Commands that are cut in two by a
segment's end are not seen; selective acknowledgements of a control connection are left as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.nat.headers import TCP, dotted
from harness.nat.ios import segment
from harness.nat.ios.access_list import AccessList
from harness.nat.ios.expectations import Expectations
from harness.nat.ios.segment import Shift
from harness.nat.ios.tcp import Flow
from harness.nat.state import Dropped, State

PORT = 21
CONNECTIONS = 4096
"""Control connections whose bytes have moved that are remembered; the oldest makes room. Ours."""
_HOST_PORT = re.compile(rb"\d{1,3}(?:,\d{1,3}){5}")
_EXTENDED = re.compile(rb"\|1\|(\d{1,3}(?:\.\d{1,3}){3})\|(\d{1,5})\|")


@dataclass(frozen=True, slots=True)
class FtpPort:
    """`ip nat service list LIST ftp tcp port PORT`: servers that the list permits are spoken to at that port."""

    servers: AccessList
    port: int


class FtpGateway:
    def __init__(self, ports: tuple[FtpPort, ...], expectations: Expectations) -> None:
        self.ports = ports
        self._expectations = expectations
        self.reset()

    def reset(self) -> None:
        self._shifts: dict[Flow, Shift] = {}

    def take_over(self, other: FtpGateway) -> None:
        """What `other` knew, when this takes its place on a NAT that runs."""
        self._shifts = other._shifts

    def check(self, flow: Flow) -> None:
        for server, client, port in self._ends(flow):
            if port == PORT and port not in self._control(server, client):
                raise Dropped("FTP port")

    def outward(self, state: State, flow: Flow, packet: bytes, at: int) -> bytes:
        if not any(port in self._control(server, client) for server, client, port in self._ends(flow)):
            return packet
        sequence = int.from_bytes(packet[at + 4 : at + 8])
        start = segment.payload_at(packet, at)
        old = packet[start:]
        new = self._told(state, flow, old)
        shift = self._shifts.get(flow)
        if segment.flags(packet, at) & segment.SYN and shift is not None:
            del self._shifts[flow]  # the ports are used again
            shift = None
        if len(new) != len(old):
            if shift is None:
                while len(self._shifts) >= CONNECTIONS:
                    del self._shifts[next(iter(self._shifts))]
                shift = self._shifts[flow] = Shift((sequence - 1) & 0xFFFF_FFFF)
            shift.changed(sequence, len(new) - len(old))
        if new != old:
            packet = segment.with_payload(packet, at, new)
        if shift is not None and (more := shift.of_sequence(sequence)):
            packet = segment.with_numbers(packet, at, sequence=more)
        return packet

    def inward(self, state: State, flow: Flow, packet: bytes, at: int) -> bytes:
        shift = self._shifts.get(flow)
        if shift is None or not segment.flags(packet, at) & segment.ACK:
            return packet
        less = shift.of_acknowledgement(int.from_bytes(packet[at + 8 : at + 12]))
        return segment.with_numbers(packet, at, acknowledgement=-less) if less else packet

    def _control(self, server: bytes, client: bytes) -> set[int]:
        return {one.port for one in self.ports if one.servers.permits(server, client)} or {PORT}

    def _ends(self, flow: Flow) -> tuple[tuple[bytes, bytes, int], tuple[bytes, bytes, int]]:
        """(server, client, the server's port) as it would be with the server outside, and inside."""
        return (flow.remote, flow.inside, flow.remote_port), (flow.inside, flow.remote, flow.inside_port)

    def _told(self, state: State, flow: Flow, payload: bytes) -> bytes:
        """The payload with the outside address in the place of the inside one that it names as an endpoint for data."""
        if payload[:5].upper() == b"PORT " or payload[:4] == b"227 ":
            return _HOST_PORT.sub(lambda found: self._host_port(state, flow, found[0]), payload, count=1)
        if payload[:5].upper() == b"EPRT ":
            return _EXTENDED.sub(lambda found: self._extended(state, flow, found), payload, count=1)
        return payload

    def _host_port(self, state: State, flow: Flow, text: bytes) -> bytes:
        numbers = list(map(int, text.split(b",")))
        if max(numbers) > 255 or bytes(numbers[:4]) != flow.inside:
            return text
        port = self._outside_port(state, flow, numbers[4] << 8 | numbers[5])
        return b",".join(b"%d" % one for one in (*flow.outside, port >> 8, port & 0xFF))

    def _extended(self, state: State, flow: Flow, found: re.Match[bytes]) -> bytes:
        if found[1].decode() != dotted(flow.inside) or not 0 < int(found[2]) < 1 << 16:
            return found[0]
        return b"|1|%s|%d|" % (dotted(flow.outside).encode(), self._outside_port(state, flow, int(found[2])))

    def _outside_port(self, state: State, flow: Flow, port: int) -> int:
        return port if flow.keeps_ports else self._expectations.expect(state, TCP, flow.inside, port, flow.remote)
