"""The anti-replay window of RFC 4303 §3.4.3, which AH shares: 64 packets, kept as one integer of bits."""

from __future__ import annotations

from harness.errors import ProtocolError

SIZE = 64
_MASK = (1 << SIZE) - 1


class ReplayWindow:
    """Bit n of `_seen` stands for sequence number `highest` - n.

    `check` comes before the ICV is verified and changes nothing; `mark` comes after, so that a forged packet never moves the
    window (RFC 4303 §3.4.3).
    """

    __slots__ = ("_layer", "_seen", "highest")

    def __init__(self, layer: str = "esp") -> None:
        self._layer = layer
        self.highest = 0
        self._seen = 0

    def check(self, sequence: int) -> None:
        """ProtocolError for 0 (never sent), for what lies left of the window, and for what was seen before."""
        if sequence == 0:
            raise ProtocolError(self._layer, "sequence number 0 is never sent", 4)
        behind = self.highest - sequence
        if behind < 0:
            return
        if behind >= SIZE:
            raise ProtocolError(self._layer, f"sequence {sequence} lies left of the replay window, which ends at {self.highest}", 4)
        if self._seen >> behind & 1:
            raise ProtocolError(self._layer, f"sequence {sequence} was received before", 4)

    def mark(self, sequence: int) -> None:
        ahead = sequence - self.highest
        if ahead <= 0:
            self._seen |= 1 << -ahead
            return
        # Cut the shift itself, not only its result: a jump of 2**32 must not build a number of 2**32 bits.
        self._seen = (self._seen << ahead & _MASK if ahead < SIZE else 0) | 1
        self.highest = sequence
