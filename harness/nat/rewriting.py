"""What a NAT writes into the packets of a session: address, port or identifier, TTL and the checksums that cover them.

Nothing else changes: identification, type of service, options and payload stay. A fault takes the place of one of these methods.
"""

from __future__ import annotations

from harness.nat.headers import ICMP, TCP, UDP
from harness.nat.table import Session

TTL_CHANGE = 0x0100
"""What a TTL less by one adds to the header's checksum."""


class Rewriter:
    """Turns packets around. `at` is where the transport header begins; 0 for a fragment that has none."""

    def outward(self, packet: bytes, at: int, session: Session) -> bytes:
        return self._rewrite(packet, at, 12, session.address_out, 0, session.port_out, session.ip_change, session.port_change)

    def inward(self, packet: bytes, at: int, session: Session) -> bytes:
        return self._rewrite(packet, at, 16, session.address_in, 2, session.port_in, -session.ip_change, -session.port_change)

    def routed(self, packet: bytes) -> bytes:
        """No translation: the TTL alone."""
        buffer = bytearray(packet)
        buffer[8] -= 1
        self._ip_checksum(buffer, 0)
        return bytes(buffer)

    def _rewrite(
        self, packet: bytes, at: int, where: int, address: bytes, port_at: int, port: bytes, ip_change: int, port_change: int
    ) -> bytes:
        buffer = bytearray(packet)
        buffer[8] -= 1
        buffer[where : where + 4] = address
        self._ip_checksum(buffer, ip_change)
        if at:
            protocol = buffer[9]
            if protocol == UDP:
                buffer[at + port_at : at + port_at + 2] = port
                self._udp_checksum(buffer, at + 6, ip_change + port_change)
            elif protocol == TCP:
                buffer[at + port_at : at + port_at + 2] = port
                self._tcp_checksum(buffer, at + 16, ip_change + port_change)
            elif protocol == ICMP:
                # The identifier of an echo; no pseudo-header (RFC 792).
                buffer[at + 4 : at + 6] = port
                self._icmp_checksum(buffer, at + 2, port_change)
        return bytes(buffer)

    def _ip_checksum(self, buffer: bytearray, change: int) -> None:
        total = ((buffer[10] << 8 | buffer[11]) + change + TTL_CHANGE) % 0xFFFF
        buffer[10], buffer[11] = total >> 8, total & 0xFF

    def _udp_checksum(self, buffer: bytearray, at: int, change: int) -> None:
        """0 says that the sender computed none and stays; a sum that comes out as 0 is sent as 0xffff (RFC 768)."""
        old = buffer[at] << 8 | buffer[at + 1]
        if old:
            total = (old + change) % 0xFFFF or 0xFFFF
            buffer[at], buffer[at + 1] = total >> 8, total & 0xFF

    def _tcp_checksum(self, buffer: bytearray, at: int, change: int) -> None:
        total = ((buffer[at] << 8 | buffer[at + 1]) + change) % 0xFFFF
        buffer[at], buffer[at + 1] = total >> 8, total & 0xFF

    def _icmp_checksum(self, buffer: bytearray, at: int, change: int) -> None:
        total = ((buffer[at] << 8 | buffer[at + 1]) + change) % 0xFFFF
        buffer[at], buffer[at + 1] = total >> 8, total & 0xFF
