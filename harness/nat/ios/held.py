"""Packets from inside that wait until the NAT can tell whose the answers would be."""

from __future__ import annotations

PACKETS = 64
"""That wait in all; ours."""
A_FLOW = 8
"""That wait of one flow; ours."""
LONGEST_S = 30.0
"""After that long nobody misses them: an ESP packet of half a minute ago is lost for what it carried. Ours."""


class Held:
    """First come, first served, over all flows."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, bytes, bytes]] = []
        self.since: float | None = None
        """While a packet is tried again: when it came."""

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, now: float, flow: bytes, packet: bytes) -> bool:
        """False where there is no room."""
        self._waiting = [one for one in self._waiting if now - one[0] < LONGEST_S]
        if len(self._waiting) >= PACKETS or sum(1 for one in self._waiting if one[1] == flow) >= A_FLOW:
            return False
        self._waiting.append((now if self.since is None else self.since, flow, packet))
        return True

    def take(self, now: float) -> list[tuple[float, bytes]]:
        """(since when it waits, packet) of all that still count, oldest first."""
        taken, self._waiting = self._waiting, []
        return [(since, packet) for since, _, packet in taken if now - since < LONGEST_S]

    def others(self, now: float, remote: bytes, inside: bytes) -> bool:
        """Whether a packet of another host than `inside` waits to go to `remote`; flows begin with both addresses."""
        return any(
            flow[4:8] == remote and flow[:4] != inside for since, flow, _ in self._waiting if now - since < LONGEST_S
        )

    def clear(self) -> None:
        self._waiting = []
