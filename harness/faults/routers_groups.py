"""LACs and LNSs that know too many, or too few, of what their lines say: profiles, transform sets, lives, addresses, routes; and
what they tell of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from math import inf
from typing import Any

from harness.faults.fault import Fault, in_router
from harness.faults.router_readings import groups_with, vpdn_as
from harness.model import GatewayEvent
from harness.virtual.ios.configuration import Entry
from harness.virtual.ios.core import CountedPool, IosCore, IosIpsec
from harness.virtual.ios.debugging import Debug
from harness.virtual.ios.meaning_router import Meaning, meant
from harness.virtual.links import Link
from harness.virtual.lns import Tunnel
from harness.virtual.peers import Association, Client
from harness.virtual.settings import Personality, Settings
from harness.virtual.vpdn.crypto import Crypto
from harness.virtual.vpdn.groups import Security, Vpdn
from harness.virtual.vpdn.lns import Held
from harness.wire import events
from harness.wire.config import EspProposal, IkeConfig
from harness.wire.ike.core import IkeCore
from harness.wire.packet import ESP, Packet, to_ip

PPP_IP = b"\xff\x03\x00\x21"
"""Address, control, and the protocol number of IPv4 (RFC 1662 §3.1, RFC 1332 §4)."""
CIPHERS, PROOFS = ("aes-256", "aes-192", "aes-128", "3des", "des"), ("sha256", "sha1", "md5", "none")

# Profiles


def _anybodys_profile(vpdn: Vpdn) -> Vpdn:
    """A group without a profile has the first that there is."""
    if vpdn.crypto is None or not vpdn.crypto.active:
        return vpdn
    security = Security(vpdn.crypto.active[0].name, False)
    accept = tuple(replace(one, security=one.security or security) for one in vpdn.accept)
    return replace(vpdn, accept=accept, request=tuple(replace(one, security=one.security or security) for one in vpdn.request))


def _global_lives(vpdn: Vpdn) -> Vpdn:
    crypto = vpdn.crypto
    if crypto is None:
        return vpdn
    profiles = tuple(replace(one, lifetime_s=None, lifetime_kb=None) for one in crypto.profiles)
    return replace(vpdn, crypto=replace(crypto, profiles=profiles))


# What is negotiated


class AnswersIpsec(IosIpsec, ABC):
    """`answering` changes what is measured by where the peer has begun."""

    def _config(self, association: Association) -> IkeConfig:
        config = super()._config(association)
        return config if self.began_here(association) or not config.esp_proposals else self.answering(config)

    @abstractmethod
    def answering(self, config: IkeConfig) -> IkeConfig: ...


class LastSetOnly(AnswersIpsec):
    def answering(self, config: IkeConfig) -> IkeConfig:
        return replace(config, esp_proposals=config.esp_proposals[-1:])


class TakesAnyTransform(AnswersIpsec):
    def answering(self, config: IkeConfig) -> IkeConfig:
        own = config.esp_proposals[0]
        rows = (EspProposal(cipher, proof, own.lifetime_s, own.lifetime_kb) for cipher in CIPHERS for proof in PROOFS)
        return replace(config, esp_proposals=tuple(rows))


class OwnLife(IosIpsec):
    """An SA lives as long as the router's lines say, whatever less was agreed on."""

    def _install(self, now: float, association: Association, event: events.EspUp, packet: Packet | None) -> None:
        rows = self._config(association).esp_proposals
        longer = max([event.lifetime_s, *(row.lifetime_s for row in rows)])
        super()._install(now, association, replace(event, lifetime_s=longer), packet)


class UndyingIke(IkeCore):
    """ISAKMP SAs do not end by themselves."""

    def _tick_sas(self, now: float) -> None:
        for sa in self._all.sas:
            sa.expires_at = inf
        super()._tick_sas(now)


# What is left


class KeepsNattedSas(IosIpsec):
    """What the tunnel of a client behind a NAT had stays until its lifetime is over."""

    def release(self, now: float, client: Client, *, keep: bool) -> None:
        if not client.udp_port:
            super().release(now, client, keep=keep)


# What is told


class OneNumber(IosIpsec):
    """All pairs of SAs are counted by one number."""

    def _hear(self, now: float, association: Association, event: events.Event, packet: Packet | None) -> None:
        super()._hear(now, association, event, packet)
        if isinstance(event, events.EspUp):
            self.numbers[event.spi_in] = 0


class AnyPort(IosCore):
    """An LNS binds the socket of a tunnel to any port of the peer's."""

    def _lns_began(self, now: float, tunnel: Tunnel, held: Held) -> None:
        super()._lns_began(now, tunnel, held)
        vpdn = self._settings.vpdn
        if held.flow is None or vpdn is None or vpdn.crypto is None or not vpdn.crypto.active:
            return
        self.ipsec.maps.release(held.flow)
        held.flow = replace(held.flow, remote_port=0)
        self.ipsec.maps.clone(vpdn.crypto.active[0], held.flow)


class NewestFirst(Debug):
    """What is to be told waits until a tunnel is up, and comes the newest first."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._waiting: list[tuple[str, str]] = []

    def hear(self, event: GatewayEvent) -> None:
        super().hear(event)
        if event.kind == "tunnel-up":
            waiting, self._waiting = self._waiting, []
            for what, line in reversed(waiting):
                super()._say(what, line)

    def _say(self, what: str, *lines: str) -> None:
        self._waiting += [(what, line) for line in lines]


class AlwaysLogs(Debug):
    """The line `no vpdn logging` is ignored."""

    @property
    def logs_calls(self) -> bool:
        return True


# Where packets go


class BridgesLines(IosCore):
    """What comes to a LAC in ESP goes to its callers' lines too, as it came."""

    def receive(self, now: float, packet: Packet) -> None:
        if packet.protocol == ESP:
            self.lac.frames += [(line, PPP_IP + to_ip(packet)) for line in self.lac.lines]
        super().receive(now, packet)


class KnowsNobodyBehind(IosCore):
    """What callers tell of networks behind them is not gone by."""

    def _behind(self, now: float, address: str) -> Link | None:
        return None


def _beside(settings: Settings) -> CountedPool:
    """As many addresses, behind the last one."""
    first, last = IPv4Address(settings.pool_first), IPv4Address(settings.pool_last)
    return CountedPool(str(last + 1), str(last + 1 + (int(last) - int(first))))


# Other readings


def _ignoring(line: str) -> Callable[[Entry, Personality], Meaning]:
    """As if no line began so."""

    def reading(tree: Entry, base: Personality) -> Meaning:
        return meant(replace(tree, below=tuple(one for one in tree.below if not one.line.startswith(line))), base)

    return reading


def _keys_as(change: Callable[[Crypto, Entry, Settings], Crypto]) -> Callable[[Entry, Personality], Meaning]:
    def reading(tree: Entry, base: Personality) -> Meaning:
        found = meant(tree, base)
        return found if found.settings is None else replace(found, keys=change(found.keys, tree, found.settings))

    return reading


def _ring_of_neighbours(keys: Crypto, tree: Entry, settings: Settings) -> Crypto:
    """A keyring's key for anybody is for the router's own network of thirty hosts."""
    if not tree.find("crypto keyring") or "0.0.0.0/0" not in keys.keys:
        return keys
    near = str(IPv4Interface(f"{settings.address}/27").network)
    return replace(keys, keys={near if network == "0.0.0.0/0" else network: key for network, key in keys.keys.items()})


def _last_entry_first(keys: Crypto, tree: Entry, settings: Settings) -> Crypto:
    return replace(keys, entries=keys.entries[::-1])


def _from_the_excluded(tree: Entry, base: Personality) -> Meaning:
    """The pool begins at the first address that DHCP is to leave out."""
    found = meant(tree, base)
    excluded = tree.value("ip dhcp excluded-address")
    if found.settings is None or not excluded:
        return found
    return replace(found, settings=replace(found.settings, pool_first=excluded.split()[0]))


FAULTS: tuple[Fault, ...] = (
    in_router("profile-of-anybody", "A group without a crypto profile has the first that there is.",
              meant=vpdn_as(_anybodys_profile)),
    in_router("profile-life-ignored", "The lifetimes of a crypto profile are ignored.", with_clients=True,
              meant=vpdn_as(_global_lives)),
    in_router("last-set-only", "Who answers has the last of its transform sets alone.", ipsec=LastSetOnly),
    in_router("any-transform-taken", "Who answers takes any transform, configured or not.", with_clients=True,
              ipsec=TakesAnyTransform),
    in_router("own-life-only", "An SA lives as long as the router's lines say, though the peer asked for less.", with_clients=True,
              ipsec=OwnLife),
    in_router("ike-life-ignored", "ISAKMP SAs do not end with their life.", ike_core=UndyingIke),
    in_router("natted-sas-left", "The SAs of a client behind a NAT outlive its tunnel.", with_clients=True, ipsec=KeepsNattedSas),
    in_router("connections-one-number", "All pairs of SAs have one connection number.", ipsec=OneNumber),
    in_router("socket-any-port", "An LNS binds a tunnel's socket to any port of the peer's.", core=AnyPort),
    in_router("debug-newest-first", "What is debugged is told late, and the newest first.", debug=NewestFirst),
    in_router("vpdn-logging-always", "The line `no vpdn logging` is ignored.", debug=AlwaysLogs),
    in_router("lines-bridged", "ESP that comes to a LAC goes to its callers' lines as well.", core=BridgesLines),
    in_router("routes-not-taken", "What a caller tells of networks behind it is not gone by.", core=KnowsNobodyBehind),
    in_router("router-pool-beside", "The router's pool gives the addresses behind its last one.", address_pool=_beside),
    in_router("path-mtu-always", "A group has `ip pmtu`, configured or not.", meant=groups_with(pmtu=True)),
    in_router("global-life-ignored", "The global lifetime of SAs is ignored.", with_clients=True,
              meant=_ignoring("crypto ipsec security-association lifetime seconds")),
    in_router("keyring-neighbours", "A keyring's key for anybody is for the router's own network of thirty hosts.",
              with_clients=True, meant=_keys_as(_ring_of_neighbours)),
    in_router("last-entry-first", "Entries of a map without profiles are tried from the last to the first.", with_clients=True,
              meant=_keys_as(_last_entry_first)),
    in_router("pool-from-excluded", "A pool begins at the first address that DHCP is to leave out.", with_clients=True,
              meant=_from_the_excluded),
)  # fmt: skip
