"""An end host on the gateway's LAN, sans-IO: answers echo requests, can ask clients itself, and records what it saw."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import ProtocolError
from harness.virtual.router import TTL, echo_answer
from harness.wire import ip


@dataclass(frozen=True, slots=True)
class Seen:
    """A packet that came to the end host. `echo` is None where it is no echo; `reason` says why a packet was not taken."""

    t: float
    source: str
    echo: ip.Echo | None
    reason: str = ""


class EndHost:
    """`address` is its own. Packets go out by `take_packets`, what it saw by `take_seen`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._packets: list[bytes] = []
        self._seen: list[Seen] = []

    def receive(self, now: float, packet: bytes) -> None:
        """Never raises."""
        try:
            parsed = ip.parse_ipv4(packet)
            if parsed.destination != self.address:
                raise ProtocolError("ip", f"it is for {parsed.destination}")
            echo = ip.parse_echo(parsed.payload) if parsed.protocol == ip.ICMP and not parsed.fragment else None
            answer = echo_answer(packet)
        except ProtocolError as error:
            self._seen.append(Seen(now, "", None, error.reason))
            return
        self._seen.append(Seen(now, parsed.source, echo))
        if answer is not None:
            self._packets.append(answer)

    def ask(self, to: str, identifier: int, sequence: int, payload: bytes) -> None:
        """An echo request to a client's PPP address."""
        body = ip.build_echo(ip.Echo(True, identifier, sequence, payload))
        self._packets.append(ip.build_ipv4(self.address, to, ip.ICMP, body, ttl=TTL))

    def take_packets(self) -> list[bytes]:
        taken, self._packets = self._packets, []
        return taken

    def take_seen(self) -> list[Seen]:
        taken, self._seen = self._seen, []
        return taken
