"""Gateways whose IPsec is broken: which SA a packet goes into, whose SA it is, how SAs begin, are renewed and end."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

from harness.errors import ProtocolError
from harness.faults.derived import ike
from harness.faults.either_end import (
    SHORT,
    EspEndsWithIke,
    HalfTheLifetime,
    NoNatD,
    NoOverlap,
    PortsInHostOrder,
    ShortCounter,
    StaysOn500,
)
from harness.faults.fault import GATEWAY, Fault, in_gateway, with_settings
from harness.virtual.checksum import Ignore, Verify
from harness.virtual.ipsec import Ipsec
from harness.virtual.parts import Parts
from harness.virtual.peers import Association as Peer
from harness.virtual.peers import Associations, ByAddressAndPort
from harness.virtual.sadb import NewestByAddressAndPort, Sa
from harness.virtual.settings import Settings
from harness.wire import events, ip
from harness.wire.esp import ReplayWindow
from harness.wire.ike import registry
from harness.wire.ike.association import Association
from harness.wire.ike.sa import IkeSa
from harness.wire.packet import Packet

# Which SA a packet of L2TP's goes into


class NewestByAddress(NewestByAddressAndPort):
    def key(self, address: str, port: int) -> Hashable:
        return address


class WithoutLowBit(NewestByAddressAndPort):
    def key(self, address: str, port: int) -> Hashable:
        return address, port >> 1


class Oldest(NewestByAddressAndPort):
    def find(self, address: str, port: int) -> Sa | None:
        there = self._found.get(self.key(address, port))
        return None if there is None else next(iter(there.values()))


class Cached(NewestByAddressAndPort):
    def __init__(self) -> None:
        super().__init__()
        self._known: dict[Hashable, Sa] = {}

    def find(self, address: str, port: int) -> Sa | None:
        key = self.key(address, port)
        found = self._known.get(key) or super().find(address, port)
        if found is not None:
            self._known[key] = found
        return found


# Whose SA it is


class ByAddress(ByAddressAndPort):
    def of(self, address: str, udp_port: int) -> Hashable:
        return address


class ByIdentity(ByAddressAndPort):
    def __init__(self) -> None:
        self.identities: dict[tuple[str, int], str] = {}

    def of(self, address: str, udp_port: int) -> Hashable:
        return self.identities.get((address, udp_port), (address, udp_port))


class KeyedByIdentity(Ipsec):
    def _hear(self, now: float, association: Peer, event: events.Event, packet: Packet | None) -> None:
        super()._hear(now, association, event, packet)
        if isinstance(event, events.IkeUp) and isinstance(self._keys, ByIdentity):
            self._keys.identities[association.address, association.udp_port] = event.identity


class OnePerAddress(Associations):
    def find(self, address: str, port: int, local_port: int, icookie: bytes, rcookie: bytes) -> Peer | None:
        known = super().find(address, port, local_port, icookie, rcookie)
        return known or next((one for one in self if one.address == address and not one.half_open), None)


class IkeByAddress(Ipsec):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.associations = OnePerAddress()


class NewIkeIsFirstContact(Ipsec):
    def _hear(self, now: float, association: Peer, event: events.Event, packet: Packet | None) -> None:
        super()._hear(now, association, event, packet)
        if isinstance(event, events.IkeUp) and not event.rekey:
            _close_neighbours(self, now, association)


class EndOfOneIsEndOfAll(Ipsec):
    def _hear(self, now: float, association: Peer, event: events.Event, packet: Packet | None) -> None:
        super()._hear(now, association, event, packet)
        if isinstance(event, events.IkeDown) and event.by_peer:
            _close_neighbours(self, now, association)


def _close_neighbours(ipsec: Ipsec, now: float, association: Peer) -> None:
    for other in list(ipsec.associations):
        if other is not association and other.address == association.address:
            other.core.close(now)
            ipsec._after(now, other)


class DeletesNewestAtAddress(Ipsec):
    def _remove(self, now: float, event: events.EspDown) -> None:
        named = self.sadb.by_spi.get(event.spi_in)
        if named is None or not event.by_peer:
            super()._remove(now, event)
            return
        newest = [sa for sa in self.sadb if sa.address == named.address][-1]
        super()._remove(now, replace(event, spi_in=newest.spi_in))


class FirstPortOfAddress(Ipsec):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._first: dict[str, int] = {}
        self._send_out, self._emit = self._emit, self._misdirect

    def _misdirect(self, packet: Packet) -> None:
        is_esp = packet.protocol == ip.UDP and packet.sport == registry.PORT_NATT
        if is_esp and not packet.payload.startswith(registry.NON_ESP_MARKER):
            packet = replace(packet, dport=self._first.setdefault(packet.dst, packet.dport))
        self._send_out(packet)


class AlwaysInUdp(Ipsec):
    def _install(self, now: float, association: Peer, event: events.EspUp, packet: Packet | None) -> None:
        super()._install(now, association, replace(event, encapsulation="udp-transport"), packet)


class OneSaEach(Ipsec):
    def _admit(self, association: Peer) -> int | None:
        known = association.client is not None and bool(association.client.sas)
        return registry.NO_PROPOSAL_CHOSEN if known else super()._admit(association)


class DeafToChanges(Ipsec):
    def reconfigure(self, settings: Settings) -> None:
        """It goes on as it was started."""


# SAs and their ends


class KeepsMappingsOpen(Association):
    def _adopt_sa(self, now: float, run: Any, sa: IkeSa) -> None:
        super()._adopt_sa(now, run, sa)
        self.behind_nat = sa.floated


# ESP


class ZeroIsWrong(Verify):
    def accepts(self, datagram: bytes, source: bytes, destination: bytes, original: tuple[str, ...]) -> bool:
        return ip.parse_udp(datagram).checksum != 0


class SmallBuffer(Ipsec):
    def _open(self, now: float, packet: Packet) -> Any:
        if len(packet.payload) > 1024:
            raise ProtocolError("esp", f"{len(packet.payload)} bytes do not fit the buffer")
        return super()._open(now, packet)


def _one_window(parts: Parts) -> None:
    window = ReplayWindow()
    parts.replay_window = lambda: window


FAULTS = (
    in_gateway(
        "sa-by-address",
        "Outbound SAs are looked up by the peer's address alone, and the newest there wins.",
        sa_lookup=NewestByAddress,
    ),
    in_gateway(
        "sa-without-low-bit",
        "The look-up of outbound SAs leaves out the port's lowest bit: 1024 and 1025 are one, 1026 and 1027 another.",
        sa_lookup=WithoutLowBit,
    ),
    in_gateway("sa-oldest", "Of several outbound SAs for one address and port the oldest is taken.", sa_lookup=Oldest),
    in_gateway(
        "sa-cached",
        "The SA once found for an address and port is kept in a cache, which its end does not empty.",
        sa_lookup=Cached,
    ),
    in_gateway(
        "client-by-address", "Whoever comes from one address is taken for one client, whatever the port.", client_key=ByAddress
    ),
    in_gateway(
        "client-by-identity",
        "Clients are told apart by their phase-1 ID, the address behind the NAT, and not by where they come from.",
        client_key=ByIdentity,
        ipsec=KeyedByIdentity,
    ),
    in_gateway(
        "ike-by-address",
        "A main mode from an address that has an ISAKMP SA already is taken for a renewal of that SA.",
        ipsec=IkeByAddress,
    ),
    in_gateway(
        "new-ike-clears-address",
        "A new ISAKMP SA is taken for an INITIAL-CONTACT: all other SAs with that address are deleted.",
        ipsec=NewIkeIsFirstContact,
    ),
    in_gateway(
        "ike-delete-takes-address",
        "When a client deletes its ISAKMP SA, those of all others at its address are closed too.",
        ipsec=EndOfOneIsEndOfAll,
    ),
    in_gateway(
        "delete-hits-newest",
        "A client's Delete for an ESP SA removes the newest SA at its address in place of the one named.",
        ipsec=DeletesNewestAtAddress,
    ),
    in_gateway(
        "esp-to-first-port",
        "ESP goes to the UDP port from which the first client at that address was sent to, as a stale cache entry says.",
        ipsec=FirstPortOfAddress,
    ),
    in_gateway("udp-without-nat", "ESP is expected and sent in UDP even where IKE found no NAT.", ipsec=AlwaysInUdp),
    in_gateway(
        "rekey-refused", "A quick mode of a client that has ESP SAs is refused: there may be one pair a client.", ipsec=OneSaEach
    ),
    in_gateway("configuration-deaf", "IPsec goes on with the configuration that it was started with.", ipsec=DeafToChanges),
    in_gateway("no-nat-d", "No NAT-D payloads are sent, though both sides speak NAT traversal.", ike_core=ike(handshake=NoNatD)),
    in_gateway("nat-d-port-order", "NAT-D hashes the ports with their bytes swapped.", ike_core=ike(handshake=PortsInHostOrder)),
    in_gateway(
        "ike-stays-on-500",
        "Main mode does not float: MM6 and all that follows go out from port 500.",
        ike_core=ike(main_mode=StaysOn500),
    ),
    in_gateway(
        "no-overlap",
        "The old pair of ESP SAs is deleted the moment the new one is agreed.",
        ike_core=ike(association=NoOverlap),
    ),
    in_gateway("esp-half-life", "ESP SAs expire after half the lifetime agreed.", ike_core=ike(association=HalfTheLifetime)),
    in_gateway(
        "esp-ends-with-ike",
        "The end of an ISAKMP SA, a replaced one too, takes the ESP SAs with it.",
        ike_core=ike(association=EspEndsWithIke),
    ),
    in_gateway(
        "gateway-keepalives",
        "NAT-keepalives are sent to every client that has floated.",
        ike_core=ike(association=KeepsMappingsOpen),
    ),
    in_gateway(
        "idle-hasty",
        "A peer that has sent no ESP for 15 s is given up; keepalives do not count.",
        settings_for=with_settings(idle=15.0),
    ),
    in_gateway(
        "half-open-one", "Only one peer at a time may be in the midst of its set-up.", settings_for=with_settings(half_open=1)
    ),
    Fault("replay-window-shared", GATEWAY, "One anti-replay window serves the inbound SAs of all clients.", gateway=_one_window),
    in_gateway(
        "sequence-wraps", f"The sequence numbers of outbound ESP begin anew after {SHORT} packets.", outbound_sa=ShortCounter
    ),
    in_gateway(
        "checksum-verified",
        "The UDP checksum inside ESP is verified whatever is configured.",
        checksum_policy=lambda settings: Verify(),
    ),
    in_gateway(
        "checksum-ignored",
        "The UDP checksum inside ESP is ignored whatever is configured.",
        checksum_policy=lambda settings: Ignore(),
    ),
    in_gateway(
        "checksum-zero-wrong",
        "A UDP checksum of zero inside ESP is taken for a wrong one.",
        checksum_policy=lambda settings: ZeroIsWrong(),
    ),
    in_gateway("small-buffer", "Encrypted packets of more than 1024 bytes are dropped.", ipsec=SmallBuffer),
)
