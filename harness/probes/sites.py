"""Pairs and identities of a population that is not behind one NAT: a second site, clients on the outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from harness.model import ClientPlan, Identity, Observation, Side, Site
from harness.probes.identity import Sa, agreed, identities
from harness.probes.pairing import Pairing, pair

DIRECT = 0


def sort_out(
    observations: Mapping[Side, Sequence[Observation]],
    plans: Iterable[ClientPlan],
    gateway: str,
    nat_outside: str,
    sites: Iterable[Site] = (),
) -> tuple[Pairing, tuple[Identity, ...], tuple[Site, ...]]:
    """The pairs across the first NAT, everybody's identity in the order of `plans`, and the `sites` with their pairs filled in.

    `sites` names each further NAT by number, outside address and the capture of its inside. Where every plan is of site 1 the
    result is that of `pair` and `identities` alone.
    """
    plans, sites = tuple(plans), tuple(sites)
    outside = observations.get(Side.OUTSIDE, ())
    strangers = {p.address for p in plans if p.site == DIRECT}

    def seen_by(own: str) -> tuple[Observation, ...]:
        others = (strangers | {nat_outside, *(s.outside for s in sites)}) - {own}
        return tuple(o for o in outside if not {o.src, o.dst} & others)

    direct = tuple(o for o in outside if {o.src, o.dst} & strangers)
    insides = {1: observations.get(Side.INSIDE, ()), **{s.number: observations.get(s.side, ()) for s in sites}, DIRECT: direct}
    own_sas = {number: agreed(frames, gateway) for number, frames in insides.items()} if sites or strangers else {}

    def known(number: int, sides: Mapping[Side, Sequence[Observation]], pairing: Pairing) -> tuple[Identity, ...]:
        clients = {p.name: p.address for p in plans if p.site == number}
        elsewhere = frozenset[Sa]().union(*(sas for other, sas in own_sas.items() if other != number))
        return identities(sides, pairing.pairs, clients, gateway, elsewhere)

    first_sides = {Side.INSIDE: insides[1], Side.OUTSIDE: seen_by(nat_outside)}
    first = pair(first_sides[Side.INSIDE], first_sides[Side.OUTSIDE], gateway)
    found = list(known(1, first_sides, first))
    filled = []
    for site in sites:
        own = {Side.INSIDE: insides[site.number], Side.OUTSIDE: seen_by(site.outside)}
        crossed = pair(own[Side.INSIDE], own[Side.OUTSIDE], gateway)
        found += known(site.number, own, crossed)
        filled.append(replace(site, pairs=crossed.pairs))
    if strangers:
        found += known(DIRECT, {Side.INSIDE: direct, Side.OUTSIDE: direct}, pair(direct, direct, gateway))
    by_name = {one.client: one for one in found}
    return first, tuple(by_name[p.name] for p in plans if p.name in by_name), tuple(filled)
