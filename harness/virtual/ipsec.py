"""The gateway's IPsec: associations with peers, their SAs, the translated ports that come with them, and ESP in and out.

Towards L2TP it shows a client's address and the port by which that client is known, and nothing else of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import ProtocolError
from harness.virtual.agenda import Agenda
from harness.virtual.journal import Journal
from harness.virtual.peers import IKE_HEADER, Association, Associations, Client
from harness.virtual.sadb import Sa, Sadb
from harness.virtual.settings import Settings
from harness.wire import events, ip
from harness.wire.config import Entropy, IkeConfig
from harness.wire.esp import spi_of
from harness.wire.ike.core import IkeCore
from harness.wire.ike.registry import INITIAL_CONTACT, NO_PROPOSAL_CHOSEN, PORT_NATT
from harness.wire.packet import ESP, IP_IN_IP, Packet

if TYPE_CHECKING:
    from harness.virtual.parts import Parts

L2TP_PORT = 1701


@dataclass(frozen=True, slots=True)
class Arrived:
    """An L2TP message as L2TP gets to see it, and whose it is by IPsec."""

    address: str
    port: int
    payload: bytes
    client: Client


class Ipsec:
    """`emit` takes packets for the wire, `lost` hears of a client whose last SA has gone, with the port it had."""

    def __init__(
        self,
        settings: Settings,
        entropy: Entropy,
        parts: Parts,
        journal: Journal,
        emit: Callable[[Packet], None],
        lost: Callable[[float, Client], None],
    ) -> None:
        self.settings = settings
        self.associations = Associations()
        self.sadb = Sadb(parts.sa_lookup())
        self.clients: dict[object, Client] = {}
        self.ports = parts.port_allocator(settings)
        self._entropy = entropy
        self._parts = parts
        self._journal = journal
        self._emit = emit
        self._lost = lost
        self._keys = parts.client_key()
        self._translator = parts.translator()
        self._checksum = parts.checksum_policy(settings)
        self._contact = parts.contact_policy(settings)
        self._agenda: Agenda[int] = Agenda()
        self._now = 0.0
        self._gateway = ip.packed(settings.address)

    @property
    def deadline(self) -> float | None:
        return self._agenda.deadline

    def tick(self, now: float) -> None:
        self._now = now
        for number in list(self._agenda.due(now)):
            association = self.associations.by_number.get(number)
            if association is not None:
                association.core.tick(now)
                idle_at = self._idle_at(association)
                if idle_at is not None and idle_at <= now:
                    association.core.close(now)
                self._after(now, association)

    def reconfigure(self, settings: Settings) -> None:
        """What is up stays as it is."""
        self.settings = settings
        self._checksum = self._parts.checksum_policy(settings)
        self._contact = self._parts.contact_policy(settings)

    # IKE

    def ike(self, now: float, packet: Packet, message: bytes) -> None:
        """An ISAKMP message, without the non-ESP marker, that came to port 500 or 4500."""
        self._now = now
        if len(message) < IKE_HEADER:
            self._refuse(packet, "ike", f"{len(message)} bytes are shorter than an ISAKMP header")
            return
        icookie, rcookie = message[:8], message[8:16]
        association = self.associations.find(packet.src, packet.sport, packet.dport, icookie, rcookie)
        if association is None:
            if rcookie != bytes(8):
                self._refuse(packet, "ike", "cookies of no SA of ours")
                return
            if self.associations.half_open >= self.settings.personality.half_open:
                self._refuse(packet, "ike", f"{self.associations.half_open} peers are half open already")
                return
            association = self.associations.add(packet.src, packet.sport, packet.dport, self._make_core)
        elif association.half_open and association.address != packet.src:
            self._refuse(packet, "ike", f"a half-open exchange of {association.address}'s")
            return
        if rcookie == bytes(8):
            self.associations.opened(association, packet.src, packet.sport, icookie)
        association.heard_at = now
        association.core.receive(now, message, packet.dport, packet.sport)
        self._after(now, association, packet)

    def _make_core(self, association: Association) -> IkeCore:
        return self._parts.ike_core(self._config(association), self._entropy)

    def _config(self, association: Association) -> IkeConfig:
        settings, look = self.settings, self.settings.personality
        return IkeConfig(
            address=settings.address,
            peer_address=association.address,
            psk=settings.psk.reveal().encode(),
            proposals=look.ike_proposals,
            esp_proposals=look.esp_proposals,
            vendor_ids=look.vendor_ids,
            client_ports=(),
            dpd_s=look.dpd,
            rekey_margin=look.ike_rekey_margin,
            admit=lambda: self._admit(association),
            schedule=look.ike_schedule,
        )

    def _after(self, now: float, association: Association, packet: Packet | None = None) -> None:
        """What the core has to tell, then what it sends: back to where `packet` came from, or to where the peer is."""
        core = association.core
        while told := core.take_events():
            for event in told:
                self._hear(now, association, event, packet)
        for out in self.associations.outgoing(association, self.settings.address, packet):
            self._emit(out)
        if association.live:
            times = core.deadline, self._idle_at(association)
            self._agenda.set(association.number, min(time for time in times if time is not None))
        else:
            self._agenda.set(association.number, None)
            self.associations.remove(association)

    def _idle_at(self, association: Association) -> float | None:
        """When a peer is given up from which no ESP comes any more, or, where it has no SA for it, no IKE."""
        idle, client = self.settings.personality.idle, association.client
        if idle is None or association.half_open:
            return None
        heard = [] if client is None else [sa.heard_at for sa in client.sas.values() if sa.association is association]
        return idle + max(heard, default=association.heard_at)

    def _hear(self, now: float, association: Association, event: events.Event, packet: Packet | None) -> None:
        tell, where = self._journal.tell, (association.address, association.udp_port)
        match event:
            case events.IkeUp():
                association.ike_sas.append((event.icookie, event.rcookie))
                self.associations.up(association)
                if packet is not None:
                    association.floated = packet.dport == PORT_NATT
                    self.associations.settle(association, packet.src, packet.sport, packet.dport)
                where = association.address, association.udp_port
                tell(now, "ike-up", *where, icookie=event.icookie.hex(), rcookie=event.rcookie.hex(), rekey=event.rekey)
            case events.IkeDown():
                pair = event.icookie, event.rcookie
                if pair in association.ike_sas:
                    association.ike_sas.remove(pair)
                cookies = {"icookie": event.icookie.hex(), "rcookie": event.rcookie.hex()}
                tell(now, "ike-down", *where, **cookies, by=_by(event.by_peer), reason=event.reason)
            case events.EspUp():
                self._install(now, association, event, packet)
            case events.EspDown() if self._holds(association, event.spi_in):  # else it was undone before it was anything
                self._remove(now, event)
            case events.Notified() if event.type == INITIAL_CONTACT and event.protected:
                for stale in self._contact.stale(association, list(self.associations)):
                    stale.core.close(now)
                    self._after(now, stale)
            case events.Refused():
                here = where if packet is None else (packet.src, packet.sport)
                tell(now, "refused", *here, layer=event.layer, reason=event.reason)
            case events.RekeyFailed():
                tell(now, "refused", *where, layer=event.stage, reason=event.reason)

    # SAs

    def _translates(self, client: Client | None) -> bool:
        """Whether a client without a port gets one with its next SA. One that has SAs without a port keeps doing without."""
        return self.settings.personality.demux and (client is None or (client.translated is None and not client.sas))

    def _admit(self, association: Association) -> int | None:
        """Asked before a quick mode is agreed to: an SA for which there is no port would be somebody else's."""
        if not association.floated:
            return None
        client = self.clients.get(self._keys.of(association.address, association.udp_port))
        if not self._translates(client) or not self.ports.exhausted:
            return None
        reason = "every translated port is taken"
        self._journal.tell(self._now, "refused", association.address, association.udp_port, layer="demux", reason=reason)
        return NO_PROPOSAL_CHOSEN

    def _install(self, now: float, association: Association, event: events.EspUp, packet: Packet | None) -> None:
        if packet is not None:
            self.associations.settle(association, packet.src, packet.sport, packet.dport)
        udp = event.encapsulation.startswith("udp")
        udp_port = association.udp_port if udp else 0
        key = self._keys.of(association.address, udp_port)
        client = self.clients.get(key)
        if client is None and association.client is not None and association.client.sas and self.settings.personality.follow:
            client = association.client  # the NAT has given it another mapping, which its IKE shows before its ESP does
            self._relocate(client, association.address, udp_port)
        client = client or Client(key, association.address, udp_port)
        if event.spi_in in self.sadb.by_spi:
            self._undo(now, association, event, "its SPI is taken")
            return
        if udp and self._translates(client):
            client.translated = self.ports.give()
            if client.translated is None:
                self._undo(now, association, event, "every translated port is taken")
                return
            self._journal.tell(now, "port-given", client.address, client.udp_port, port=client.translated)
        self.clients[key] = association.client = client
        names = event.encryption, event.authentication
        inbound = self._parts.inbound_sa(event.spi_in, *names, event.key_in, event.auth_key_in)
        inbound.window = self._parts.replay_window()
        outbound = self._parts.outbound_sa(event.spi_out, *names, event.key_out, event.auth_key_out, self._entropy)
        if event.client_port and client.translated is None:
            client.own_port = event.client_port
        port = client.own_port if client.translated is None else client.translated
        told = event.client_port, event.nat_oa
        mode = event.encapsulation.endswith("tunnel")
        sa = Sa(event.spi_in, event.spi_out, inbound, outbound, udp, client, association, *told, port, now, mode)
        client.sas[sa.spi_in] = sa
        self.sadb.add(sa)
        self._journal.tell(now, "esp-up", client.address, client.udp_port, **_names(sa), rekey=event.rekey)

    def _undo(self, now: float, association: Association, event: events.EspUp, reason: str) -> None:
        self._journal.tell(now, "refused", association.address, association.udp_port, layer="esp", reason=reason)
        association.core.delete_esp(now, event.spi_in)

    def _holds(self, association: Association, spi: int) -> bool:
        sa = self.sadb.by_spi.get(spi)
        return sa is not None and sa.association is association

    def _remove(self, now: float, event: events.EspDown) -> None:
        sa = self.sadb.by_spi.get(event.spi_in)
        if sa is None:
            return
        self.sadb.remove(event.spi_in)
        client = sa.client
        client.sas.pop(sa.spi_in, None)
        where = client.address, client.udp_port
        self._journal.tell(now, "esp-down", *where, **_names(sa), by=_by(event.by_peer), reason=event.reason)
        if client.sas:
            return
        if self.clients.get(client.key) is client:
            del self.clients[client.key]
        if client.translated is not None:
            self.ports.free(client.translated)
            self._journal.tell(now, "port-freed", *where, port=client.translated)
        self._lost(now, client)

    # ESP

    def esp(self, now: float, packet: Packet) -> Arrived | None:
        """An ESP packet, in UDP or bare. The L2TP message in it; None, and an event says why, where there is none to take."""
        self._now = now
        try:
            return self._open(now, packet)
        except ProtocolError as error:
            self._refuse(packet, error.layer, error.reason, kind="dropped")
            return None

    def _open(self, now: float, packet: Packet) -> Arrived | None:
        spi = spi_of(packet.payload)
        sa = self.sadb.by_spi.get(spi)
        if sa is None:
            raise ProtocolError("esp", f"unknown SPI {spi:08x}")
        in_udp = packet.protocol == ip.UDP
        if in_udp is not sa.udp:
            raise ProtocolError("esp", f"SA {spi:08x} came {'in UDP' if in_udp else 'as IP protocol 50'}")
        client = sa.client
        at_home = packet.src == client.address and packet.sport == client.udp_port
        if not at_home and not self.settings.personality.follow:
            raise ProtocolError("esp", f"SA {spi:08x} belongs to {client.address}:{client.udp_port}")
        next_header, datagram = sa.inbound.open(packet.payload)
        if not at_home:
            self._move(now, sa, packet)
        sa.heard_at = now
        sa.association.core.note_traffic(now, sent=False)
        self._spend(now, sa, sa.inbound.octets)
        if sa.tunnel:
            next_header, datagram = self._unwrapped(sa, next_header, datagram)
        if next_header != ip.UDP:
            raise ProtocolError("esp", f"next header {next_header} is not UDP")
        udp = ip.parse_udp(datagram)
        if udp.dport != L2TP_PORT or sa.selector not in (0, udp.sport):
            raise ProtocolError("esp", f"UDP {udp.sport} to {udp.dport} is not what SA {spi:08x} is for")
        if not self._checksum.accepts(datagram, ip.packed(packet.src), self._gateway, sa.original):
            raise ProtocolError("udp", "wrong checksum inside ESP")
        if client.own_port != udp.sport:
            self._learn(client, udp.sport)
        port = self._translator.inbound(udp.sport, client.translated)
        return Arrived(client.address, port, udp.payload, client)

    def _learn(self, client: Client, own_port: int) -> None:
        """The client's L2TP is at another port than quick mode let expect, which said any."""
        client.own_port = own_port
        if client.translated is None:
            self._place_anew(client, client.address, own_port)

    def _move(self, now: float, sa: Sa, packet: Packet) -> None:
        """Authentic ESP came from elsewhere: the NAT has given the client another mapping (RFC 3947 §6)."""
        self._relocate(sa.client, packet.src, packet.sport)
        if sa.udp:
            self.associations.settle(sa.association, packet.src, packet.sport, packet.dport)

    def _relocate(self, client: Client, address: str, udp_port: int) -> None:
        if self.clients.get(client.key) is client:
            del self.clients[client.key]
        client.key = self._keys.of(address, udp_port)
        client.udp_port = udp_port
        self._place_anew(client, address, None)
        self.clients[client.key] = client

    def _place_anew(self, client: Client, address: str, port: int | None) -> None:
        """The look-up finds the client's SAs by address and port: both as they are from now on."""
        for sa in client.sas.values():
            self.sadb.lookup.remove(sa)
        client.address = address
        for sa in client.sas.values():
            sa.port = sa.port if port is None else port
            self.sadb.lookup.add(sa)

    def send(self, now: float, address: str, port: int, payload: bytes) -> None:
        """An L2TP message to the peer that L2TP knows by this address and port, in whatever SA that finds."""
        sa = self.sadb.lookup.find(address, port)
        if sa is None:
            self._journal.tell(now, "dropped", address, port, reason="no SA leads there")
            return
        dport = self._translator.outbound(port, sa.client.translated, sa.client.own_port)
        self._send_in(now, sa, L2TP_PORT, dport, payload)

    def _send_in(self, now: float, sa: Sa, sport: int, dport: int, payload: bytes) -> None:
        """A UDP datagram by that SA."""
        client = sa.client
        checksummed = self.settings.personality.send_checksum == "full"
        datagram = ip.build_udp(self._gateway, ip.packed(client.address), sport, dport, payload, checksummed=checksummed)
        try:
            sealed = sa.outbound.seal(*self._wrapped(sa, datagram))
        except ProtocolError as error:
            self._journal.tell(now, "dropped", client.address, sa.port, layer=error.layer, reason=error.reason)
            return
        if sa.udp:
            self._emit(Packet(self.settings.address, client.address, ip.UDP, sealed, PORT_NATT, client.udp_port))
        else:
            self._emit(Packet(self.settings.address, client.address, ESP, sealed))
        sa.association.core.note_traffic(now, received=False)
        self._spend(now, sa, sa.outbound.octets)

    def _wrapped(self, sa: Sa, datagram: bytes) -> tuple[int, bytes]:
        """(next header, what ESP holds)."""
        if not sa.tunnel:
            return ip.UDP, datagram
        return IP_IN_IP, ip.build_ipv4(self.settings.address, sa.client.address, ip.UDP, datagram)

    def _unwrapped(self, sa: Sa, next_header: int, payload: bytes) -> tuple[int, bytes]:
        """What lies in tunnel mode's inner packet, which has to be one from the peer to us (RFC 4301 §5.2): (protocol, payload)."""
        if next_header != IP_IN_IP:
            raise ProtocolError("esp", f"next header {next_header} in tunnel mode")
        inner = ip.parse_ipv4(payload)
        if (inner.source, inner.destination) != (sa.client.address, self.settings.address) or inner.fragment:
            what = "a fragment" if inner.fragment else "an inner packet"
            raise ProtocolError("esp", f"{what} from {inner.source} to {inner.destination}, which the SA is not for")
        return inner.protocol, inner.payload

    def _spend(self, now: float, sa: Sa, octets: int) -> None:
        """A lifetime in kilobytes may be up: for the next tick, since the packet at hand still goes its way."""
        if sa.association.core.spend(now, sa.spi_in, octets):
            self._agenda.set(sa.association.number, now)

    # Orders

    def order(self, now: float, association: Association, what: Callable[[IkeCore], None]) -> None:
        """Has an association's core do something."""
        self._now = now
        what(association.core)
        self._after(now, association)

    def close(self, now: float) -> None:
        """Deletes for everything."""
        for association in list(self.associations):
            self.order(now, association, lambda core: core.close(now))

    def _refuse(self, packet: Packet, layer: str, reason: str, kind: str = "refused") -> None:
        self._journal.tell(self._now, kind, packet.src, packet.sport, layer=layer, reason=reason)


def _by(by_peer: bool) -> str:
    return "client" if by_peer else "gateway"


def _names(sa: Sa) -> dict[str, object]:
    return {"spi_in": f"{sa.spi_in:08x}", "spi_out": f"{sa.spi_out:08x}", "port": sa.client.translated}
