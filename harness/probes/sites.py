"""Pairs and identities of a population that is not behind one NAT: a second site, clients on the outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from harness.model import ClientPlan, Identity, Observation, Side, Site
from harness.probes.identity import identities
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

    def known(number: int, sides: Mapping[Side, Sequence[Observation]], pairing: Pairing) -> tuple[Identity, ...]:
        clients = {p.name: p.address for p in plans if p.site == number}
        return identities(sides, pairing.pairs, clients, gateway)

    first_sides = {Side.INSIDE: observations.get(Side.INSIDE, ()), Side.OUTSIDE: seen_by(nat_outside)}
    first = pair(first_sides[Side.INSIDE], first_sides[Side.OUTSIDE], gateway)
    found = list(known(1, first_sides, first))
    filled = []
    for site in sites:
        own = {Side.INSIDE: observations.get(site.side, ()), Side.OUTSIDE: seen_by(site.outside)}
        crossed = pair(own[Side.INSIDE], own[Side.OUTSIDE], gateway)
        found += known(site.number, own, crossed)
        filled.append(replace(site, pairs=crossed.pairs))
    if strangers:
        direct = tuple(o for o in outside if {o.src, o.dst} & strangers)
        found += known(DIRECT, {Side.INSIDE: direct, Side.OUTSIDE: direct}, pair(direct, direct, gateway))
    by_name = {one.client: one for one in found}
    return first, tuple(by_name[p.name] for p in plans if p.name in by_name), tuple(filled)
