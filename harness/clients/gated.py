"""A carrier that sends only what the testbed allows: to its networks, and no faster than it says.

What would break that is judged before a run (harness/scenario/foreseen.py). This is the lock behind the door: whatever a script, a
gateway's answer or a fault of ours asks for, nothing else leaves this machine; and what did not leave makes the run inconclusive.
"""

from __future__ import annotations

from collections import deque

from harness.clients.carrier import Carrier, Owner
from harness.clients.clock import RunClock
from harness.model.reach import Allowance
from harness.wire.events import Datagram


class Gated:
    """`carrier` does the carrying. In no stretch of a second more than `allowance.packets_per_s` datagrams are sent."""

    def __init__(self, carrier: Carrier, allowance: Allowance) -> None:
        self._carrier = carrier
        self._allowance = allowance
        self._known: dict[str, bool] = {}  # destination → whether it may be sent to
        self._left: deque[float] = deque()  # when each datagram of the last second left
        self.site = carrier.site
        self.counters = carrier.counters

    def open(self, owner: Owner, clock: RunClock) -> None:
        self._owner = owner
        self._now = clock.monotonic
        self._carrier.open(owner, clock)

    def send(self, source: bytes, to: str, datagram: Datagram) -> None:
        allowed = self._known.get(to)
        if allowed is None:
            allowed = self._known[to] = self._allowance.covers(to)
        if not allowed:
            self._owner.lost(f"{to} is in none of the networks that the testbed allows: not sent", 1)
        elif not self._turn():
            self._owner.lost(f"the testbed allows {self._allowance.packets_per_s} packets a second: not sent", 1)
        else:
            self._carrier.send(source, to, datagram)

    def close(self) -> None:
        self._carrier.close()

    def _turn(self) -> bool:
        """Whether fewer than the rate have left within the last second; then one more does."""
        now = self._now()
        while self._left and self._left[0] <= now - 1.0:
            self._left.popleft()
        if len(self._left) >= self._allowance.packets_per_s:
            return False
        self._left.append(now)
        return True
