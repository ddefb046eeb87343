"""Clients that are broken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.faults.derived import ike, stack
from harness.faults.either_end import (
    SHORT,
    EspEndsWithIke,
    NoNatD,
    NoOverlap,
    PortsInHostOrder,
    ShortCounter,
    StaysOn500,
)
from harness.faults.fault import Fault, in_client, told_of_ike
from harness.wire import events, ip
from harness.wire.config import Child
from harness.wire.ike import registry
from harness.wire.ike.association import LOWEST_SPI, Association
from harness.wire.ike.core import IkeCore
from harness.wire.ike.payloads import Deletion
from harness.wire.ike.phase_1 import Phase1
from harness.wire.ike.quick_mode import QuickMode
from harness.wire.ike.sa import EspPair, IkeSa
from harness.wire.ipsec import L2TP_PORT, Ipsec
from harness.wire.l2tp import L2tpCore, header
from harness.wire.l2tp.message import Message, Type
from harness.wire.ppp import PppCore
from harness.wire.ppp.packet import Code, Packet
from harness.wire.stack import ClientStack, State

# IKE


class KeepaliveFrom500(IkeCore):
    def _keep_alive(self, now: float) -> None:
        self._all.outbox.datagrams.append(events.Datagram(registry.PORT, registry.PORT, registry.KEEPALIVE))
        self._all.outbox.sent_at = now


class CountsSpis(Association):
    def new_quick(self, sa: IkeSa, message_id: int, *, initiator: bool, child: Child | None = None) -> QuickMode:
        run = super().new_quick(sa, message_id, initiator=initiator, child=child)
        taken = {pair.spi_in for pair in self.pairs} | {other.spi_in for other in self.quick}
        spi = LOWEST_SPI
        while spi.to_bytes(4) in taken:
            spi += 1
        run.spi_in = spi.to_bytes(4)
        return run


class RenewsOn500(Association):
    def new_main(self, exchange: str, *, initiator: bool, floated: bool, rekey: bool) -> Phase1:
        return super().new_main(exchange, initiator=initiator, floated=floated and not initiator, rekey=rekey)


class DeletesAnother(Association):
    def delete_pairs(self, now: float, pairs: list[EspPair], reason: str) -> None:
        for pair in pairs:
            if self.sas:
                deletion = Deletion(pair.protocol, (pair.spi_in[::-1],)).write()
                self.send_informational(now, self.sas[-1], [(registry.DELETE, deletion)])
            self.drop_pair(pair, by_peer=False, reason=reason)


class MarkedOn500(Association):
    def send_informational(self, now: float, sa: IkeSa, payloads: list[tuple[int, bytes]]) -> bytes:
        message = super().send_informational(now, sa, payloads)
        self.outbox.datagrams[-1] = replace(self.outbox.datagrams[-1], sport=registry.PORT, dport=registry.PORT)
        return message


class DeafToDeletes(Association):
    def drop_pair(self, pair: EspPair, *, by_peer: bool, reason: str) -> None:
        if not by_peer:
            super().drop_pair(pair, by_peer=by_peer, reason=reason)


class NamesPeer(QuickMode):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.config = replace(self.config, address=self.config.peer_address)


class AsWithoutNat(QuickMode):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._terms = replace(self._terms, encapsulation="transport", nat=False)


# ESP


class ChecksumOfNowhere(Ipsec):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._here = ip.packed("0.0.0.0")


class Repeats(Ipsec):
    _count = 0

    def send(self, now: float, message: bytes) -> None:
        before = len(self._datagrams)
        super().send(now, message)
        self._count += 1
        if self._count % 5 == 0:
            self._datagrams += self._datagrams[before:]


class InClearToo(Ipsec):
    def send(self, now: float, message: bytes) -> None:
        super().send(now, message)
        if message[0] & 0x80:
            self._datagrams.append(events.Datagram(self.config.l2tp_port, L2TP_PORT, message))


# L2TP and PPP


class OwnTunnelId(L2tpCore):
    def send_data(self, now: float, ppp_frame: bytes, session_local: int | None = None) -> bool:
        call = self._calls.get(self.session_local if session_local is None else session_local)
        if call is None or not call.established:
            return False
        self._packets.append(header.build_data(self.tunnel_local, call.remote, ppp_frame, call.next_numbers(), None))
        return True


class DeafToGoodbyes(L2tpCore):
    def _process(self, arrived: header.Header, message: Message) -> None:
        if message.type not in (Type.STOPCCN, Type.CDN):
            super()._process(arrived, message)


class DeafToEchoes(PppCore):
    def _extension(self, now: float, packet: Packet) -> bool:
        return packet.code == Code.ECHO_REQUEST or super()._extension(now, packet)


# The whole


class HangsUpSilently(ClientStack):
    def close(self, now: float) -> None:
        self.state = State.ENDED


class DiesOfRekey(ClientStack):
    _renewed = False

    def _tell(self, now: float, event: events.Event) -> None:
        super()._tell(now, event)
        self._renewed = self._renewed or (isinstance(event, events.EspUp) and event.rekey)

    def _pump(self, now: float) -> None:
        super()._pump(now)
        if self._renewed:
            self.vanish()


FAULTS: tuple[Fault, ...] = (
    in_client("client-no-keepalive", "No NAT-keepalives are sent.", config=told_of_ike(keepalive_s=0.0)),
    in_client("client-keepalive-from-500", "NAT-keepalives go from port 500 to port 500.", stack(ike=ike(core=KeepaliveFrom500))),
    in_client("client-stays-on-500", "IKE does not float to port 4500.", stack(ike=ike(main_mode=StaysOn500))),
    in_client(
        "client-no-nat-d", "No NAT-D payloads are sent, though both sides speak NAT traversal.", stack(ike=ike(handshake=NoNatD))
    ),
    in_client(
        "client-nat-d-port-order", "NAT-D hashes the ports with their bytes swapped.", stack(ike=ike(handshake=PortsInHostOrder))
    ),
    in_client(
        "client-ids-name-peer", "IDci and NAT-OA of quick mode name the gateway's address.", stack(ike=ike(quick_mode=NamesPeer))
    ),
    in_client(
        "client-plain-encapsulation",
        "Quick mode asks for ESP without UDP though there is a NAT.",
        stack(ike=ike(quick_mode=AsWithoutNat)),
    ),
    in_client("client-tunnel-mode", "Quick mode asks for tunnel mode.", config=told_of_ike(mode="tunnel")),
    in_client(
        "client-counts-spis",
        f"SPIs are counted from {LOWEST_SPI} on in every client, and not drawn.",
        stack(ike=ike(association=CountsSpis)),
    ),
    in_client(
        "client-renews-on-500",
        "A new main mode begins on port 500 though the old one had floated.",
        stack(ike=ike(association=RenewsOn500)),
    ),
    in_client("client-never-renews", "SAs are not renewed before their lifetime ends.", config=told_of_ike(rekey_margin=None)),
    in_client(
        "client-no-overlap",
        "The old pair of ESP SAs is deleted the moment the new one is agreed.",
        stack(ike=ike(association=NoOverlap)),
    ),
    in_client(
        "client-esp-ends-with-ike",
        "The end of an ISAKMP SA, a replaced one too, takes the ESP SAs with it.",
        stack(ike=ike(association=EspEndsWithIke)),
    ),
    in_client(
        "client-deletes-another",
        "The Delete for an ESP SA names its SPI with the bytes swapped.",
        stack(ike=ike(association=DeletesAnother)),
    ),
    in_client(
        "client-marker-on-500",
        "Informational messages go from port 500 to port 500, behind the marker that belongs to 4500.",
        stack(ike=ike(association=MarkedOn500)),
    ),
    in_client(
        "client-deaf-to-deletes", "The gateway's Deletes for ESP SAs change nothing.", stack(ike=ike(association=DeafToDeletes))
    ),
    in_client("client-checksum", "The UDP checksum inside ESP is computed with 0.0.0.0 as source.", stack(ipsec=ChecksumOfNowhere)),
    in_client(
        "client-sequence-wraps",
        f"The sequence numbers of outbound ESP begin anew after {SHORT} packets.",
        stack(outbound=ShortCounter),
    ),
    in_client("client-repeats", "Every fifth ESP packet is sent twice.", stack(ipsec=Repeats)),
    in_client("client-clear-too", "L2TP's control messages go out in the clear beside ESP.", stack(ipsec=InClearToo)),
    in_client(
        "client-own-tunnel-id", "Data messages bear the client's own tunnel ID in place of the gateway's.", stack(l2tp=OwnTunnelId)
    ),
    in_client(
        "client-deaf-to-goodbyes", "StopCCN and CDN are acknowledged, and nothing follows from them.", stack(l2tp=DeafToGoodbyes)
    ),
    in_client("client-deaf-to-echoes", "LCP's Echo-Requests are not answered.", stack(ppp=DeafToEchoes)),
    in_client("client-hangs-up-silently", "The client hangs up without a word.", HangsUpSilently),
    replace(
        in_client("client-dials-without-l2tp", "A system that has no L2TP client dials like one that has."),
        look=lambda looks: replace(looks, lacks=None),
    ),
    in_client("client-dies-of-rekey", "The client falls silent once its ESP SAs have been renewed.", DiesOfRekey),
)
