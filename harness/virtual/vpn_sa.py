"""The SAs of a tunnel-mode endpoint: pairs that IKE brought, and bundles of ESP inside AH with keys set by hand.

Every pair is for one flow, between `local` and `remote`. A packet that comes out of an SA and is not of its flow is refused (RFC
4301 §5.2); one that is to go out takes the newest SA of its crypto map entry whose flow it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.errors import ProtocolError
from harness.virtual.access_list import Entry, Flow, flow_of
from harness.virtual.crypto_map import ManualEntry, Policy, TransformSet, access_list, missing, places
from harness.virtual.crypto_map_edits import key_octets
from harness.virtual.peers import Association
from harness.wire import ip
from harness.wire.ah import AhInboundSa, AhOutboundSa
from harness.wire.config import Entropy, Selector
from harness.wire.esp import InboundSa, OutboundSa, ReplayWindow
from harness.wire.events import EspUp
from harness.wire.packet import AH, ESP, IP_IN_IP


class NoWindow(ReplayWindow):
    """Keys set by hand outlive restarts of the peer, who then counts from 1 again: there is no telling a replay (RFC 2401
    §4.4.3)."""

    __slots__ = ()

    def check(self, sequence: int) -> None:
        """Anything goes."""

    def mark(self, sequence: int) -> None:
        """Nothing is remembered."""


@dataclass(frozen=True, slots=True)
class ByHand:
    """What an SA, or a bundle, with keys set by hand is made of; `name` is its crypto map entry's."""

    name: str
    entry: ManualEntry
    permit: Entry
    row: TransformSet


@dataclass(slots=True, eq=False)
class VpnSa:
    """A pair of SAs, or of bundles. `name` is the crypto map entry's (`crypto_map.Match.name`); `number` counts all that there ever
    were. `peer` and `udp_port` (0: not in UDP) say where it leads, as long as there is no `association` that knows better. SPIs of
    ESP or of AH are 0 where there is none of it."""

    number: int
    name: str
    local: Selector
    remote: Selector
    peer: str
    udp: bool = False
    esp_in: InboundSa | None = None
    esp_out: OutboundSa | None = None
    ah_in: AhInboundSa | None = None
    ah_out: AhOutboundSa | None = None
    association: Association | None = None
    by_hand: ByHand | None = None
    installed_at: float = 0.0
    lifetime_s: int = 0
    lifetime_kb: int = 0
    encryption: str = ""
    authentication: str = ""
    ah: str = ""
    initiator: bool = False
    predictable: bool | None = None  # whether the two SPIs are partners; None where nobody asked for that
    heard_at: float = 0.0
    encapsulated: int = 0
    decapsulated: int = 0
    receive_errors: int = 0

    @property
    def address(self) -> str:
        return self.peer if self.association is None else self.association.address

    @property
    def keys(self) -> Iterator[tuple[int, int]]:
        """(IP protocol, SPI) of what comes in."""
        if self.ah_in is not None:
            yield AH, self.ah_in.spi
        if self.esp_in is not None:
            yield ESP, self.esp_in.spi

    @property
    def spi_in(self) -> int:
        return next(self.keys)[1]

    @property
    def octets(self) -> int:
        """Bytes protected, in the direction that protected more."""
        return max(one.octets for one in (self.esp_in, self.esp_out, self.ah_in, self.ah_out) if one is not None)

    def covers(self, flow: Flow) -> bool:
        """Of a packet that goes out."""
        source = self.local.holds(flow.source, flow.protocol, flow.sport)
        return source and self.remote.holds(flow.destination, flow.protocol, flow.dport)

    @property
    def permit(self) -> Entry:
        return Entry("permit", self.local, self.remote)

    def seal(self, source: str, inner: bytes, identification: int) -> tuple[int, bytes]:
        """(IP protocol, what follows the outer header) around a whole packet; the outer IP packet itself where AH covers it, as
        protocol 4."""
        self.encapsulated += 1
        if self.esp_out is None:
            if self.ah_out is None:
                raise AssertionError("an SA is of ESP, of AH or of both")
            return IP_IN_IP, self.ah_out.seal_tunnel(source, self.address, inner, identification=identification)
        sealed = self.esp_out.seal(IP_IN_IP, inner)
        if self.ah_out is None:
            return ESP, sealed
        outer = ip.build_ipv4(source, self.address, ESP, sealed, identification=identification, ttl=64)
        return IP_IN_IP, self.ah_out.seal(outer)

    def open(self, protocol: int, packet: bytes, body: bytes) -> bytes:
        """The inner packet of `packet`, whose payload is `body`; ProtocolError says what is wrong with it."""
        try:
            inner = self._open(protocol, packet, body)
            flow = flow_of(inner)
            if not self.covers(flow.reversed):
                raise ProtocolError("esp", f"{flow} came by SA {self.spi_in:08x}, which is not for it")
        except ProtocolError:
            self.receive_errors += 1
            raise
        self.decapsulated += 1
        return inner

    def _open(self, protocol: int, packet: bytes, body: bytes) -> bytes:
        if self.ah_in is not None:
            if protocol != AH:
                raise ProtocolError("ah", f"ESP {self.spi_in:08x} came without the AH that its bundle has")
            packet = self.ah_in.open(packet)
            if self.esp_in is None:
                return packet
            body = ip.parse_ipv4(packet).payload
        if self.esp_in is None:
            raise AssertionError("an SA is of ESP, of AH or of both")
        next_header, inner = self.esp_in.open(body)
        if next_header != IP_IN_IP:
            raise ProtocolError("esp", f"next header {next_header} in tunnel mode")
        return inner


@dataclass(slots=True)
class VpnSas:
    """By (IP protocol, inbound SPI), and by the name of the entry, newest last."""

    by_spi: dict[tuple[int, int], VpnSa] = field(default_factory=dict)
    by_name: dict[str, dict[int, VpnSa]] = field(default_factory=dict)
    made: int = 0

    def __iter__(self) -> Iterator[VpnSa]:
        """Oldest first."""
        return iter(sorted((sa for these in self.by_name.values() for sa in these.values()), key=lambda sa: sa.number))

    def number(self) -> int:
        self.made += 1
        return self.made

    def add(self, sa: VpnSa) -> None:
        for key in sa.keys:
            self.by_spi[key] = sa
        self.by_name.setdefault(sa.name, {})[sa.number] = sa

    def remove(self, sa: VpnSa) -> None:
        for key in sa.keys:
            if self.by_spi.get(key) is sa:
                del self.by_spi[key]
        there = self.by_name.get(sa.name, {})
        there.pop(sa.number, None)
        if not there:
            self.by_name.pop(sa.name, None)

    def taken(self, spi: int) -> bool:
        return (ESP, spi) in self.by_spi or (AH, spi) in self.by_spi

    def find(self, name: str, flow: Flow) -> VpnSa | None:
        return next((sa for sa in reversed(self.by_name.get(name, {}).values()) if sa.covers(flow)), None)

    def permits(self) -> dict[str, list[Entry]]:
        """What the SAs of each entry are for: those of a dynamic one are its temporary entries."""
        return {name: [sa.permit for sa in these.values()] for name, these in self.by_name.items()}


def of_ike(event: EspUp, number: int, now: float, association: Association, entropy: Entropy) -> VpnSa:
    if event.child is None:
        raise AssertionError("every quick mode of this endpoint has a child")
    child = event.child
    sa = VpnSa(
        number,
        child.name,
        child.local,
        child.remote,
        association.address,
        udp=event.encapsulation.startswith("udp"),
        association=association,
        installed_at=now,
        lifetime_s=event.lifetime_s,
        lifetime_kb=event.lifetime_kb,
        initiator=event.initiator,
        heard_at=now,
    )
    if event.protocol == "ah":
        sa.ah = event.authentication
        sa.ah_in = AhInboundSa(event.spi_in, event.authentication, event.auth_key_in)
        sa.ah_out = AhOutboundSa(event.spi_out, event.authentication, event.auth_key_out)
    else:
        sa.encryption, sa.authentication = names = event.encryption, event.authentication
        sa.esp_in = InboundSa(event.spi_in, *names, event.key_in, event.auth_key_in)
        sa.esp_out = OutboundSa(event.spi_out, *names, event.key_out, event.auth_key_out, entropy)
    return sa


def wanted_by_hand(policy: Policy) -> list[ByHand]:
    """Of all complete entries of ipsec-manual, one each, for the first permit of its list (RFC 2401 has a selector per SA; IOS
    takes one permit for these)."""
    found = []
    for place in places(policy):
        entry = place.entry
        if not isinstance(entry, ManualEntry) or entry.match is None or missing(policy, place) is not None:
            continue
        permit = next((one for one in access_list(policy, entry.match).entries if one.action == "permit"), None)
        row = policy.transform_sets[entry.transform_sets[0]]
        there = {(key.direction, key.protocol) for key in entry.keys}
        wanted = {(way, protocol) for protocol in _protocols(row.ah, row.encryption) for way in ("inbound", "outbound")}
        if permit is not None and wanted <= there:
            found.append(ByHand(place.name, entry, permit, row))
    return found


def by_hand(made_of: ByHand, number: int, now: float, entropy: Entropy) -> VpnSa:
    """UsageError for keys that do not fit."""
    entry, permit, row = made_of.entry, made_of.permit, made_of.row
    keys = {(key.direction, key.protocol): key for key in entry.keys}
    sa = VpnSa(number, made_of.name, permit.source, permit.destination, entry.peers[0], installed_at=now, heard_at=now)
    sa.by_hand = made_of
    sa.encryption, sa.authentication, sa.ah = row.encryption, row.authentication or "none", row.ah
    if row.ah:
        inbound, outbound = keys["inbound", "ah"], keys["outbound", "ah"]
        sa.ah_in = AhInboundSa(inbound.spi, row.ah, key_octets(inbound, row)[1])
        sa.ah_in.window = NoWindow("ah")
        sa.ah_out = AhOutboundSa(outbound.spi, row.ah, key_octets(outbound, row)[1])
    if row.encryption:
        names = sa.encryption, sa.authentication
        into, out = keys["inbound", "esp"], keys["outbound", "esp"]
        sa.esp_in = InboundSa(into.spi, *names, *key_octets(into, row))
        sa.esp_in.window = NoWindow()
        sa.esp_out = OutboundSa(out.spi, *names, *key_octets(out, row), entropy)
    return sa


def _protocols(ah: str, encryption: str) -> list[str]:
    return [name for name, there in (("ah", ah), ("esp", encryption)) if there]
