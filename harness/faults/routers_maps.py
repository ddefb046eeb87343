"""Tunnel-mode endpoints of routers that remember what was configured, let out what has to wait, or grant too much or too little."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from harness.faults.fault import ENDPOINT, Fault, in_endpoint
from harness.faults.routers_endpoints import AnswersOtherwise, planned
from harness.virtual.access_list import flow_of
from harness.virtual.crypto_map import (
    CryptoMap,
    IsakmpEntry,
    ManualEntry,
    MapEntry,
    Match,
    access_list,
    outbound,
    places,
)
from harness.virtual.ios.configuration import Entry
from harness.virtual.ios.endpoint_meaning import Plan, plan
from harness.virtual.ios.endpoint_role import EndpointParts
from harness.virtual.nat_transparency import NatTransparency
from harness.virtual.peers import Association
from harness.virtual.vpn_discovery import discovers
from harness.virtual.vpn_endpoint import OUTSIDE, VpnEndpoint
from harness.virtual.vpn_negotiation import Negotiation, Standing
from harness.virtual.vpn_settings import EndpointSettings
from harness.wire import events
from harness.wire.config import Child, Selector
from harness.wire.ike.registry import INVALID_ID_INFORMATION

# NAT transparency


def _udp_off(settings: EndpointSettings) -> EndpointSettings:
    matching = settings.nat_transparency.spi_matching
    return replace(settings, nat_transparency=NatTransparency(matching, udp_off=not matching))


class OnceMatching:
    """Reads no end of SPI matching."""

    def __init__(self) -> None:
        self._on = False

    def __call__(self, tree: Entry, features: frozenset[str], known: str) -> Plan:
        found = plan(tree, features, known)
        if found.settings is None:
            return found
        self._on = self._on or found.settings.nat_transparency.spi_matching
        return replace(found, settings=self._still(found.settings))

    def _still(self, settings: EndpointSettings) -> EndpointSettings:
        return replace(settings, nat_transparency=NatTransparency(spi_matching=True)) if self._on else settings


class DropsUnmatched(Negotiation):
    """With SPI matching on, SAs whose SPIs do not match are dropped without a word."""

    def _install(self, now: float, association: Association, standing: Standing, event: events.EspUp) -> None:
        super()._install(now, association, standing, event)
        for sa in [one for one in self.sas if one.association is association and one.predictable is False]:
            self.sas.remove(sa)


# Entries


class Remembered:
    """An entry of IKE's stays what it was when it was first complete, edited or removed."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], IsakmpEntry] = {}

    def __call__(self, tree: Entry, features: frozenset[str], known: str) -> Plan:
        found = plan(tree, features, known)
        crypto_map = None if found.settings is None else found.settings.policy.crypto_map
        if found.settings is None or crypto_map is None:
            return found
        for one in crypto_map.entries:
            if isinstance(one, IsakmpEntry) and one.peers and one.match and one.transform_sets:
                self._known.setdefault((crypto_map.name, one.sequence), one)
        mine = {number: one for (name, number), one in self._known.items() if name == crypto_map.name}
        others = [one for one in crypto_map.entries if one.sequence not in mine]
        entries = sorted((*others, *mine.values()), key=lambda one: one.sequence)
        return replace(found, settings=with_entries(found.settings, crypto_map, entries))


def with_entries(settings: EndpointSettings, crypto_map: CryptoMap, entries: Sequence[MapEntry]) -> EndpointSettings:
    return replace(settings, policy=replace(settings.policy, crypto_map=replace(crypto_map, entries=tuple(entries))))


def _first_sets(settings: EndpointSettings) -> EndpointSettings:
    crypto_map = settings.policy.crypto_map
    if crypto_map is None:
        return settings
    entries = [
        replace(one, transform_sets=one.transform_sets[:1]) if isinstance(one, IsakmpEntry) else one for one in crypto_map.entries
    ]
    return with_entries(settings, crypto_map, entries)


def _without_keys(settings: EndpointSettings) -> EndpointSettings:
    crypto_map = settings.policy.crypto_map
    if crypto_map is None:
        return settings
    entries = [replace(one, keys=()) if isinstance(one, ManualEntry) else one for one in crypto_map.entries]
    return with_entries(settings, crypto_map, entries)


class WholeLinesOnly(AnswersOtherwise):
    """What somebody asks for has to be a whole line of the entry's list: a part of one is refused."""

    def answer(self, found: Sequence[Child] | int, local: Selector, remote: Selector) -> Sequence[Child] | int:
        if isinstance(found, int):
            return found
        return [one for one in found if self._whole(one.name, local, remote)] or INVALID_ID_INFORMATION

    def _whole(self, name: str, local: Selector, remote: Selector) -> bool:
        policy = self.settings.policy
        lists = {place.name: place.entry.match for place in places(policy) if isinstance(place.entry, IsakmpEntry)}
        match = lists.get(name)
        lines = () if match is None else access_list(policy, match).entries
        return match is None or any((line.source, line.destination) == (local, remote) for line in lines)


# What leaves


class LetsOut(VpnEndpoint, ABC):
    """What has no SA yet leaves as it is; `wanted` says of which entries."""

    def _out(self, now: float, packet: bytes) -> None:
        flow = flow_of(packet)
        match = outbound(self._settings.policy, flow, self.negotiation.sas.permits())
        if match is None or self.negotiation.sas.find(match.name, flow) is not None or not self.wanted(match):
            super()._out(now, packet)
            return
        self.counts["clear-out"] += 1
        self._packets.append((OUTSIDE, packet))
        if match.reference is None:
            self.negotiation.want(now, match)

    @abstractmethod
    def wanted(self, match: Match) -> bool: ...


class LetsDynamicOut(LetsOut):
    def wanted(self, match: Match) -> bool:
        return match.reference is not None and not discovers(match)


class LetsStaticOut(LetsOut):
    def wanted(self, match: Match) -> bool:
        return match.reference is None and isinstance(match.entry, IsakmpEntry)


def _reading(kind: type[Any]) -> Any:
    """An endpoint with a reading of its own, which remembers."""

    def broken(parts: EndpointParts) -> None:
        parts.plan = kind()

    return broken


FAULTS: tuple[Fault, ...] = (
    in_endpoint("udp-not-by-default", "UDP encapsulation is not what an endpoint does of itself.", plan=planned(_udp_off)),
    Fault("spi-matching-stays", ENDPOINT, "SPI matching that was on once stays on.", endpoint=_reading(OnceMatching)),
    in_endpoint("unmatched-dropped", "SAs whose SPIs do not match are dropped without a word.", negotiation=DropsUnmatched),
    Fault("entries-remembered", ENDPOINT, "A crypto map's entry stays what it was at first.", endpoint=_reading(Remembered)),
    in_endpoint("first-set-only", "Of an entry's transform sets the first alone is offered.", plan=planned(_first_sets)),
    in_endpoint("hand-keys-unused", "Keys that are set by hand are not used.", plan=planned(_without_keys)),
    in_endpoint("whole-lines-only", "Who asks for less than a line of the list permits is refused.", negotiation=WholeLinesOnly),
    in_endpoint("dynamic-let-out", "What a dynamic entry has no SA for leaves in the clear.", core=LetsDynamicOut),
    in_endpoint("static-let-out", "What a static entry has no SA for leaves in the clear.", core=LetsStaticOut),
)
