"""A router with a crypto map on its outside interface, sans-IO: whole IP packets from either side in, and out again.

    inside ── crypto map: in the clear, protected, or dropped ── ESP, AH, IKE ── outside

It has the doors of a NAT core (`receive`, `tick`, `take_packets`, `deadline`), so that whatever carries packets to one carries them
to the other. As on IOS, a packet that needs an SA which is not there is dropped, and is not held until there is one; where the
entry is static it makes IKE begin. Inner packets are not fragmented, whatever the outer ones come to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Literal

from harness.errors import ProtocolError
from harness.model import GatewayEvent
from harness.virtual.access_list import flow_of
from harness.virtual.crypto_map import ManualEntry, Match, child_of, inbound_clear, outbound, places
from harness.virtual.journal import Journal
from harness.virtual.router import echo_answer, forwarded
from harness.virtual.vpn_discovery import Discovery, discovers, is_discovery
from harness.virtual.vpn_negotiation import Negotiation
from harness.virtual.vpn_sa import VpnSa, by_hand, wanted_by_hand
from harness.virtual.vpn_settings import EndpointSettings
from harness.wire import ip
from harness.wire.ah import ah_spi_of
from harness.wire.config import Entropy
from harness.wire.esp import spi_of
from harness.wire.ike.registry import KEEPALIVE, NON_ESP_MARKER, PORT, PORT_NATT
from harness.wire.packet import AH, ESP, IP_IN_IP, Packet, to_ip
from harness.wire.reassembly import Reassembly

Side = Literal["inside", "outside"]
INSIDE: Side = "inside"
OUTSIDE: Side = "outside"


class VpnEndpoint:
    """Nothing from outside raises anything. `counts` says how many packets went which way: clear-out, clear-in, protected, opened,
    no-sa (needed one that was not there), clear-refused (came in the clear and ought to have been protected), malformed."""

    def __init__(
        self, settings: EndpointSettings, entropy: Entropy, negotiation: Callable[..., Negotiation] = Negotiation
    ) -> None:
        self.journal = Journal(witnessed=False)
        self.counts: Counter[str] = Counter()
        self.negotiation = negotiation(settings, entropy, self.journal, self._emit)
        self.discovery = Discovery(settings.address, entropy)
        self._settings = settings
        self._entropy = entropy
        self._fragments = Reassembly()
        self._identification = 0
        self._packets: list[tuple[Side, bytes]] = []
        self._inside = [(int(one.network_address), int(one.netmask)) for one in settings.inside]
        self._own = ip.packed(settings.address)
        self._install_by_hand(0.0)

    # What the owner takes out

    @property
    def settings(self) -> EndpointSettings:
        return self._settings

    @property
    def deadline(self) -> float | None:
        return self.negotiation.deadline

    def take_packets(self) -> list[tuple[Side, bytes]]:
        taken, self._packets = self._packets, []
        return taken

    def take_events(self) -> list[GatewayEvent]:
        return self.journal.take_events()

    # What comes in

    def receive(self, now: float, side: Side, packet: bytes) -> None:
        """One IP packet, a fragment perhaps."""
        try:
            ip.parse_ipv4(packet)
            if side == INSIDE:
                self._from_inside(now, packet)
            elif packet[16:20] != self._own:
                self._clear_in(now, packet)
            else:
                whole = self._fragments.add(now, packet)
                if whole is not None:
                    self._for_us(now, whole)
        except ProtocolError as error:
            self.counts["malformed"] += error.layer == "ip"
            source = ip.dotted(packet[12:16]) if len(packet) >= 16 else ""
            self.journal.tell(now, "dropped", source, 0, layer=error.layer, reason=error.reason)
            return

    def tick(self, now: float) -> None:
        self.negotiation.tick(now)

    # From inside

    def _from_inside(self, now: float, packet: bytes) -> None:
        destination = int.from_bytes(packet[16:20])
        if packet[16:20] == self._own or any(not (destination ^ network) & mask for network, mask in self._inside):
            return  # for us, or for a neighbour of the sender's: no business of the outside interface
        self._out(now, forwarded(packet))

    def _out(self, now: float, packet: bytes) -> None:
        """By the outside interface, as its crypto map says."""
        negotiation = self.negotiation
        flow = flow_of(packet)
        match = outbound(self._settings.policy, flow, negotiation.sas.permits())
        if match is None:
            self.counts["clear-out"] += 1
            self._packets.append((OUTSIDE, packet))
            return
        sa = negotiation.sas.find(match.name, flow)
        if sa is not None:
            self._seal(now, sa, packet)
            return
        self.counts["no-sa"] += 1
        self.journal.tell(now, "dropped", "", 0, layer="crypto map", reason=f"{flow} needs an SA of {match.name}", entry=match.name)
        if match.reference is None and not isinstance(match.entry, ManualEntry):
            negotiation.want(now, match)
        elif discovers(match):
            probe = self.discovery.ask(now, child_of(self._settings.policy, match), match, flow)
            if probe is not None:
                self._emit(probe)

    def _seal(self, now: float, sa: VpnSa, packet: bytes) -> None:
        address, association = self._settings.address, sa.association
        self._identification = (self._identification + 1) & 0xFFFF
        protocol, body = sa.seal(address, packet, self._identification)
        self.counts["protected"] += 1
        if protocol == IP_IN_IP:
            self._packets.append((OUTSIDE, body))
        elif sa.udp and association is not None:
            self._send(Packet(address, sa.address, ip.UDP, body, PORT_NATT, association.ports.get(PORT_NATT, PORT_NATT)))
        else:
            self._send(Packet(address, sa.address, protocol, body))
        if association is not None:
            association.core.note_traffic(now, received=False)
            self.negotiation.spend(now, sa)

    def _emit(self, packet: Packet) -> None:
        self._identification = (self._identification + 1) & 0xFFFF
        self._send(packet)

    def _send(self, packet: Packet) -> None:
        self._packets.append((OUTSIDE, to_ip(packet, identification=self._identification)))

    # From outside

    def _for_us(self, now: float, packet: bytes) -> None:
        parsed = ip.parse_ipv4(packet)
        if parsed.protocol in (ESP, AH):
            self._open(now, packet, Packet(parsed.source, parsed.destination, parsed.protocol, parsed.payload))
        elif parsed.protocol == ip.UDP and self._settings.speaks_ike:
            self._udp(now, packet, parsed)
        else:
            self._clear_in(now, packet)

    def _udp(self, now: float, packet: bytes, parsed: ip.Ipv4) -> None:
        if not ip.udp_checksum_good(packet[12:16], packet[16:20], parsed.payload):
            raise ProtocolError("udp", "wrong checksum", 6)
        datagram = ip.parse_udp(parsed.payload)
        told = Packet(parsed.source, parsed.destination, ip.UDP, datagram.payload, datagram.sport, datagram.dport)
        if datagram.dport == PORT and is_discovery(datagram.payload):
            question = self.discovery.answered(datagram.payload)
            if question is not None:
                self.negotiation.ask_peer(now, parsed.source, question.match, question.child)
        elif datagram.dport == PORT:
            self.negotiation.receive(now, told, datagram.payload)
        elif datagram.dport != PORT_NATT:
            self._clear_in(now, packet)
        elif datagram.payload.startswith(NON_ESP_MARKER):
            self.negotiation.receive(now, told, datagram.payload[len(NON_ESP_MARKER) :])
        elif datagram.payload != KEEPALIVE:
            self._open(now, packet, told)

    def _clear_in(self, now: float, packet: bytes) -> None:
        """Nobody has protected it: it passes unless an access list says that somebody should have."""
        flow = flow_of(packet)
        match = inbound_clear(self._settings.policy, flow, self.negotiation.sas.permits())
        if match is not None and discovers(match) and self._answer(packet):
            return
        if match is not None:
            self.counts["clear-refused"] += 1
            reason = f"{flow} came in the clear, where {match.name} protects it"
            self.journal.tell(now, "dropped", ip.dotted(packet[12:16]), 0, layer="crypto map", reason=reason, entry=match.name)
            return
        self.counts["clear-in"] += 1
        if packet[16:20] != self._own:
            self._packets.append((INSIDE, forwarded(packet)))
            return
        answer = echo_answer(packet)
        if answer is not None:
            self._out(now, answer)

    def _answer(self, packet: bytes) -> bool:
        """Whether it asks who protects its destination, for which there is an answer then."""
        payload = ip.parse_ipv4(packet).payload
        if packet[9] != ip.UDP or not is_discovery(payload[8:]):
            return False
        answer = self.discovery.answer(ip.parse_udp(payload).payload)
        if answer is not None:
            self._emit(answer)
        return answer is not None

    def _open(self, now: float, packet: bytes, outer: Packet) -> None:
        protocol = AH if outer.protocol == AH else ESP
        spi = ah_spi_of(outer.payload) if protocol == AH else spi_of(outer.payload)
        sa = self.negotiation.sas.by_spi.get((protocol, spi))
        if sa is None:
            raise ProtocolError("esp", f"unknown SPI {spi:08x}")
        in_udp = outer.protocol == ip.UDP
        if in_udp is not sa.udp:
            raise ProtocolError("esp", f"SA {spi:08x} came {'in UDP' if in_udp else f'as IP protocol {outer.protocol}'}")
        association = sa.association
        if outer.src != sa.address and not in_udp:
            raise ProtocolError("esp", f"SA {spi:08x} belongs to {sa.address}")
        inner = sa.open(protocol, packet, outer.payload)
        sa.heard_at = now
        self.counts["opened"] += 1
        if association is not None:
            if in_udp and (outer.src, outer.sport) != (association.address, association.ports.get(PORT_NATT)):
                # The NAT has given the peer another mapping, as authentic ESP shows (RFC 3947 §6).
                self.negotiation.associations.settle(association, outer.src, outer.sport, outer.dport)
            association.core.note_traffic(now, sent=False)
            self.negotiation.spend(now, sa)
        if inner[16:20] != self._own:
            self._packets.append((INSIDE, forwarded(inner)))
            return
        answer = echo_answer(inner)
        if answer is not None:
            self._out(now, answer)

    # Orders

    def match(self, packet: bytes) -> Match | None:
        """The entry that would protect a packet which leaves."""
        return outbound(self._settings.policy, flow_of(packet), self.negotiation.sas.permits())

    def reconfigure(self, now: float, settings: EndpointSettings) -> None:
        """SAs of entries that are still there stay as they are, whatever their entry, or NAT transparency, has become; those of
        entries that are gone are deleted. Keys set by hand are taken anew where they, or what they are for, have changed. Where
        ISAKMP is off from now on, nothing stays of it. The address has to be the same."""
        self._settings = settings
        self.negotiation.reconfigure(settings)
        self._inside = [(int(one.network_address), int(one.netmask)) for one in settings.inside]
        names = {place.name for place in places(settings.policy)}
        sas, wanted = self.negotiation.sas, wanted_by_hand(settings.policy)
        for sa in list(sas):
            if sa.by_hand is not None and sa.by_hand not in wanted:
                sas.remove(sa)
            elif sa.association is not None and sa.name not in names:
                self._delete(now, sa)
        self._install_by_hand(now)
        if not settings.speaks_ike:
            self.clear_isakmp(now)

    def _install_by_hand(self, now: float) -> None:
        """Those that are not there."""
        sas = self.negotiation.sas
        there = [sa.by_hand for sa in sas]
        for made_of in wanted_by_hand(self._settings.policy):
            if made_of not in there:
                sas.add(by_hand(made_of, sas.number(), now, self._entropy))

    def clear_sas(self, now: float, peer: str | None = None, map_name: str | None = None) -> None:
        """`clear crypto sa [peer | map]`: Deletes for all pairs that IKE brought; ISAKMP SAs stay. Those with keys set by hand
        begin anew."""
        for sa in list(self.negotiation.sas):
            if peer not in (None, sa.address) or map_name not in (None, sa.name.split()[0]):
                continue
            if sa.association is not None:
                self._delete(now, sa)
            else:
                self.negotiation.sas.remove(sa)
        self._install_by_hand(now)

    def _delete(self, now: float, sa: VpnSa) -> None:
        if sa.association is not None:
            self.negotiation.order(now, sa.association, lambda core: core.delete_esp(now, sa.spi_in))

    def delete_isakmp(self, now: float, number: int | None = None) -> None:
        """`clear crypto isakmp [CONNECTION]`: Deletes for the ISAKMP SAs; what they have made lives on. With a number, for those
        with the peer whose SA it is."""
        for association in list(self.negotiation.associations):
            standing = self.negotiation.standings[association.number]
            if number is None or number in [one.number for one in standing.ike_sas]:
                self.negotiation.order(now, association, lambda core: core.delete_ike(now))

    def clear_isakmp(self, now: float, peer: str | None = None) -> None:
        """Deletes for everything that IKE has with these peers."""
        for association in list(self.negotiation.associations):
            if peer in (None, association.address):
                self.negotiation.order(now, association, lambda core: core.close(now))
