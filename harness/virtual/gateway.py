"""The whole gateway, sans-IO: packets from the wire and from the LAN in; packets to both, events and one deadline out.

    wire ── Ipsec ── (translated ports) ── Lns ── Links (PPP) ── Router ── LAN
"""

from __future__ import annotations

from typing import Any

from harness.errors import DeviceError, ProtocolError
from harness.model import GatewayEvent, GatewayView
from harness.virtual import view
from harness.virtual.ipsec import L2TP_PORT
from harness.virtual.journal import Journal, Tap
from harness.virtual.links import Link
from harness.virtual.parts import Parts
from harness.virtual.peers import Association, Client
from harness.virtual.router import HERE, LAN, Hop, destination, echo_answer
from harness.virtual.sadb import Sa
from harness.virtual.settings import FIXED, Settings
from harness.wire import ip
from harness.wire.config import Entropy
from harness.wire.ike.registry import KEEPALIVE, NON_ESP_MARKER, PORT, PORT_NATT
from harness.wire.packet import ESP, Packet, to_ip

GOODBYE_S = 5.0
"""How long an orderly end waits for peers to acknowledge that their tunnels are closed, before the SAs are deleted."""


class VirtualGateway:
    """Nothing from outside raises anything. What scenarios order raises DeviceError where it cannot be done."""

    def __init__(self, settings: Settings, entropy: Entropy, parts: Parts | None = None, *, witnessed: bool = True) -> None:
        self.name = "gateway"
        self.journal = Journal(witnessed=witnessed)
        self._parts = parts or Parts()
        self._entropy = entropy
        self._packets: list[Packet] = []
        self._lan: list[bytes] = []
        self._silent = False
        self._delete_at: float | None = None  # an orderly end is under way
        self._settings = self._parts.settings_for(settings)
        self._build(first_index=0)

    def _build(self, first_index: int) -> None:
        settings, entropy, parts, journal = self._settings, self._entropy, self._parts, self.journal
        self.ipsec = parts.ipsec(settings, entropy, parts, journal, self._emit, self._client_lost)
        self.links = parts.links(settings, entropy, parts, journal, first_index, self._from_client)
        self.lns = parts.lns(settings, entropy, parts, journal, self.links, self._to_peer)
        self._router = parts.router(settings.ppp_address)
        self._boundary = settings.personality.demux  # there is something to see between IPsec and L2TP

    # What the owner takes out

    @property
    def settings(self) -> Settings:
        return self._settings

    @property
    def deadline(self) -> float | None:
        times = [time for time in (self.ipsec.deadline, self.lns.deadline, self._delete_at) if time is not None]
        return min(times, default=None)

    def take_packets(self) -> list[Packet]:
        taken, self._packets = self._packets, []
        return taken

    def take_lan(self) -> list[bytes]:
        """IP packets for the LAN."""
        taken, self._lan = self._lan, []
        return taken

    def take_taps(self) -> list[Tap]:
        return self.journal.take_taps()

    def take_events(self) -> list[GatewayEvent]:
        return self.journal.take_events()

    def view(self, now: float, label: str) -> GatewayView:
        return view.of(now, label, self.ipsec, self.lns)

    # What comes in

    def receive(self, now: float, packet: Packet) -> None:
        """A packet from the wire, whole."""
        if self._silent:
            return
        if packet.dst != self._settings.address:
            self._drop(now, packet, f"it is for {packet.dst}")
        elif not self._settings.personality.ipsec:
            if packet.protocol == ip.UDP and packet.dport == L2TP_PORT:
                self.lns.receive(now, packet.src, packet.sport, packet.payload, None)
            else:
                self._drop(now, packet, "there is no IPsec here")
        elif packet.protocol == ESP:
            self._esp(now, packet)
        elif packet.protocol != ip.UDP:
            self._drop(now, packet, f"IP protocol {packet.protocol} is not served")
        elif packet.dport == PORT:
            self.ipsec.ike(now, packet, packet.payload)
        elif packet.dport == PORT_NATT:
            self._natt(now, packet)
        elif packet.dport == L2TP_PORT:
            self._drop(now, packet, "L2TP in the clear, where the policy asks for IPsec")
        else:
            self._drop(now, packet, f"UDP port {packet.dport} is not served")

    def _natt(self, now: float, packet: Packet) -> None:
        if packet.payload == KEEPALIVE:
            return
        if packet.payload[: len(NON_ESP_MARKER)] == NON_ESP_MARKER:
            self.ipsec.ike(now, packet, packet.payload[len(NON_ESP_MARKER) :])
        else:
            self._esp(now, packet)

    def _esp(self, now: float, packet: Packet) -> None:
        arrived = self.ipsec.esp(now, packet)
        if arrived is not None:
            self._tap_boundary(now, arrived.address, arrived.port, arrived.payload, inward=True)
            self.lns.receive(now, arrived.address, arrived.port, arrived.payload, arrived.client)

    def receive_lan(self, now: float, packet: bytes) -> None:
        """An IP packet from the LAN."""
        if self._silent:
            return
        try:
            self._forward(now, self._router.from_lan(packet), None)
        except ProtocolError as error:
            self.journal.tell(now, "dropped", "", 0, layer=error.layer, reason=f"from the LAN: {error.reason}")

    def tick(self, now: float) -> None:
        self.ipsec.tick(now)
        self.lns.tick(now)
        if self._delete_at is not None and (now >= self._delete_at or not self._l2tp_closing):
            self._delete_at = None
            self.ipsec.close(now)

    # Between the layers

    def _emit(self, packet: Packet) -> None:
        if not self._silent:
            self._packets.append(packet)

    def _to_peer(self, now: float, address: str, port: int, payload: bytes) -> None:
        if not self._settings.personality.ipsec:
            self._emit(Packet(self._settings.address, address, ip.UDP, payload, L2TP_PORT, port))
            return
        self._tap_boundary(now, address, port, payload, inward=False)
        self.ipsec.send(now, address, port, payload)

    def _client_lost(self, now: float, client: Client) -> None:
        """Its last SA has gone. Who was known by a port of its own is nobody's peer any more; others L2TP has to find out about."""
        if client.translated is not None:
            self.lns.abandon(now, client.address, client.translated, "its IPsec connection has ended")

    def _from_client(self, now: float, link: Link, packet: bytes) -> None:
        self._tap_link(now, link, packet, inward=True)
        try:
            taken = destination(packet) in self.links.by_address
            self._forward(now, self._router.from_client(packet, self._may_send_as(now, link, packet), taken), link)
        except ProtocolError as error:
            self.journal.tell(now, "dropped", *link.where, layer=error.layer, session=link.session, reason=error.reason)

    def _may_send_as(self, now: float, link: Link, packet: bytes) -> str:
        """The address that this packet of a client's has to come from."""
        return link.assigned or ""

    def _forward(self, now: float, hop: Hop, link: Link | None) -> None:
        """`link` is the one that it came from, None for the LAN."""
        if hop.to == HERE:
            answer = echo_answer(hop.packet)
            if answer is not None:
                self._to_link_or_lan(now, link, answer)
        elif hop.to == LAN:
            if not self._settings.reaches(destination(hop.packet)):
                raise ProtocolError("ip", f"no route leads to {destination(hop.packet)}")
            self._lan.append(hop.packet)
        elif hop.to in self.links.by_address:
            self._to_link_or_lan(now, self.links.by_address[hop.to], hop.packet)
        else:
            raise ProtocolError("ip", f"nobody has the address {hop.to}")

    def _to_link_or_lan(self, now: float, link: Link | None, packet: bytes) -> None:
        if link is None:
            self._lan.append(packet)
        elif len(packet) > link.mtu:
            raise ProtocolError("ip", f"{len(packet)} bytes are more than the {link.mtu} that {link.interface} takes")
        else:
            self._tap_link(now, link, packet, inward=False)
            self.lns.send_ip(now, link, packet)

    def _tap_link(self, now: float, link: Link, packet: bytes, *, inward: bool) -> None:
        if self.journal.witnessed:
            self.journal.tap(Tap(now, "far-end", link.interface, "in" if inward else "out", packet, link.index))

    def _tap_boundary(self, now: float, address: str, port: int, payload: bytes, *, inward: bool) -> None:
        if not (self.journal.witnessed and self._boundary):
            return
        here = self._settings.address
        packet = Packet(address, here, ip.UDP, payload, port, L2TP_PORT)
        if not inward:
            packet = Packet(here, address, ip.UDP, payload, L2TP_PORT, port)
        self.journal.tap(Tap(now, "translated", None, "in" if inward else "out", to_ip(packet)))

    def _drop(self, now: float, packet: Packet, reason: str) -> None:
        self.journal.tell(now, "dropped", packet.src, packet.sport, layer="ip", reason=reason)

    # What a scenario orders

    def delete_ipsec(
        self, now: float, spi: str | None = None, *, udp_port: int | None = None, address: str | None = None
    ) -> None:
        """End one client's IKE SAs and ESP SAs with Delete payloads; named by an SPI of either direction (8 hexadecimal digits), or
        by the UDP port (and address) that its IKE comes from."""
        self.ipsec.order(now, self._association(spi, udp_port, address), lambda core: core.close(now))

    def delete_esp(self, now: float, spi: str) -> None:
        """End one pair of ESP SAs with a Delete payload; the IKE SA stays."""
        sa = self._sa(spi)
        self.ipsec.order(now, sa.association, lambda core: core.delete_esp(now, sa.spi_in))

    def rekey(self, now: float, spi: str) -> None:
        """Begin a quick mode with the client whose ESP SA has this SPI."""
        self._order(now, self._sa(spi).association, lambda core: core.rekey_ipsec(now))

    def rekey_ike(self, now: float, spi: str | None = None, *, udp_port: int | None = None) -> None:
        """Begin a main mode anew with one client."""
        self._order(now, self._association(spi, udp_port, None), lambda core: core.rekey_ike(now))

    def close_l2tp(self, now: float, tunnel: int) -> None:
        """StopCCN for the tunnel with this ID of ours."""
        known = self.lns.tunnels.get(tunnel)
        if known is None or not known.up or known.closing:
            raise DeviceError(self.name, "close the tunnel", f"no tunnel {tunnel} is up")
        self.lns.close(now, known, "closed by order")

    def close_call(self, now: float, session: int) -> None:
        """CDN for the call with this ID of ours."""
        if not self.lns.hang_up(now, session):
            raise DeviceError(self.name, "close the call", f"no call {session} is up")

    def reconfigure(self, now: float, **changes: Any) -> None:
        """Change settings of the testbed's or the personality's. What is up stays; what comes next meets the new ones."""
        fixed = sorted(set(FIXED) & changes.keys())
        if fixed:
            raise DeviceError(self.name, "reconfigure", f"{', '.join(fixed)} can only be set before the start")
        self._settings = self._settings.changed(**changes)
        self.ipsec.reconfigure(self._settings)
        self.links.reconfigure(self._settings)
        self.lns.settings = self._settings
        self._boundary = self._boundary or self._settings.personality.demux

    def silence(self, now: float, on: bool = True) -> None:
        """It neither hears nor says anything any more, though its timers run."""
        self._silent = on

    def restart(self, now: float) -> None:
        """It loses everything, without a word to anybody."""
        self._delete_at = None
        self._packets, self._lan = [], []
        self._build(self.links.next_index)

    def shut_down(self, now: float) -> None:
        """An orderly end: StopCCN to everybody, then Deletes. `ended` tells when it is over."""
        for tunnel in list(self.lns):
            self.lns.close(now, tunnel, "the gateway shuts down")
        self._delete_at = now + GOODBYE_S if self._l2tp_closing else now
        self.tick(now)

    @property
    def _l2tp_closing(self) -> bool:
        """Whether a peer has yet to acknowledge that its tunnel is closed."""
        return self.lns.closing

    @property
    def ended(self) -> bool:
        return self._delete_at is None and not len(self.ipsec.associations)

    def _order(self, now: float, association: Association, what: Any) -> None:
        self.ipsec.order(now, association, what)

    def _sa(self, spi: str) -> Sa:
        sa = self.ipsec.sadb.named(spi)
        if sa is None:
            raise DeviceError(self.name, "list SAs", f"no ESP SA with SPI {spi}")
        return sa

    def _association(self, spi: str | None, udp_port: int | None, address: str | None) -> Association:
        if spi is not None:
            return self._sa(spi).association
        for known in self.ipsec.associations:
            if known.ike_sas and udp_port in (None, known.udp_port) and address in (None, known.address):
                return known
        raise DeviceError(self.name, "list SAs", f"no IKE SA for {udp_port or address}")
