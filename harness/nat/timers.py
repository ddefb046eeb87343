"""How long a binding outlives the packets that pass (RFC 4787 §4.3, RFC 5508 §3.2)."""

from __future__ import annotations

from dataclasses import dataclass

from harness.nat.headers import ICMP, UDP
from harness.nat.table import Binding


@dataclass(slots=True)
class Timers:
    """Seconds. `udp_s` holds until an answer was seen, `udp_stream_s` from then on. `portless_s` is for ESP and AH. The two flags
    say which direction's packets start the time anew; the first packet, outward, always does."""

    udp_s: float = 30.0
    udp_stream_s: float = 30.0
    icmp_s: float = 60.0
    portless_s: float = 300.0
    refresh_outbound: bool = True
    refresh_inbound: bool = True

    def lifetime(self, protocol: int, answered: bool) -> float:
        if protocol == UDP:
            return self.udp_stream_s if answered else self.udp_s
        return self.icmp_s if protocol == ICMP else self.portless_s

    def outbound(self, now: float, binding: Binding) -> None:
        if self.refresh_outbound:
            binding.expires = now + self.lifetime(binding.protocol, binding.answered)

    def inbound(self, now: float, binding: Binding) -> None:
        binding.answered = True
        if self.refresh_inbound:
            binding.expires = now + self.lifetime(binding.protocol, True)
