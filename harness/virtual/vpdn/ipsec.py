"""IPsec under crypto profiles: who answers by them, who begins by them, and what goes when a tunnel has ended.

Without `settings.vpdn.crypto` all is as in the base class: one policy, the personality's, for whoever comes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.virtual.ipsec import L2TP_PORT, Ipsec
from harness.virtual.journal import Journal
from harness.virtual.peers import Association, Client
from harness.virtual.settings import Settings
from harness.virtual.vpdn.crypto import Crypto, CryptoProfile
from harness.virtual.vpdn.maps import CryptoMaps
from harness.wire import events, ip
from harness.wire.config import Entropy, EspProposal, IkeConfig
from harness.wire.ike.core import IkeCore
from harness.wire.ike.registry import PORT
from harness.wire.packet import Packet

if TYPE_CHECKING:
    from harness.virtual.parts import Parts


class ProfiledIpsec(Ipsec):
    """`secured` hears of every new pair of SAs and whose it is, `failed` of a peer to whom `request` finds no way, and why."""

    def __init__(
        self,
        settings: Settings,
        entropy: Entropy,
        parts: Parts,
        journal: Journal,
        emit: Callable[[Packet], None],
        lost: Callable[[float, Client], None],
    ) -> None:
        super().__init__(settings, entropy, parts, journal, emit, lost)
        self.maps = CryptoMaps(self._crypto)
        self.secured: Callable[[float, Client], None] = lambda now, client: None
        self.failed: Callable[[float, str, str], None] = lambda now, address, reason: None
        self.keys: list[events.IkeUp | events.EspUp] | None = None  # a list where the owner wants them, for the run's key file
        self.expiry: dict[tuple[bytes, bytes], float] = {}  # of ISAKMP SAs, by their cookies
        self.agreed: dict[int, tuple[events.EspUp, float]] = {}  # what a pair was agreed as, and when, by inbound SPI
        self._profiles: dict[int, CryptoProfile] = {}  # of associations that began here, by number
        self._kept: set[int] = set()  # associations without a tunnel, whose ISAKMP SA lives to its end
        self._asked: dict[int, float] = {}  # when quick mode was last asked for
        self._ike_up: dict[int, float] = {}

    @property
    def _crypto(self) -> Crypto | None:
        return None if self.settings.vpdn is None else self.settings.vpdn.crypto

    def reconfigure(self, settings: Settings) -> None:
        super().reconfigure(settings)
        self.maps.crypto = self._crypto
        for association in self.associations:
            association.core.configure(self._config(association))

    # Policy

    def ike(self, now: float, packet: Packet, message: bytes) -> None:
        crypto = self._crypto
        if crypto is not None and not crypto.active:
            self._now = now
            self._refuse(packet, "ike", f"no crypto map with a profile is on {crypto.interface}")
            return
        super().ike(now, packet, message)

    def _config(self, association: Association) -> IkeConfig:
        config, crypto = super()._config(association), self._crypto
        if crypto is None or not crypto.active:
            return config
        key = crypto.key_for(association.address)
        profile = self._profiles.get(association.number)
        profiles = crypto.active if profile is None else (profile,)
        groups = {one.pfs for one in profiles}
        return replace(
            config,
            # Without a key of this peer's there is none to fall back on: phase 1 fails at its authentication.
            psk=key if key is not None else self._entropy(16),
            esp_proposals=_rows(crypto, profiles),
            mode=profiles[0].mode,
            pfs=groups.pop() if len(groups) == 1 else None,
            rekey_margin=None if profile is None else crypto.rekey_margin,
            renew_phase_1=False,
        )

    def send_own(self, now: float, address: str, sport: int, dport: int, message: bytes) -> None:
        """A UDP message of the router's own that is not L2TP's. The map's entries protect what they permit, which is the sockets of
        tunnels; what none of them permits goes as it is."""
        here = self.settings.address
        entry = self.maps.matching(ip.UDP, here, sport, address, dport)
        if entry is None or entry.flow is None:
            self._emit(Packet(here, address, ip.UDP, message, sport, dport))
        elif (sa := self.sadb.lookup.find(entry.flow.remote, entry.flow.remote_port)) is not None:
            self._send_in(now, sa, sport, dport, message)
        else:
            reason = f"crypto map {entry.map_name} {entry.sequence} has no SA for it"
            self._journal.tell(now, "dropped", address, dport, reason=reason)

    # Orders of L2TP's

    def ready(self, address: str, port: int = L2TP_PORT) -> bool:
        """Whether a message to that peer would go out now."""
        return self.sadb.lookup.find(address, port) is not None

    def request(self, now: float, address: str, profile: CryptoProfile) -> None:
        """SAs for UDP 1701 with that peer, by this profile: quick mode alone where there is an ISAKMP SA, else all of it. Asked for
        twice it is done once."""
        association = self._towards(address)
        if association is None:
            self._initiate(now, address, profile)
            return
        self._profiles[association.number] = profile
        self._asked.setdefault(association.number, now)
        association.core.configure(self._config(association))
        self.order(now, association, lambda core: core.rekey_ipsec(now))

    def release(self, now: float, client: Client, *, keep: bool) -> None:
        """No tunnel needs this peer's SAs any more. `keep`: its ISAKMP SA stays, until its lifetime ends."""
        for association in {sa.association.number: sa.association for sa in client.sas.values()}.values():
            if keep:
                self._kept.add(association.number)
            self.order(now, association, lambda core: core.delete_ipsec(now) if keep else core.close(now))

    def _towards(self, address: str) -> Association | None:
        """The newest association with that peer that is up, or that has begun here."""
        found = [one for one in self.associations if one.address == address and (one.ike_sas or one.number in self._profiles)]
        return found[-1] if found else None

    def _initiate(self, now: float, address: str, profile: CryptoProfile) -> None:
        def core(association: Association) -> IkeCore:
            self._profiles[association.number] = profile
            return self._make_core(association)

        association = self.associations.add(address, PORT, PORT, core)
        association.heard_at = self._asked[association.number] = now
        self.order(now, association, lambda core: core.start(now))

    # What comes of them

    def _idle_at(self, association: Association) -> float | None:
        return None if association.number in self._kept else super()._idle_at(association)

    def _after(self, now: float, association: Association, packet: Packet | None = None) -> None:
        super()._after(now, association, packet)
        if association.number not in self.associations.by_number:
            number = association.number
            self._kept.discard(number)
            for known in (self._profiles, self._asked, self._ike_up):
                known.pop(number, None)

    def _hear(self, now: float, association: Association, event: events.Event, packet: Packet | None) -> None:
        if self.keys is not None and isinstance(event, events.IkeUp | events.EspUp):
            self.keys.append(event)
        match event:
            case events.IkeUp():
                self._ike_up[association.number] = now
                self.expiry[event.icookie, event.rcookie] = now + event.lifetime_s
            case events.IkeDown():
                self.expiry.pop((event.icookie, event.rcookie), None)
            case events.EspDown():
                self.agreed.pop(event.spi_in, None)
            case events.Failed():
                self._failed(now, association, event)
        super()._hear(now, association, event, packet)

    def _install(self, now: float, association: Association, event: events.EspUp, packet: Packet | None) -> None:
        super()._install(now, association, event, packet)
        if not self._holds(association, event.spi_in) or association.client is None:
            return
        self._kept.discard(association.number)
        self._asked.pop(association.number, None)
        self.agreed[event.spi_in] = event, now
        self.secured(now, association.client)

    def _failed(self, now: float, association: Association, event: events.Failed) -> None:
        """What `request` began has come to nothing. Under an ISAKMP SA from before, which the peer may have lost since, that is no
        answer yet: the next attempt is a whole one."""
        asked, profile = self._asked.pop(association.number, None), self._profiles.get(association.number)
        where = association.address, association.udp_port
        self._journal.tell(now, "refused", *where, layer=event.stage, reason=event.reason)
        if asked is None or profile is None:
            return
        stale = event.stage == "quick mode" and self._ike_up.get(association.number, asked) < asked
        refused = "notify" in event.facts
        if stale and not refused:
            association.core.close(now)
            self._profiles.pop(association.number)
            self._initiate(now, association.address, profile)
            return
        self.failed(now, association.address, f"{event.stage}: {event.reason}")


def _rows(crypto: Crypto, profiles: tuple[CryptoProfile, ...]) -> tuple[EspProposal, ...]:
    """Of several profiles those of the first one's mode: a peer's offer is measured by one mode."""
    fit = (one for one in profiles if one.mode == profiles[0].mode)
    return tuple(dict.fromkeys(row for profile in fit for row in crypto.proposals(profile)))
