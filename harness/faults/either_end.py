"""Broken parts of the cores that gateways and clients share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.wire.esp import OutboundSa
from harness.wire.ike import natt
from harness.wire.ike.association import Association
from harness.wire.ike.handshake import Body, Handshake
from harness.wire.ike.main_mode import MainMode
from harness.wire.ike.sa import EspPair, IkeSa
from harness.wire.l2tp.channel import Channel

# Phase 1 and NAT detection


class NoNatD(Handshake):
    __slots__ = ()

    def nat_payloads(self, ends: natt.Ends) -> list[Body]:
        return []


class PortsInHostOrder(Handshake):
    __slots__ = ()

    def nat_payloads(self, ends: natt.Ends) -> list[Body]:
        local, remote = (int.from_bytes(port.to_bytes(2, "little")) for port in (ends.local_port, ends.remote_port))
        return super().nat_payloads(replace(ends, local_port=local, remote_port=remote))


class StaysOn500(MainMode):
    def _float(self, now: float) -> None:
        self.floated = False

    def _act(self, action: Any, now: float) -> None:
        if action.name == "FLOAT":
            self._float(now)
        else:
            super()._act(action, now)


# SAs and their ends


class NoOverlap(Association):
    def _adopt_pair(self, now: float, pair: EspPair, overlap: float) -> None:
        super()._adopt_pair(now, pair, 0.0)


class HalfTheLifetime(Association):
    def _adopt_pair(self, now: float, pair: EspPair, overlap: float) -> None:
        super()._adopt_pair(now, pair, overlap)
        pair.expires_at = now + (pair.expires_at - now) / 2


class EspEndsWithIke(Association):
    def drop_sa(self, now: float, sa: IkeSa, *, by_peer: bool, reason: str) -> None:
        super().drop_sa(now, sa, by_peer=by_peer, reason=reason)
        self.delete_pairs(now, list(self.pairs), "its ISAKMP SA has ended")


# ESP and L2TP

SHORT = 32


class ShortCounter(OutboundSa):
    __slots__ = ()

    def seal(self, next_header: int, payload: bytes) -> bytes:
        self.sequence %= SHORT
        return super().seal(next_header, payload)


class NeverAlone(Channel):
    """Acknowledges with its next message, never by a ZLB."""

    __slots__ = ()

    def flush(self, now: float) -> list[bytes]:
        owed, self._owes = self._owes, False
        packets = super().flush(now)
        self._owes = owed and not packets
        return packets
