"""Gateways that get NAT traversal wrong before anything floats, demultiplex unasked, or keep no ISAKMP SA."""

from __future__ import annotations

from harness.faults.derived import ike
from harness.faults.fault import in_gateway, with_settings
from harness.wire.crypto.digest import HASHES
from harness.wire.ike import natt
from harness.wire.ike.association import Association
from harness.wire.ike.handshake import Body, Handshake
from harness.wire.ike.sa import EspPair

NATT_VENDOR_IDS = frozenset(dialect.vendor_id for dialect in natt.DIALECTS)


class NatDRegardless(Handshake):
    __slots__ = ()

    def nat_payloads(self, ends: natt.Ends) -> list[Body]:
        if self.dialect is not None:
            return super().nat_payloads(ends)
        values = natt.own_nat_d(HASHES[self.agreed.hash], self.cookies, ends)
        return [(natt.DIALECTS[0].nat_d, value) for value in values]


class Unannounced(Handshake):
    __slots__ = ()

    def vendor_ids(self) -> list[Body]:
        return [(kind, value) for kind, value in super().vendor_ids() if value not in NATT_VENDOR_IDS]


class ForgetsIke(Association):
    def _adopt_pair(self, now: float, pair: EspPair, overlap: float) -> None:
        super()._adopt_pair(now, pair, overlap)
        for sa in list(self.sas):
            self.drop_sa(now, sa, by_peer=False, reason="it has served")


FAULTS = (
    in_gateway(
        "nat-d-regardless",
        "NAT-D payloads are sent whether or not the other side has announced NAT traversal.",
        ike_core=ike(handshake=NatDRegardless),
    ),
    in_gateway("natt-unannounced", "The vendor IDs of NAT traversal are left out of MM2.", ike_core=ike(handshake=Unannounced)),
    in_gateway(
        "ike-forgotten",
        "The ISAKMP SA is forgotten, without a word, as soon as there are ESP SAs.",
        ike_core=ike(association=ForgetsIke),
    ),
    in_gateway(
        "demux-regardless",
        "Clients behind a NAT get ports of their own whatever the gateway was started with.",
        settings_for=with_settings(demux=True),
    ),
)
