"""The end host on the LAN of a simulated gateway, as it asks clients by itself."""

from __future__ import annotations

import asyncio

from harness.simulation.gateway_box import GatewayBox
from harness.virtual.router import TTL
from harness.wire import ip

ANSWER_S = 2.0
HEADERS = 28
"""Bytes of an IPv4 and an ICMP header."""
FRAGMENTATION_NEEDED = bytes((3, 4))
"""Type and code of RFC 792, with the next hop's MTU in the last two of the four bytes after the checksum (RFC 1191)."""


class SimulatedHost:
    """`bench.HostControl`. `address` is its own."""

    def __init__(self, box: GatewayBox, address: str) -> None:
        self.address = address
        self._box = box
        self._asked = 0

    async def ask(self, to: str, size: int) -> tuple[bool, int | None]:
        self._asked += 1
        payload = f"host echo {self._asked} ".encode().ljust(size - HEADERS, b".")
        request = ip.build_echo(ip.Echo(True, 1, self._asked, payload))
        answered: asyncio.Future[tuple[bool, int | None]] = asyncio.get_running_loop().create_future()

        def hear(packet: bytes) -> None:
            start = (packet[0] & 15) * 4
            if packet[9] != ip.ICMP or answered.done():
                return
            if packet[start] == 0 and payload in packet:
                answered.set_result((True, None))
            elif packet[start : start + 2] == FRAGMENTATION_NEEDED:
                answered.set_result((False, int.from_bytes(packet[start + 6 : start + 8])))

        self._box.heard = hear
        self._box.from_host(ip.build_ipv4(self.address, to, ip.ICMP, request, ttl=TTL, df=True))
        try:
            async with asyncio.timeout(ANSWER_S):
                return await answered
        except TimeoutError:
            return False, None
        finally:
            self._box.heard = lambda packet: None

