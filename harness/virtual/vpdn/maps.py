"""The crypto map on the interface as it lives: its profiles, which match nothing, and a clone of one for each L2TP socket that it
protects, with the peer and an access list of exactly that socket."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.virtual.vpdn.crypto import Crypto, CryptoProfile
from harness.wire import ip

STEP = 10
"""Between the sequence numbers of entries that are made on demand."""
NO_PEER = "0.0.0.0"
L2TP_PORT = 1701


@dataclass(frozen=True, slots=True)
class Flow:
    """A UDP socket: `permit udp host LOCAL port = LOCAL_PORT host REMOTE port = REMOTE_PORT`."""

    local: str
    local_port: int
    remote: str
    remote_port: int

    def permits(self, protocol: int, source: str, sport: int, destination: str, dport: int) -> bool:
        """Of a packet that goes out; exactly this one flow, and nothing else between the two hosts."""
        ends = self.local, self.local_port, self.remote, self.remote_port
        return protocol == ip.UDP and (source, sport, destination, dport) == ends

    def __str__(self) -> str:
        here, there = f"host {self.local} port = {self.local_port}", f"host {self.remote} port = {self.remote_port}"
        return f"permit udp {here} {there}"


@dataclass(frozen=True, slots=True)
class MapEntry:
    """One entry of a crypto map. A template has no flow, and no peer but NO_PEER. Lifetimes are those in force for what it
    negotiates, in seconds and kilobytes; `sets` names of transform sets, best first; `tunnels` how many use a clone."""

    map_name: str
    sequence: int
    profile: str
    interface: str | None
    peer: str
    flow: Flow | None
    lifetime_s: int
    lifetime_kb: int
    pfs: str | None
    sets: tuple[str, ...]
    tunnels: int = 0


class CryptoMaps:
    """`entries` in order of their sequence numbers. Clones keep what their template said when they were made."""

    def __init__(self, crypto: Crypto | None) -> None:
        self.crypto = crypto
        self._clones: dict[Flow, MapEntry] = {}

    def __iter__(self) -> Iterator[MapEntry]:
        """All, of every map; those of a map that is on no interface have none."""
        crypto = self.crypto
        templates = () if crypto is None else (self._entry(crypto, profile) for profile in crypto.profiles)
        return iter(sorted((*templates, *self._clones.values()), key=lambda entry: (entry.map_name, entry.sequence)))

    def clone(self, profile: CryptoProfile, flow: Flow) -> MapEntry:
        """The entry for a socket, made where it is not there yet; one more tunnel uses it."""
        crypto = self.crypto
        assert crypto is not None  # a profile comes from it
        known = self._clones.get(flow)
        if known is None:
            last = max(entry.sequence for entry in self if entry.map_name == profile.map_name)
            known = replace(self._entry(crypto, profile), sequence=last + STEP, peer=flow.remote, flow=flow)
        self._clones[flow] = replace(known, tunnels=known.tunnels + 1)
        return self._clones[flow]

    def release(self, flow: Flow) -> None:
        """One tunnel less; the entry goes with the last."""
        known = self._clones.get(flow)
        if known is None:
            return
        if known.tunnels > 1:
            self._clones[flow] = replace(known, tunnels=known.tunnels - 1)
        else:
            del self._clones[flow]

    def matching(self, protocol: int, source: str, sport: int, destination: str, dport: int) -> MapEntry | None:
        """The entry that protects a packet on its way out: the first that permits it. None: it goes as it is."""
        ends = protocol, source, sport, destination, dport
        return next((entry for entry in self if entry.flow is not None and entry.flow.permits(*ends)), None)

    @staticmethod
    def _entry(crypto: Crypto, profile: CryptoProfile) -> MapEntry:
        interface = crypto.interface if profile.map_name == crypto.applied else None
        names = tuple(one.name for one in profile.sets)
        ends = profile.map_name, profile.sequence, profile.name, interface
        return MapEntry(*ends, NO_PEER, None, *crypto.lifetimes(profile), profile.pfs, names)
