"""How long IOS keeps an entry: `ip nat translation timeout` and its kin, each with the default that IOS documents.

ESP's five minutes are the source's (4:59 left of an entry that is 0 seconds old). A life of None is `never`.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.nat.headers import ESP, ICMP, TCP, UDP
from harness.nat.table import ADDRESS, Binding, Phase
from harness.nat.timers import Timers

DNS = 53
NEVER = float("inf")

KINDS = ("timeout", "udp", "dns", "tcp", "finrst", "syn", "icmp", "pptp", "esp")
"""What `ip nat translation X-timeout` can be said of; "timeout" is that of simple entries."""


@dataclass(slots=True)
class IosTimers(Timers):
    """Seconds, as `ip nat translation` sets them. TCP's begin with the connection's phase: RFC 5382 wants four minutes for what is
    not established; the vendor's defaults are one."""

    timeout: float = 86400.0
    udp: float = 300.0
    dns: float = 60.0
    tcp: float = 86400.0
    finrst: float = 60.0
    syn: float = 60.0
    icmp: float = 60.0
    pptp: float = 86400.0
    esp: float = 300.0

    def lifetime(self, protocol: int, answered: bool) -> float:
        """Of an entry that is just being made."""
        return {UDP: self.udp, ICMP: self.icmp, TCP: self.syn, ESP: self.esp}.get(protocol, self.timeout)

    def outbound(self, now: float, binding: Binding) -> None:
        binding.used = now
        if self.refresh_outbound:
            binding.expires = now + self._life(binding)

    def inbound(self, now: float, binding: Binding) -> None:
        binding.answered = True
        binding.used = now
        if self.refresh_inbound:
            binding.expires = now + self._life(binding)

    def _life(self, binding: Binding) -> float:
        if binding.protocol == UDP:
            return self.dns if binding.sessions and binding.sessions[0].remote_port == DNS else self.udp
        if binding.protocol == TCP:
            return {Phase.OPENING: self.syn, Phase.CLOSING: self.finrst}.get(binding.phase, self.tcp)
        return NEVER if binding.protocol == ADDRESS and binding.static else self.lifetime(binding.protocol, True)
