"""What a gateway says of itself: its events, and packets at the boundaries where a witness listens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from harness.model import GatewayEvent

COMPLAINTS = frozenset(("dropped", "refused"))
PER_SECOND = 100
"""So many complaints are told in any one second; the next one after it says how many were not. Anybody can cause them."""


@dataclass(frozen=True, slots=True)
class Tap:
    """One IP packet at a boundary inside the gateway: "far-end" (PPP; `interface` is the link's name, `index` its number) or
    "translated" (between IPsec and L2TP). `direction` is "in" towards the gateway, "out" from it."""

    t: float
    side: Literal["far-end", "translated"]
    interface: str | None
    direction: Literal["in", "out"]
    packet: bytes
    index: int = 0


class Journal:
    """Events and taps in the order in which they came about; the owner takes them out. `witnessed`: whether taps are kept."""

    def __init__(self, *, witnessed: bool = True) -> None:
        self.witnessed = witnessed
        self.dropped = 0
        self.refused = 0
        self._events: list[GatewayEvent] = []
        self._taps: list[Tap] = []
        self._second = -1.0
        self._told = 0
        self._untold = 0

    def tell(self, now: float, kind: str, peer: str, peer_port: int, /, **detail: Any) -> None:
        if kind in COMPLAINTS and not self._room(now, kind):
            return
        if kind in COMPLAINTS and self._untold:
            detail["untold"], self._untold = self._untold, 0
        known = {key: value for key, value in detail.items() if value is not None}
        self._events.append(GatewayEvent(now, kind, peer, peer_port, known))

    def _room(self, now: float, kind: str) -> bool:
        if kind == "dropped":
            self.dropped += 1
        else:
            self.refused += 1
        if now // 1 != self._second:
            self._second, self._told = now // 1, 0
        self._told += 1
        if self._told > PER_SECOND:
            self._untold += 1
            return False
        return True

    def tap(self, tap: Tap) -> None:
        self._taps.append(tap)

    def take_events(self) -> list[GatewayEvent]:
        taken, self._events = self._events, []
        return taken

    def take_taps(self) -> list[Tap]:
        taken, self._taps = self._taps, []
        return taken
