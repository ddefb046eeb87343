"""Tunnel-mode endpoints of routers: SPIs, NAT transparency, the order of crypto maps, dynamic entries, what comes in the clear."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.errors import ProtocolError
from harness.faults.fault import Fault, in_endpoint
from harness.virtual.access_list import Entry as Permit
from harness.virtual.access_list import flow_of
from harness.virtual.crypto_map import CryptoMap, DynamicReference, IsakmpEntry, missing, places, proposals
from harness.virtual.ios.configuration import Entry
from harness.virtual.ios.endpoint_meaning import Plan, plan
from harness.virtual.nat_transparency import NatTransparency
from harness.virtual.peers import Association
from harness.virtual.router import echo_answer, forwarded
from harness.virtual.vpn_endpoint import INSIDE, VpnEndpoint
from harness.virtual.vpn_negotiation import Negotiation
from harness.virtual.vpn_sa import VpnSa, VpnSas
from harness.virtual.vpn_settings import EndpointSettings
from harness.wire.config import Child, IkeConfig, Selector


def planned(change: Callable[[EndpointSettings], EndpointSettings]) -> Callable[[Entry, frozenset[str], str], Plan]:
    """The plan of what is configured, with `change` made to its settings."""

    def made(tree: Entry, features: frozenset[str], known: str) -> Plan:
        found = plan(tree, features, known)
        return found if found.settings is None else replace(found, settings=change(found.settings))

    return made


# SPIs and NAT transparency


class RandomSpis(Negotiation):
    def _choose_spi(self, theirs: int, *, matching: bool) -> int | None:
        return super()._choose_spi(theirs, matching=False)


class BothMethods(NatTransparency):
    """NAT traversal is announced beside the matching of SPIs."""

    @property
    def vendor_ids(self) -> tuple[bytes, ...]:
        return NatTransparency().vendor_ids


def _both(settings: EndpointSettings) -> EndpointSettings:
    asked = settings.nat_transparency
    return replace(settings, nat_transparency=BothMethods(asked.spi_matching, asked.udp_off)) if asked.spi_matching else settings


# Crypto maps


def _backwards(crypto_map: CryptoMap | None) -> CryptoMap | None:
    return None if crypto_map is None else replace(crypto_map, entries=crypto_map.entries[::-1])


def _reversed(settings: EndpointSettings) -> EndpointSettings:
    return replace(settings, policy=replace(settings.policy, crypto_map=_backwards(settings.policy.crypto_map)))


class AnswersOtherwise(Negotiation, ABC):
    """What somebody asks for is looked up as it should be; what is answered is another thing."""

    def _config(self, association: Association, *, known: bool) -> IkeConfig:
        config = super()._config(association, known=known)
        asked = config.children
        assert asked is not None

        def children(local: Selector, remote: Selector) -> Sequence[Child] | int:
            return self.answer(asked(local, remote), local, remote)

        return replace(config, children=children)

    @abstractmethod
    def answer(self, found: Sequence[Child] | int, local: Selector, remote: Selector) -> Sequence[Child] | int:
        """In place of what was found: children, or the notification by which it is refused."""


class RefusesNobody(AnswersOtherwise):
    """What no entry permits is served by the first dynamic one."""

    def answer(self, found: Sequence[Child] | int, local: Selector, remote: Selector) -> Sequence[Child] | int:
        return found if not isinstance(found, int) else self._any(local, remote) or found

    def _any(self, local: Selector, remote: Selector) -> list[Child]:
        policy = self.settings.policy
        return [
            Child(place.name, local, remote, proposals(policy, place.entry), place.entry.pfs)
            for place in places(policy)
            if isinstance(place.reference, DynamicReference)
            and isinstance(place.entry, IsakmpEntry)
            and missing(policy, place) is None
        ][:1]


@dataclass(slots=True)
class KeptPermits(VpnSas):
    """What SAs that have gone were for."""

    kept: dict[str, list[Permit]] = field(default_factory=dict)

    def remove(self, sa: VpnSa) -> None:
        VpnSas.remove(self, sa)
        there = self.kept.setdefault(sa.name, [])
        if sa.permit not in there:
            there.append(sa.permit)

    def permits(self) -> dict[str, list[Permit]]:
        found = VpnSas.permits(self)
        return {name: [*found.get(name, []), *self.kept.get(name, [])] for name in (*found, *self.kept)}


class LeavesEntries(Negotiation):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.sas = KeptPermits()


class FirstPeer(Negotiation):
    def peer_of(self, name: str, entry: IsakmpEntry) -> str:
        return entry.peers[0]


class NeverSpent(Negotiation):
    def spend(self, now: float, sa: VpnSa) -> None:
        """No lifetime in kilobytes is ever up."""


# What passes


class TakesClear(VpnEndpoint):
    def _clear_in(self, now: float, packet: bytes) -> None:
        self.counts["clear-in"] += 1
        if packet[16:20] != self._own:
            self._packets.append((INSIDE, forwarded(packet)))
            return
        answer = echo_answer(packet)
        if answer is not None:
            self._out(now, answer)


class DropsAllClear(VpnEndpoint):
    def _clear_in(self, now: float, packet: bytes) -> None:
        if self._settings.policy.crypto_map is None:
            super()._clear_in(now, packet)
        else:
            raise ProtocolError("crypto map", f"{flow_of(packet)} came in the clear")


FAULTS: tuple[Fault, ...] = (
    in_endpoint("spis-random", "An endpoint with SPI matching chooses its SPIs by chance, and takes any.", negotiation=RandomSpis),
    in_endpoint(
        "udp-regardless",
        "NAT transparency is UDP encapsulation, whatever is configured.",
        plan=planned(lambda settings: replace(settings, nat_transparency=NatTransparency())),
    ),
    in_endpoint("both-methods", "NAT traversal is announced beside SPI matching.", plan=planned(_both)),
    in_endpoint("sequence-reversed", "Entries of a crypto map are tried from the last to the first.", plan=planned(_reversed)),
    in_endpoint("dynamic-anybody", "A dynamic entry serves flows that its access list does not permit.", negotiation=RefusesNobody),
    in_endpoint("temporary-left", "The temporary entry of a dynamic one stays when its SA has gone.", negotiation=LeavesEntries),
    in_endpoint("first-peer-only", "Of an entry's peers only the first is ever tried.", negotiation=FirstPeer),
    in_endpoint("kilobytes-ignored", "A lifetime in kilobytes never ends.", negotiation=NeverSpent),
    in_endpoint("clear-in-taken", "What comes in the clear passes, though an access list protects it.", core=TakesClear),
    in_endpoint("clear-in-refused", "What comes in the clear is dropped, protected by an access list or not.", core=DropsAllClear),
)
