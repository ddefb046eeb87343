"""SCCP ("skinny") through the NAT: the phone's own address in what it tells the call manager (ESN-72).

The layout is the one that Wireshark's dissector knows: length (4 bytes, little-endian, of what follows the first 8), version
(4), message (4), then the message's fields. Two messages of the phone hold its address in network order: StationRegister, behind
its name (16), user (4) and instance (4), and OpenReceiveChannelAck, behind a status (4), with the media port (4, little-endian)
next to it. Their length stays, so no sequence number moves. Addresses of IPv6 and messages cut in two by a segment's end are left.
"""

from __future__ import annotations

from harness.nat.headers import UDP
from harness.nat.ios import segment
from harness.nat.ios.expectations import Expectations
from harness.nat.ios.tcp import Flow
from harness.nat.state import State

PORT = 2000
REGISTER, OPEN_RECEIVE_CHANNEL_ACK = 0x0001, 0x0022
_HEADER = 12
_REGISTER_ADDRESS = _HEADER + 16 + 4 + 4
_CHANNEL_ADDRESS = _HEADER + 4
_CHANNEL_PORT = _CHANNEL_ADDRESS + 4


class SkinnyGateway:
    """`ip nat service skinny tcp port PORT`: call managers are looked for there as well as on port 2000."""

    def __init__(self, ports: tuple[int, ...], expectations: Expectations) -> None:
        self.ports = ports
        self._expectations = expectations

    def reset(self) -> None:
        """It holds nothing."""

    def check(self, flow: Flow) -> None:
        """Every connection may be."""

    def outward(self, state: State, flow: Flow, packet: bytes, at: int) -> bytes:
        if flow.remote_port != PORT and flow.remote_port not in self.ports:
            return packet
        old = packet[segment.payload_at(packet, at) :]
        new = self._told(state, flow, old)
        return packet if new == old else segment.with_payload(packet, at, new)

    def inward(self, state: State, flow: Flow, packet: bytes, at: int) -> bytes:
        return packet

    def _told(self, state: State, flow: Flow, payload: bytes) -> bytes:
        buffer, start = bytearray(payload), 0
        while len(payload) - start >= _HEADER:
            size = 8 + int.from_bytes(payload[start : start + 4], "little")
            if not _HEADER <= size <= len(payload) - start:
                break
            message = int.from_bytes(payload[start + 8 : start + 12], "little")
            if message == REGISTER and size >= _REGISTER_ADDRESS + 4:
                self._address(flow, buffer, start + _REGISTER_ADDRESS)
            elif message == OPEN_RECEIVE_CHANNEL_ACK and size >= _CHANNEL_PORT + 4:
                port_at = start + _CHANNEL_PORT
                port = int.from_bytes(payload[port_at : port_at + 4], "little")
                if self._address(flow, buffer, start + _CHANNEL_ADDRESS) and 0 < port < 1 << 16 and not flow.keeps_ports:
                    outside = self._expectations.expect(state, UDP, flow.inside, port, None)
                    buffer[port_at : port_at + 4] = outside.to_bytes(4, "little")
            start += size
        return bytes(buffer)

    def _address(self, flow: Flow, buffer: bytearray, at: int) -> bool:
        """Whether the phone's own address stood there."""
        if buffer[at : at + 4] != flow.inside:
            return False
        buffer[at : at + 4] = flow.outside
        return True
