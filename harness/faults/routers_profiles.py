"""Routers whose crypto profiles are cloned, negotiated or used otherwise than they are to be; and the path MTU of their tunnels."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from harness.faults.fault import Fault, in_router
from harness.faults.router_readings import groups_with, vpdn_as
from harness.virtual.ios.core import IosCore, IosIpsec
from harness.virtual.peers import Association
from harness.virtual.sadb import Sa
from harness.virtual.vpdn.crypto import CryptoProfile
from harness.virtual.vpdn.groups import Group, Vpdn
from harness.virtual.vpdn.lines import LacTunnel
from harness.virtual.vpdn.lns import Held
from harness.virtual.vpdn.maps import CryptoMaps, Flow, MapEntry
from harness.virtual.vpdn.paths import Paths
from harness.virtual.vpdn.pmtu import Told
from harness.wire import ip
from harness.wire.config import IkeConfig
from harness.wire.esp import InboundSa, ReplayWindow

# Clones


class WithMaps(IosIpsec):
    """`maps_type` is what its crypto maps are."""

    maps_type: type[CryptoMaps] = CryptoMaps

    def __init__(self, *given: object) -> None:
        super().__init__(*given)
        self.maps = self.maps_type(self._crypto)


def _maps(kind: type[CryptoMaps]) -> type[WithMaps]:
    return type(f"IpsecWith{kind.__name__}", (WithMaps,), {"maps_type": kind})


class NoClones(CryptoMaps):
    def clone(self, profile: CryptoProfile, flow: Flow) -> MapEntry:
        made = super().clone(profile, flow)
        self.release(flow)
        return made


class KeepsClones(CryptoMaps):
    def release(self, flow: Flow) -> None:
        """It stays."""


class ByHosts(CryptoMaps):
    def matching(self, protocol: int, source: str, sport: int, destination: str, dport: int) -> MapEntry | None:
        hosts = source, destination
        clones = (one for one in self if one.flow is not None)
        return next((one for one in clones if one.flow is not None and (one.flow.local, one.flow.remote) == hosts), None)


class FirstLives(CryptoMaps):
    """A clone has the lifetimes that its profile had when it was first cloned."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._first: dict[str, tuple[int, int]] = {}

    def clone(self, profile: CryptoProfile, flow: Flow) -> MapEntry:
        assert self.crypto is not None
        seconds, kilobytes = self._first.setdefault(profile.name, self.crypto.lifetimes(profile))
        return super().clone(replace(profile, lifetime_s=seconds, lifetime_kb=kilobytes), flow)


class HeedsPeers(IosCore):
    def _protect(self, now: float, tunnel: LacTunnel) -> str | None:
        security, vpdn = tunnel.group.security, self._settings.vpdn
        crypto = None if vpdn is None else vpdn.crypto
        profile = None if security is None or crypto is None else crypto.profile(security.profile)
        if profile is not None and profile.peer not in (None, tunnel.address):
            return f"crypto profile {profile.name} is for {profile.peer}"
        return super()._protect(now, tunnel)


def _any_map(vpdn: Vpdn) -> Vpdn:
    crypto = vpdn.crypto
    if crypto is None or crypto.applied is not None or not crypto.profiles:
        return vpdn
    return replace(vpdn, crypto=replace(crypto, applied=crypto.profiles[0].map_name))


# What is negotiated


class ReversedSets(IosIpsec):
    def _config(self, association: Association) -> IkeConfig:
        config = super()._config(association)
        return replace(config, esp_proposals=config.esp_proposals[::-1])


class FiveSets(IosIpsec):
    def _config(self, association: Association) -> IkeConfig:
        config = super()._config(association)
        return replace(config, esp_proposals=config.esp_proposals[:5])


class TransportAlways(IosIpsec):
    def _config(self, association: Association) -> IkeConfig:
        return replace(super()._config(association), mode="transport")


class PfsAlways(IosIpsec):
    def _config(self, association: Association) -> IkeConfig:
        return replace(super()._config(association), pfs="modp1024")


class PfsNever(IosIpsec):
    def _config(self, association: Association) -> IkeConfig:
        return replace(super()._config(association), pfs=None)


class AnybodysKey(IosIpsec):
    def _config(self, association: Association) -> IkeConfig:
        config = super()._config(association)
        key = next(iter(self.keys_of().keys.values()), None)
        return config if key is None else replace(config, psk=key.reveal().encode())


# ESP


class NoLeftEdge(ReplayWindow):
    """What lies left of the window is taken for new."""

    __slots__ = ()

    def check(self, sequence: int) -> None:
        if self.highest - sequence < 64:
            super().check(sequence)


class NoWindow(ReplayWindow):
    __slots__ = ()

    def check(self, sequence: int) -> None:
        """Anything goes."""


class MovesFirst(ReplayWindow):
    __slots__ = ()

    def check(self, sequence: int) -> None:
        super().check(sequence)
        self.mark(sequence)


class TakesAnyIcv(InboundSa):
    __slots__ = ()

    def open(self, packet: bytes) -> tuple[int, bytes]:
        mac = self._mac.copy()
        mac.update(packet[: len(packet) - self._icv])
        good = mac.digest()[: self._icv]
        return super().open(packet if hmac.compare_digest(good, packet[-self._icv :]) else packet[: -self._icv] + good)


class CountsTwice(InboundSa):
    __slots__ = ()

    def open(self, packet: bytes) -> tuple[int, bytes]:
        found = super().open(packet)
        self.packets += 1
        return found


class CountsNothing(InboundSa):
    __slots__ = ()

    def open(self, packet: bytes) -> tuple[int, bytes]:
        counted = self.packets
        try:
            return super().open(packet)
        finally:
            self.packets = counted


class CountsOutAsIn(IosIpsec):
    def _send_in(self, now: float, sa: Sa, sport: int, dport: int, payload: bytes) -> None:
        super()._send_in(now, sa, sport, dport, payload)
        sa.inbound.packets += 1


# The path's MTU


class BelievesQuotations(Paths):
    def _sent_as(self, told: Told) -> list[tuple[Group | None, Held | LacTunnel]]:
        found: list[tuple[Group | None, Held | LacTunnel]] = []
        for tunnel in self._lns.tunnels.values():
            held = self._lns.held.get(tunnel.number)
            if held is not None and tunnel.address == told.destination:
                found.append((held.group, held))
        return found + [(own.group, own) for own in self._lac.tunnels.values() if own.address == told.destination]


class LearnsNothing(Paths):
    def learn(self, told: Told) -> str | None:
        return "nothing is learnt"


class CountsPayloadOnly(Paths):
    """The room in a tunnel is taken for the path's MTU without its outer IP header alone."""

    def _room(self, learnt: int | None, client: object) -> int:
        return self._mtu(learnt) - 20


def _all_groups(vpdn: Vpdn) -> Vpdn:
    if not any(group.pmtu for group in (*vpdn.accept, *vpdn.request)):
        return vpdn
    accept = tuple(replace(group, pmtu=True) for group in vpdn.accept)
    return replace(vpdn, accept=accept, request=tuple(replace(group, pmtu=True) for group in vpdn.request))


class ReflectsNothing(IosCore):
    @contextmanager
    def _outer_df(self, packet: bytes, group: Group | None) -> Iterator[None]:
        with super()._outer_df(packet, None if group is None else replace(group, pmtu=False)):
            yield


class CutsNothing(IosCore):
    """Don't Fragment is on whatever goes out, reflected or not."""

    @contextmanager
    def _outer_df(self, packet: bytes, group: Group | None) -> Iterator[None]:
        with super()._outer_df(packet[:6] + (int.from_bytes(packet[6:8]) | ip.DONT_FRAGMENT).to_bytes(2) + packet[8:], group):
            yield


FAULTS: tuple[Fault, ...] = (
    in_router("clone-not-made", "A tunnel makes no crypto map entry of its profile.", ipsec=_maps(NoClones)),
    in_router("clone-not-released", "A tunnel's crypto map entry stays when it has ended.", ipsec=_maps(KeepsClones)),
    in_router("clone-of-hosts", "A tunnel's crypto map entry permits all UDP between the two hosts.", ipsec=_maps(ByHosts)),
    in_router("clone-first-lives", "A clone has the lifetimes that its profile had at the first one.", ipsec=_maps(FirstLives)),
    in_router("profile-peer-heeded", "A profile with a peer protects tunnels to that peer alone.", core=HeedsPeers),
    in_router("map-on-no-interface", "A crypto map protects without being on an interface.", meant=vpdn_as(_any_map)),
    in_router("sets-reversed", "Transform sets are tried from the last to the first.", ipsec=ReversedSets),
    in_router("sets-five", "The sixth transform set is left out.", ipsec=FiveSets),
    in_router("mode-ignored", "Transform sets are in transport mode, whatever they say of it.", ipsec=TransportAlways),
    in_router("pfs-always", "Every quick mode has a Diffie-Hellman exchange of its own, asked for or not.", ipsec=PfsAlways),
    in_router("pfs-never", "Quick mode has no Diffie-Hellman exchange of its own, asked for or not.", ipsec=PfsNever),
    in_router("key-of-anybody", "Phase 1 takes the first key that there is, whosever it is.", ipsec=AnybodysKey),
    in_router("router-replay-left", "ESP that lies left of the replay window is taken for new.", replay_window=NoLeftEdge),
    in_router("router-replay-unchecked", "ESP is not looked at for repetition.", replay_window=NoWindow),
    in_router("router-replay-forged", "ESP moves the replay window before it is known to be authentic.", replay_window=MovesFirst),
    in_router("router-icv-unchecked", "The ICV of ESP is not verified.", inbound_sa=TakesAnyIcv),
    in_router("engine-counts-twice", "Each packet that is decrypted is counted twice.", inbound_sa=CountsTwice),
    in_router(
        "engine-counts-out-as-in",
        "What is decrypted is not counted, and what is encrypted is counted as decrypted.",
        ipsec=CountsOutAsIn,
        inbound_sa=CountsNothing,
    ),
    in_router("path-mtu-unauthentic", "The path MTU is learnt from any quotation that names the peer.", paths=BelievesQuotations),
    in_router("path-mtu-of-all", "With `ip pmtu` in one group it is on in all groups.", meant=vpdn_as(_all_groups)),
    in_router("path-mtu-never", "No ICMP message teaches a path MTU.", paths=LearnsNothing),
    in_router("path-mtu-too-much-room", "What IPsec and L2TP add is left out of what fits the path.", paths=CountsPayloadOnly),
    in_router("df-not-reflected", "The outer packet never has the inner one's Don't Fragment.", core=ReflectsNothing),
    in_router("df-reflected-always", "With `ip pmtu` the outer packet always has Don't Fragment.", core=CutsNothing),
    in_router("dfbit-ignored", "The line `ip dfbit set` is ignored.", meant=groups_with(df_bit="clear")),
)
