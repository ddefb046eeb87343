"""IKE of a tunnel-mode endpoint: associations with any number of peers, in either role; which SAs come of it and which end.

Towards the packets' side it has two doors: `want` (a packet needs an SA that is not there) and `sas`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from harness.model.predictable_spi import partner, predictable
from harness.virtual.agenda import Agenda
from harness.virtual.contact import SameClient
from harness.virtual.crypto_map import IsakmpEntry, Match, answering, child_of
from harness.virtual.journal import Journal
from harness.virtual.peers import IKE_HEADER, Association, Associations
from harness.virtual.vpn_sa import VpnSa, VpnSas, of_ike
from harness.virtual.vpn_settings import EndpointSettings
from harness.wire import events
from harness.wire.config import Child, Entropy, IkeConfig
from harness.wire.ike.core import IkeCore
from harness.wire.ike.registry import INITIAL_CONTACT, INVALID_SPI, PORT, PORT_NATT, notify_name
from harness.wire.packet import AH, ESP, Packet

NEW_SPIS = 3
"""So many times a quick mode is begun anew, with another SPI, whose SPI clashed at the other end."""


class VpnAssociations(Associations):
    """Behind a NAT that preserves port 500, everybody's first message comes from the same address and port: only where there is no
    NAT, or the port is one peer's alone, is it a rekey."""

    def __init__(self) -> None:
        super().__init__()
        self.natted: set[int] = set()

    def find(self, address: str, port: int, local_port: int, icookie: bytes, rcookie: bytes) -> Association | None:
        found = super().find(address, port, local_port, icookie, rcookie)
        opening = found is not None and rcookie == bytes(8) and icookie not in found.theirs
        if found is not None and opening and local_port == PORT and found.number in self.natted:
            return None
        return found


@dataclass(slots=True)
class Account:
    """For the servers of `server_list`: what a peer's SAs have carried since it had none; packets are the inner ones."""

    server_list: str
    since: float
    packets_in: int = 0
    packets_out: int = 0

    def add(self, sa: VpnSa) -> None:
        self.packets_in += sa.decapsulated
        self.packets_out += sa.encapsulated


@dataclass(frozen=True, slots=True)
class IsakmpSa:
    """`number` counts all that there ever were, from 1."""

    up: events.IkeUp
    since: float
    number: int


@dataclass(slots=True)
class Standing:
    """What there is to know of an association beside its core. `identity`: the peer's phase-1 ID. `wanted`: what we have asked for
    and not got yet, by the child's key. `account` is there while SAs are and the crypto map asks for it."""

    initiator: bool
    identity: str = ""
    wanted: dict[object, tuple[Match, Child, int]] = field(default_factory=dict)
    ike_sas: list[IsakmpSa] = field(default_factory=list)
    account: Account | None = None


class Negotiation:
    """`emit` takes packets for the wire."""

    def __init__(self, settings: EndpointSettings, entropy: Entropy, journal: Journal, emit: Callable[[Packet], None]) -> None:
        self.settings = settings
        self.sas = VpnSas()
        self.associations = VpnAssociations()
        self.standings: dict[int, Standing] = {}
        self.keyed: Callable[[events.IkeUp | events.EspUp], None] = lambda event: None  # for the run's key file
        self.draw: Callable[[], int] = lambda: int.from_bytes(entropy(4))  # what chance gives for an SPI
        self.current: dict[str, int] = {}  # of a static entry, which of its peers is in use
        self._entropy = entropy
        self._journal = journal
        self._emit = emit
        self._contact = SameClient()
        self._agenda: Agenda[int] = Agenda()
        self._now = 0.0
        self._phases = 0

    @property
    def deadline(self) -> float | None:
        return self._agenda.deadline

    def reconfigure(self, settings: EndpointSettings) -> None:
        """For what begins from now on, also with peers that there is an association with."""
        self.settings = settings
        for association in self.associations:
            association.core.configure(self._config(association, known=True))

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

    # What packets ask for

    def peer_of(self, name: str, entry: IsakmpEntry) -> str:
        """The peer of a static entry that is in use."""
        return entry.peers[self.current.get(name, 0) % len(entry.peers)]

    def want(self, now: float, match: Match) -> None:
        """A quick mode for the flow of `match`, of a static entry, with the peer in use."""
        if not isinstance(match.entry, IsakmpEntry):
            raise AssertionError("keys set by hand are not negotiated")
        self._now = now
        self._ask(now, self.peer_of(match.name, match.entry), match, child_of(self.settings.policy, match), 0)

    def ask_peer(self, now: float, peer: str, match: Match, child: Child) -> None:
        """The same with a peer that has been found for it."""
        self._now = now
        self._ask(now, peer, match, child, 0)

    def _ask(self, now: float, peer: str, match: Match, child: Child, tries: int) -> None:
        if not self.settings.speaks_ike or not self.settings.ike_proposals:
            reason = "there is no policy for IKE" if self.settings.speaks_ike else "ISAKMP is off"
            self._journal.tell(now, "refused", peer, 0, layer="ike", reason=reason)
            return
        association = next((one for one in self.associations if one.address == peer and not self._half_open_answer(one)), None)
        if association is None:
            if self.settings.key_for(peer) is None:
                self._journal.tell(now, "refused", peer, 0, layer="ike", reason=f"there is no pre-shared key for {peer}")
                return
            association = self._add(peer, PORT, PORT, initiator=True)
        standing = self.standings[association.number]
        if child.key not in standing.wanted:
            self._journal.tell(now, "ike-wanted", peer, 0, entry=match.name, flow=f"{child.local} to {child.remote}")
        standing.wanted[child.key] = match, child, tries
        association.core.start_child(now, child)
        self._after(now, association)

    def _half_open_answer(self, association: Association) -> bool:
        return association.half_open and not self.standings[association.number].initiator

    def spend(self, now: float, sa: VpnSa) -> None:
        """A lifetime in kilobytes may be up: for the next tick, since the packet at hand still goes its way."""
        association = sa.association
        if association is not None and association.core.spend(now, sa.spi_in, sa.octets):
            self._agenda.set(association.number, now)

    # IKE

    def receive(self, now: float, packet: Packet, message: bytes) -> None:
        """An ISAKMP message, without the non-ESP marker, that came to port 500 or 4500."""
        self._now = now
        if self.settings.demand_port_500 and packet.sport != PORT:
            self._refuse(packet, f"IKE from port {packet.sport}, where only port {PORT} is listened to")
            return
        if len(message) < IKE_HEADER:
            self._refuse(packet, f"{len(message)} bytes are shorter than an ISAKMP header")
            return
        icookie, rcookie = message[:8], message[8:16]
        association = self.associations.find(packet.src, packet.sport, packet.dport, icookie, rcookie)
        if association is None:
            if rcookie != bytes(8):
                self._refuse(packet, "cookies of no SA of ours")
                return
            if self.associations.half_open >= self.settings.half_open:
                self._refuse(packet, f"{self.associations.half_open} peers are half open already")
                return
            association = self._add(packet.src, packet.sport, packet.dport, initiator=False)
        elif association.half_open and association.address != packet.src:
            self._refuse(packet, f"a half-open exchange of {association.address}'s")
            return
        if rcookie == bytes(8):
            self.associations.opened(association, packet.src, packet.sport, icookie)
        association.heard_at = now
        association.core.receive(now, message, packet.dport, packet.sport)
        self._after(now, association, packet)

    def _add(self, peer: str, port: int, local_port: int, *, initiator: bool) -> Association:
        association = self.associations.add(peer, port, local_port, self._make_core)
        self.standings[association.number] = Standing(initiator)
        association.heard_at = self._now
        return association

    def _make_core(self, association: Association) -> IkeCore:
        known = any(one.address == association.address for one in self.associations)  # or somebody beside it behind its NAT
        return IkeCore(self._config(association, known=known), self._entropy)

    def _config(self, association: Association, *, known: bool) -> IkeConfig:
        settings = self.settings
        matching = settings.nat_transparency.method == "spi-matching"
        return IkeConfig(
            address=settings.address,
            peer_address=association.address,
            psk=settings.key_for(association.address) or b"",
            psk_for=settings.key_for,
            proposals=settings.ike_proposals,
            esp_proposals=(),
            vendor_ids=settings.nat_transparency.vendor_ids,
            mode="tunnel",
            keepalive_s=settings.keepalive_s,
            dpd_s=settings.dpd_s,
            rekey_margin=settings.rekey_margin,
            initial_contact=settings.initial_contact and not known,
            children=lambda local, remote: answering(self.settings.policy, association.address, local, remote),
            choose_spi=lambda theirs: self._choose_spi(theirs, matching=matching),
            renewed=lambda child: self._renewed(association, child),
            schedule=settings.schedule,
        )

    def _renewed(self, association: Association, child: Child) -> Child | None:
        """As the policy has it by now: None where its entry does not serve this flow with this peer any more."""
        found = answering(self.settings.policy, association.address, child.local, child.remote)
        return None if isinstance(found, int) else next((one for one in found if one.name == child.name), None)

    def _choose_spi(self, theirs: int, *, matching: bool) -> int | None:
        """With SPI matching, who answers has no choice: None where another SA has that SPI."""
        if theirs and matching:
            return partner(theirs) if predictable(theirs) and not self.sas.taken(partner(theirs)) else None
        while True:
            spi = self.draw()
            if predictable(spi) and not self.sas.taken(spi):
                return spi

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
            self.associations.natted.discard(association.number)
            self.standings.pop(association.number, None)

    def _idle_at(self, association: Association) -> float | None:
        if self.settings.idle_s is None or association.half_open:
            return None
        heard = [sa.heard_at for sa in self.sas.by_spi.values() if sa.association is association]
        return self.settings.idle_s + max(heard, default=association.heard_at)

    def _hear(self, now: float, association: Association, event: events.Event, packet: Packet | None) -> None:
        tell, where = self._journal.tell, (association.address, association.udp_port)
        standing = self.standings[association.number]
        if isinstance(event, events.IkeUp | events.EspUp):
            self.keyed(event)
        match event:
            case events.IkeUp():
                self._ike_up(now, association, standing, event, packet)
            case events.IkeDown():
                pair = event.icookie, event.rcookie
                if pair in association.ike_sas:
                    association.ike_sas.remove(pair)
                standing.ike_sas = [one for one in standing.ike_sas if (one.up.icookie, one.up.rcookie) != pair]
                cookies = {"icookie": event.icookie.hex(), "rcookie": event.rcookie.hex()}
                tell(now, "ike-down", *where, **cookies, by=_by(event.by_peer), reason=event.reason)
            case events.EspUp():
                self._install(now, association, standing, event)
            case events.EspDown():
                self._remove(now, association, event)
            case events.Failed():
                self._failed(now, association, standing, event)
            case events.Notified() if event.type == INITIAL_CONTACT and event.protected:
                self._forget(now, association, standing)
            case events.Refused():
                here = where if packet is None else (packet.src, packet.sport)
                tell(now, "refused", *here, layer=event.layer, reason=event.reason)
            case events.RekeyFailed():
                tell(now, "refused", *where, layer=event.stage, reason=event.reason)

    def _ike_up(
        self, now: float, association: Association, standing: Standing, event: events.IkeUp, packet: Packet | None
    ) -> None:
        association.ike_sas.append((event.icookie, event.rcookie))
        self._phases += 1
        standing.ike_sas.append(IsakmpSa(event, now, self._phases))
        standing.identity = event.identity
        self.associations.up(association)
        if packet is not None:
            association.floated = packet.dport == PORT_NATT
            self.associations.settle(association, packet.src, packet.sport, packet.dport)
        where = association.address, association.udp_port
        cookies = {"icookie": event.icookie.hex(), "rcookie": event.rcookie.hex()}
        self._journal.tell(now, "ike-up", *where, **cookies, rekey=event.rekey, identity=event.identity)
        if event.identity[:1].isdigit() and event.identity != association.address:
            self.associations.natted.add(association.number)
            if self.settings.nat_transparency.method == "none":
                reason = f"{event.identity} is behind a NAT, and NAT transparency is off: its ESP may not pass"
                self._journal.tell(now, "warning", *where, layer="nat-transparency", reason=reason)

    def _forget(self, now: float, association: Association, standing: Standing) -> None:
        """The peer remembers nothing from before the SA that it says so under: here, or in another association. Behind one NAT many
        may have an address and port in common: it speaks for its own identity only."""
        for sa in list(self.sas):
            if sa.association is association:
                association.core.delete_esp(now, sa.spi_in)
        for stale in self._contact.stale(association, list(self.associations)):
            if self.standings[stale.number].identity == standing.identity:
                stale.core.close(now)
                self._after(now, stale)

    # SAs

    def _install(self, now: float, association: Association, standing: Standing, event: events.EspUp) -> None:
        where = association.address, association.udp_port
        if self.sas.taken(event.spi_in):
            self._journal.tell(now, "refused", *where, layer="esp", reason=f"SPI {event.spi_in:08x} is taken")
            association.core.delete_esp(now, event.spi_in)
            return
        sa = of_ike(event, self.sas.number(), now, association, self._entropy)
        if self.settings.nat_transparency.method == "spi-matching":
            sa.predictable = predictable(event.spi_in) and partner(event.spi_in) == event.spi_out
            if not sa.predictable:
                reason = f"the peer's SPI {event.spi_out:08x} does not follow from {event.spi_in:08x}: it does not match SPIs"
                self._journal.tell(now, "warning", *where, layer="nat-transparency", reason=reason)
        child = event.child
        standing.wanted.pop(child and child.key, None)
        rekey = False
        for old in list(self.sas.by_name.get(sa.name, {}).values()):
            if (old.local, old.remote) == (sa.local, sa.remote) and old.association is not None:
                rekey = rekey or old.address == sa.address
                if old.association is not association and self._same_peer(old.association, association):
                    old.association.core.retire_esp(now, old.spi_in)
                    self._after(now, old.association)
        self.sas.add(sa)
        self._journal.tell(now, "esp-up", *where, **self.names(sa), rekey=rekey)
        crypto_map = self.settings.policy.crypto_map
        if standing.account is None and crypto_map is not None and crypto_map.accounting_list is not None:
            standing.account = Account(crypto_map.accounting_list, now)
            told = {"list": crypto_map.accounting_list, "user": standing.identity}
            self._journal.tell(now, "accounting-start", *where, **told)

    def _same_peer(self, one: Association, other: Association) -> bool:
        standings = [self.standings.get(each.number) for each in (one, other)]
        identities = {standing.identity for standing in standings if standing is not None}
        return one.address == other.address and len(identities) == 1 and None not in standings

    def _remove(self, now: float, association: Association, event: events.EspDown) -> None:
        sa = self.sas.by_spi.get((ESP, event.spi_in)) or self.sas.by_spi.get((AH, event.spi_in))
        if sa is None or sa.association is not association:  # it was undone before it was anything
            return
        self.sas.remove(sa)
        where = association.address, association.udp_port
        self._journal.tell(now, "esp-down", *where, **self.names(sa), by=_by(event.by_peer), reason=event.reason)
        self._settle_account(now, association, sa)

    def _settle_account(self, now: float, association: Association, sa: VpnSa) -> None:
        """Of an SA that has gone: the last one closes its peer's account."""
        standing = self.standings[association.number]
        account = standing.account
        if account is None:
            return
        account.add(sa)
        if not any(one.association is association for one in self.sas.by_spi.values()):
            standing.account = None
            told = {"list": account.server_list, "user": standing.identity, "seconds": now - account.since}
            counted = {"packets_in": account.packets_in, "packets_out": account.packets_out}
            where = association.address, association.udp_port
            self._journal.tell(now, "accounting-stop", *where, **told, **counted)

    def names(self, sa: VpnSa) -> dict[str, object]:
        out = sa.esp_out or sa.ah_out
        spis = {"spi_in": f"{sa.spi_in:08x}", "spi_out": f"{out.spi:08x}" if out is not None else None}
        return {**spis, "entry": sa.name, "flow": f"{sa.local} to {sa.remote}"}

    # Failures

    def _failed(self, now: float, association: Association, standing: Standing, event: events.Failed) -> None:
        where = association.address, association.udp_port
        self._journal.tell(now, "failed", *where, layer=event.stage, reason=event.reason)
        child = event.facts.get("child")
        if isinstance(child, Child):
            wanted = standing.wanted.pop(child.key, None)
            if wanted is not None and event.facts.get("notify") == notify_name(INVALID_SPI) and wanted[2] < NEW_SPIS:
                self._ask(now, association.address, wanted[0], child, wanted[2] + 1)
            return
        orphans, standing.wanted = list(standing.wanted.values()), {}
        if event.stage == "up":
            self._leave(association.address)
        for match, wish, tries in orphans:
            entry = match.entry
            if not isinstance(entry, IsakmpEntry) or match.reference is not None or tries + 1 >= len(entry.peers):
                continue
            if event.stage != "up" and self.peer_of(match.name, entry) == association.address:
                self.current[match.name] = self.current.get(match.name, 0) + 1
            self._ask(now, self.peer_of(match.name, entry), match, wish, tries + 1)

    def _leave(self, peer: str) -> None:
        """Every entry whose peer in use this was goes on to its next one."""
        crypto_map = self.settings.policy.crypto_map
        for entry in crypto_map.entries if crypto_map is not None else ():
            if isinstance(entry, IsakmpEntry) and crypto_map is not None and entry.peers:
                name = f"{crypto_map.name} {entry.sequence}"
                if self.peer_of(name, entry) == peer:
                    self.current[name] = self.current.get(name, 0) + 1

    # Orders

    def order(self, now: float, association: Association, what: Callable[[IkeCore], None]) -> None:
        self._now = now
        what(association.core)
        self._after(now, association)

    def _refuse(self, packet: Packet, reason: str) -> None:
        self._journal.tell(self._now, "refused", packet.src, packet.sport, layer="ike", reason=reason)


def _by(by_peer: bool) -> str:
    return "peer" if by_peer else "endpoint"
