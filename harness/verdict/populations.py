"""Clients of different kinds at one gateway: a LAC with a source port of its own, two NATs, some with no NAT before them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.model import Side, Verdict
from harness.verdict.confusion import towards_clients
from harness.verdict.findings import Findings, require
from harness.verdict.ports import FIRST_PORT, L2TP_PORT, at_boundary
from harness.verdict.pulse import carriers
from harness.verdict.reading import Reading
from harness.verdict.sites import DIRECT, as_captured, capture_of, parts
from harness.verdict.survival import Life
from harness.verdict.survivors import LOSS_BUDGET, expect_alive, expect_own_words, lost_in_words
from harness.verdict.trust import TRAFFIC, Need, check, doubts

Key = tuple[str, int]
"""Address and port by which L2TP knows a peer."""


@check(Need.OUTSIDE, Need.FAR_END, Need.TRANSLATED)
def floating_port_does_not_clash(reading: Reading, *, port: int = FIRST_PORT) -> Verdict:
    """Scenario "floating-port": a peer whose own L2TP source port is `port`, beside a client translated to that port.

    Both stay up, L2TP knows each by an address and port of its own, and each is answered at the port that it sends from.
    """
    own = {c: ports for c in reading.clients if (ports := _inner_ports(reading, c, "up"))}
    floating = [c for c, ports in own.items() if ports == {port}]
    standard = [c for c, ports in own.items() if ports == {L2TP_PORT}]
    require(bool(floating), f"no client sends from port {port} inside its ESP: {own}")
    require(bool(standard), f"no client sends from {L2TP_PORT}")
    f = Findings(inner_ports={c: sorted(ports) for c, ports in own.items()})
    _expect_parts_alive(f, reading, at_least=2)
    _expect_own_keys(f, reading)
    for client, ports in own.items():
        for o in carriers(reading, Side.OUTSIDE, "down"):
            if reading.sa_owner(o) == client and o.inner is not None:
                f.expect(o.inner.dport in ports, f"{client} sends from {sorted(ports)} and is answered at {o.inner.dport}", o)
    return f.verdict(f"{', '.join(floating)} sends from {port}; L2TP tells all apart: {f.facts['keys']}")


@check(Need.OUTSIDE, Need.FAR_END)
def same_inside_address_behind_two_nats(reading: Reading) -> Verdict:
    """Scenario "two-nats": clients of one inside address behind two NATs are both up, in tunnels of their own."""
    sites: dict[str, list[Any]] = {}
    for plan in reading.evidence.plans:
        sites.setdefault(plan.address, []).append(plan)
    shared = {a: plans for a, plans in sites.items() if len({p.site for p in plans}) > 1}
    require(bool(shared), "no two clients of different sites have one inside address")
    f = Findings(shared={a: {p.name: p.site for p in plans} for a, plans in shared.items()})
    _expect_parts_alive(f, reading, at_least=2)
    for plans in shared.values():
        names = [p.name for p in plans]
        known = {c: reading.identities.get(c) for c in names}
        missing = [c for c, i in known.items() if i is None or i.tunnel_gateway is None]
        require(not missing or bool(f.faults), f"the captures do not show the tunnel of {', '.join(missing)}")
        tunnels = {c: i.tunnel_gateway for c, i in known.items() if i is not None}
        f.expect(len(set(tunnels.values())) == len(tunnels), f"{', '.join(names)} share the gateway's tunnel {tunnels}")
        outside = {c: i.outside for c, i in known.items() if i is not None}
        require(len(set(outside.values())) == len(names) or bool(f.faults), f"{', '.join(names)} came from one address: {outside}")
        f.facts.setdefault("tunnels", {}).update(tunnels)
    return f.verdict(f"{', '.join(f.facts['tunnels'])} have one inside address, and tunnels {f.facts['tunnels']}")


@check(Need.OUTSIDE, Need.FAR_END)
def mixed_population_lives(reading: Reading, *, nated: int = 2, direct: int = 1) -> Verdict:
    """Scenario "mixed": clients behind a NAT, one with an address of its own and a LAC are all up, and nobody gets another's words.

    At least so many of each kind. A LAC is known by a personality that says so; where it stands is its plan's `site`.
    """
    kinds = {
        "behind a NAT": [p.name for p in reading.evidence.plans if p.site != DIRECT],
        "direct": [p.name for p in reading.evidence.plans if p.site == DIRECT],
        "LAC": [p.name for p in reading.evidence.plans if "lac" in p.personality.lower().replace("_", "-").split("-")],
    }
    for kind, least in (("behind a NAT", nated), ("direct", direct), ("LAC", 1)):
        require(len(kinds[kind]) >= least, f"{len(kinds[kind])} clients of the kind {kind!r}, {least} are needed")
    f = Findings(kinds=kinds)
    found = _expect_parts_alive(f, reading, at_least=3)
    if reading.capture(Side.TRANSLATED) is not None:
        _expect_own_keys(f, reading)
    return f.verdict(f"{len(found)} clients of three kinds live together: {kinds}")


@check(Need.OUTSIDE)
def all_survive_at_every_site(reading: Reading) -> Verdict:
    """Whoever is behind one of several NATs, or behind none: everyone comes up, stays up, and hears its own words only."""
    f = Findings()
    found = _expect_parts_alive(f, reading, at_least=1)
    return f.verdict(f"{len(found)} clients at {len(parts(reading.evidence))} sites, and all stayed up; {lost_in_words(found)}")


def _expect_parts_alive(f: Findings, reading: Reading, *, at_least: int) -> dict[str, Life]:
    """Everyone of every site comes up, stays up and hears its own words only; what is found is told in the captures' own terms."""
    require(len(reading.clients) >= at_least, f"{len(reading.clients)} clients were planned, {at_least} are needed")
    alive: dict[str, Life] = {}
    clients: dict[str, Any] = {}
    died: list[Any] = []
    for number, evidence in parts(reading.evidence).items():
        part = Reading(evidence)
        found = doubts(part, TRAFFIC)
        where = f"site {number}: " if number != 1 else ""
        require(not found or bool(f.faults), "; ".join(f"{where}{doubt}" for doubt in found[:4]))
        own = Findings()
        lives = expect_alive(own, part, at_least=1, loss_budget=LOSS_BUDGET)
        expect_own_words(own, part, towards_clients(part), lives)
        f.judged += own.judged
        f.faults += [f"{where}{fault}" for fault in own.faults]
        alive.update(lives)
        clients.update(own.facts["clients"])
        died += own.facts["deaths"]
        if own.faults:
            f.point_at(*as_captured(own.verdict(""), capture_of(reading.evidence, number)).frames)
    f.facts.update(clients=clients, deaths=died)
    return alive


def _expect_own_keys(f: Findings, reading: Reading) -> None:
    """No two clients are one to L2TP: each comes from an address and port of its own."""
    keys: dict[str, dict[Key, Any]] = {}
    for b in at_boundary(reading):
        if b.direction == "up" and b.client is not None:
            keys.setdefault(b.client, {}).setdefault((b.frame.src, b.port), b.frame)
    _require_all(f, reading, keys)
    owners: dict[Key, str] = {}
    for client, own in keys.items():
        for key, frame in own.items():
            other = owners.setdefault(key, client)
            f.expect(other == client, f"L2TP knows {other} and {client} as one: {key[0]}, port {key[1]}", frame)
    f.facts["keys"] = {c: [f"{a}:{p}" for a, p in own] for c, own in keys.items()}


def _require_all(f: Findings, reading: Reading, seen: Mapping[str, object]) -> None:
    missing = [c for c in reading.clients if c not in seen]
    require(not missing or bool(f.faults), f"nothing of {', '.join(missing)} was captured at the L2TP boundary")


def _inner_ports(reading: Reading, client: str, direction: str) -> set[int]:
    frames = (o for o in carriers(reading, Side.OUTSIDE, direction) if reading.sa_owner(o) == client and o.inner is not None)
    return {o.inner.sport if direction == "up" else o.inner.dport for o in frames if o.inner is not None}
