"""Worlds that last: clients that rekey, leave and come back; populations that no single NAT stands before; events of a gateway."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import verdict_builders as b

from harness.model import (
    CaptureFacts,
    Evidence,
    FrameKind,
    GatewayEvent,
    Identity,
    Observation,
    Pair,
    RecordKind,
    Side,
    Site,
    Step,
)

NAT_2, DIRECT = "203.0.113.240", "203.0.113.250"
Own = tuple[int, int, int]
"""A client's life, generation of its ESP SAs and of its ISAKMP SA."""


class LivesWorld(b.World):
    """As World, but each life and each rekey has SPIs and cookies of its own. `fixed` gives a port other than the next one to a
    client in one of its lives."""

    def __init__(self, count: int = 2, mode: str = "demux", *, fixed: dict[tuple[str, int], int] | None = None) -> None:
        self.own: dict[str, Own] = {f"c{n}": (0, 0, 0) for n in range(1, count + 1)}
        self.kept: dict[str, list[Identity]] = {}
        self.fixed = fixed or {}
        self.events: list[GatewayEvent] = []
        super().__init__(count, mode)

    def spi_in(self, client: str) -> str:
        life, gen, _ = self.own[client]
        return f"c{self.n(client):02x}{life:02x}{gen:02x}0"

    def spi_out(self, client: str) -> str:
        return "d" + self.spi_in(client)[1:]

    def cookies(self, client: str) -> tuple[str, str]:
        life, _, main = self.own[client]
        return f"{self.n(client):04x}{life:04x}{main:08x}", f"aa{self.n(client):02x}{life:04x}{main:08x}"

    def connect(self, client: str, t: float, *, ppp: bool = True, until: str | None = None) -> float:
        life = self.own[client][0] + 1
        self.own[client] = (life, 0, 0)
        self.gone.discard(client)
        self.kept.setdefault(client, []).append(
            replace(super().identity(client), since=t, until=t, spis_in=(self.spi_in(client),), spis_out=(self.spi_out(client),))
        )
        done = super().connect(client, t, ppp=ppp, until=until)
        if (client, life) in self.fixed:
            self.ports[client] = self.fixed[client, life]
        return done

    def boundary(self, packet: b.Packet, client: str) -> None:
        life = self.own[client][0]
        if (client, life) in self.fixed and client in self.ports:
            self.ports[client] = self.fixed[client, life]
        super().boundary(packet, client)

    def packet(self, client: str, t: float, direction: str, port: int, kind: FrameKind, name: str, **fields: Any) -> b.Packet:
        if client in self.kept and direction == "up":
            self.kept[client][-1] = replace(self.kept[client][-1], until=t)
        return super().packet(client, t, direction, port, kind, name, **fields)

    def rekey(self, client: str, t: float, *, by: str = "up", delete: bool = True) -> float:
        """A new pair of ESP SAs; the old pair is deleted two seconds later."""
        old = self.spi_in(client)
        life, gen, main = self.own[client]
        self.own[client] = (life, gen + 1, main)
        self._keep(client)
        proposal = {"protocol": "ESP", "encapsulation": 4}
        spis = {"up": self.spi_in(client), "down": self.spi_out(client)}
        back = "down" if by == "up" else "up"
        mid = 100 + gen
        for direction, message, facts in (
            (by, "QM1", {"proposals": [{**proposal, "spi": spis[by]}]}),
            (back, "QM2", {"proposals": [{**proposal, "spi": spis[back]}]}),
            (by, "QM3", {}),
        ):
            self.ike(client, t, direction, message, exchange="quick mode", message_id=mid, **facts)
            t += b.THINK
        self.record(t, client, RecordKind.ESP_UP, spi_in=self.spi_in(client), spi_out=self.spi_out(client), rekey=True)
        if delete:
            self.ike(client, t + 2.0, "up", "INFO", deletes=[{"protocol": "esp", "spis": [old]}])
        return t

    def rekey_ike(self, client: str, t: float) -> float:
        life, gen, main = self.own[client]
        self.own[client] = (life, gen, main + 1)
        self._keep(client)
        for direction, message in zip(("up", "down") * 3, ("MM1", "MM2", "MM3", "MM4", "MM5", "MM6"), strict=True):
            self.ike(client, t, direction, message)
            t += b.THINK
        return t

    def _keep(self, client: str) -> None:
        was = self.kept[client][-1]
        once = lambda row, new: row if new in row else (*row, new)  # noqa: E731
        self.kept[client][-1] = replace(
            was,
            spis_in=once(was.spis_in, self.spi_in(client)),
            spis_out=once(was.spis_out, self.spi_out(client)),
            cookies=once(was.cookies, self.cookies(client)),
        )

    def identity(self, client: str) -> Identity:
        lives = tuple(self.kept.get(client, ()))
        if not lives:
            return super().identity(client)
        return replace(
            lives[-1],
            gateway_port=None,
            cookies=tuple(c for one in lives for c in one.cookies),
            spis_in=tuple(s for one in lives for s in one.spis_in),
            spis_out=tuple(s for one in lives for s in one.spis_out),
            since=None,
            until=None,
            lives=lives if len(lives) > 1 else (),
        )

    def event(self, t: float, kind: str, client: str, **detail: Any) -> None:
        self.events.append(GatewayEvent(t, kind, b.NAT, self.outer(client, 4500), detail))

    def evidence(self, **overrides: Any) -> Evidence:
        return super().evidence(**{"gateway_events": tuple(self.events), **overrides})


def rekeying(times: int = 4, *, ike: bool = True, moves_to: int | None = None, count: int = 2) -> LivesWorld:
    """Clients that rekey so many times each, and their ISAKMP SA once; `moves_to`: the first one's port after its last rekey."""
    world = LivesWorld(count)
    t = b.T0
    for plan in world.plans:
        t = world.connect(plan.name, t) + 0.1
    t = world.hold(t, 3.0)
    for i in range(times):
        for plan in world.plans:
            t = world.rekey(plan.name, t) + 0.05
        if moves_to is not None and i == times - 1:
            world.ports["c1"] = moves_to
        t = world.hold(t + 0.1, 4.0)
    if ike:
        for plan in world.plans:
            t = world.rekey_ike(plan.name, t) + 0.05
            t = world.rekey(plan.name, t) + 0.05
        t = world.hold(t + 0.1, 4.0)
    world.view("end", t)
    b.over(world, t)
    for client in world.own:
        port, sa = world.ports[client], world.kept[client][-1].spis_out[0]
        up = next(p for p in world.packets if p.name == "QM3" and p.client == client).outside
        assert up is not None
        world.event(up.t, "esp-up", client, spi_in=sa, port=port)
        world.event(up.t, "port-given", client, port=port)
    return world


def returning(**fixed: int) -> LivesWorld:
    """Clients 1 and 2; the first closes, a third comes, the first returns. Ports by "c3_1" and the like, else the next."""
    world = LivesWorld(3, fixed={(k.split("_")[0], int(k.split("_")[1])): v for k, v in fixed.items()})
    t = world.hold(world.connect("c2", world.connect("c1", b.T0)) + 0.1, 3.0)
    ended = b.close(world, "c1", t, by="client")
    world.steps.append(Step("client-close:c1", t - 0.01, ended + 0.01, ("c1",), {"carried_out": True}))
    t = world.hold(ended + 0.2, 2.0)
    t = world.hold(world.connect("c3", t) + 0.1, 2.0)
    began = t
    t = world.connect("c1", t)
    world.steps.append(Step("return:c1", began, t, ("c1",)))
    t = world.hold(t + 0.1, 4.0)
    world.view("end", t)
    return over(world, t)


def over(world: LivesWorld, t: float) -> LivesWorld:
    b.over(world, t)
    return world


def churning(rounds: int = 3, count: int = 3, *, by: str = "client", port: int | None = None, leak: bool = False) -> LivesWorld:
    """Clients that come and go in turn while the others stay, rekeying now and then. `by`: who the leaver says it was; `port`: what
    the last newcomer gets; `leak`: the gateway never takes a port back."""
    world = LivesWorld(count)
    t = began = b.T0
    for plan in world.plans:
        t = world.connect(plan.name, t) + 0.1
    t = world.hold(t, 2.0)
    for i in range(rounds):
        client = world.plans[i % count].name
        t = world.hold(b.close(world, client, t + 0.3, by=by) + 0.3, 1.5)
        if port is not None and i == rounds - 1:
            world.fixed[client, world.own[client][0] + 1] = port
        t = world.connect(client, t) + 0.1
        t = world.rekey(world.plans[(i + 1) % count].name, t) + 0.05
        t = world.hold(t, 2.0)
    t = world.hold(t, 3.0)
    world.steps.append(Step("churn", began, t, (), {"seconds": t - began, "joins": rounds, "leaves": rounds}))
    world.view("end", t)
    if leak:
        last = world.views[-1]
        world.views[-1] = replace(last, ports={**last.ports, 90: 1090, 91: 1091})
    return over(world, t)


def storm(count: int = 4, failing: tuple[str, ...] = (), hold: float = 6.0) -> LivesWorld:
    """Arrivals at once; those in `failing` never get beyond SCCRQ."""
    world = LivesWorld(count)
    done = [
        world.connect(p.name, b.T0 + 0.02 * i, until="SCCRQ" if p.name in failing else None) for i, p in enumerate(world.plans)
    ]
    t = world.hold(max(done) + 0.1, hold)
    world.steps.append(Step("storm", b.T0, t, (), {"arrivals": count, "rate": 50}))
    world.view("end", t)
    return over(world, t)


# -- other populations ----------------------------------------------------------------------------------------------------------


def in_clear(world: b.World) -> Evidence:
    """The same run without IPsec: no IKE, and what ESP carried in UDP 1701."""
    kept = []
    for p in world.packets:
        if p.inside is None or p.inside.kind is not FrameKind.ESP:
            continue
        for side in ("inside", "outside"):
            o = getattr(p, side)
            if o is None:
                continue
            port = 1701 if side == "inside" else 30_000 + int(p.client[1:])
            ends = {"sport": port, "dport": 1701} if p.direction == "up" else {"sport": 1701, "dport": port}
            setattr(p, side, replace(o, kind=FrameKind.L2TP_CLEAR, esp=None, **ends))
        kept.append(p)
    world.packets = kept
    world.lone = [o for o in world.lone if o.side is Side.FAR_END]
    names = (RecordKind.IKE_UP, RecordKind.ESP_UP)
    world.records = [r for r in world.records if r.kind not in names]
    found = world.evidence(clear_expected=True)
    identities = tuple(
        replace(i, spis_in=(), spis_out=(), cookies=(), outside_l2tp_port=30_000 + int(i.client[1:]), outside_ike_port=None,
                outside_natt_port=None, inside_ike_port=None, inside_natt_port=None)
        for i in found.identities
    )  # fmt: skip
    return replace(found, identities=identities)


def untranslated(world: b.World) -> Evidence:
    """The same run with a router in the NAT's place: port 500 throughout, ESP as protocol 50."""
    for p in world.packets:
        if p.inside is None:
            continue
        bare = p.inside.kind is FrameKind.ESP
        ports = {"sport": None, "dport": None} if bare else {"sport": 500, "dport": 500}
        later = None if p.outside is None else replace(p.outside, src=p.inside.src, dst=p.inside.dst, **ports)
        p.inside, p.outside = replace(p.inside, **ports), later
    found = world.evidence()
    own = tuple(replace(i, outside=i.inside, outside_ike_port=500, outside_natt_port=None) for i in found.identities)
    return replace(found, identities=own)


def split(found: Evidence, client: str, *, site: int, address: str, outside: str) -> Evidence:
    """The same run with `client` somewhere else: behind a second NAT, or (site 0) on the outside with an address of its own."""
    own = found.identity(client)
    plans = tuple(replace(p, site=site, address=address) if p.name == client else p for p in found.plans)
    mine = [o for o in found.observations[Side.INSIDE] if own.inside in (o.src, o.dst)]
    rest = [o for o in found.observations[Side.INSIDE] if own.inside not in (o.src, o.dst)]
    numbers = {o.frame: i for i, o in enumerate(mine, 1)}
    theirs = {o.frame: i for i, o in enumerate(rest, 1)}
    across = {p.outside for p in found.pairs if p.inside in numbers}

    def here(o: Observation, was: str, now: str) -> Observation:
        return replace(o, src=now if o.src == was else o.src, dst=now if o.dst == was else o.dst)

    second = tuple(replace(here(o, own.inside, address), side=Side.INSIDE_2, frame=numbers[o.frame]) for o in mine)
    first = tuple(replace(o, frame=theirs[o.frame]) for o in rest)
    out = tuple(here(o, b.NAT, outside) if o.frame in across else o for o in found.observations[Side.OUTSIDE])
    pairs = tuple(replace(p, inside=theirs[p.inside]) for p in found.pairs if p.inside in theirs)
    over_there = tuple(Pair(numbers[p.inside], p.outside, p.direction) for p in found.pairs if p.inside in numbers)
    boundary = tuple(
        here(o, b.NAT, outside) if client_of(o) == client else o for o in found.observations.get(Side.TRANSLATED, ())
    )
    identities = tuple(replace(i, inside=address, outside=outside) if i.client == client else i for i in found.identities)
    seen = {**found.observations, Side.INSIDE: first, Side.OUTSIDE: out, Side.TRANSLATED: boundary}
    captures = found.captures
    sites: tuple[Site, ...] = ()
    if site:
        seen[Side.INSIDE_2] = second
        captures = (*captures, CaptureFacts(Side.INSIDE_2, "inside-2.pcap", "eth0", len(second), 0, True))
        sites = (Site(site, outside, Side.INSIDE_2, over_there),)
    return replace(
        found, plans=plans, observations=seen, captures=captures, pairs=pairs, identities=identities, sites=sites
    )


def client_of(o: Observation) -> str | None:
    """Of a frame at the L2TP boundary: its tunnel number tells, by how the world deals them out."""
    tunnel = None if o.inner is None or o.inner.l2tp is None else o.inner.l2tp.get("tunnel")
    if tunnel:
        return f"c{tunnel % 100}"
    return None


__all__ = ["DIRECT", "NAT_2", "LivesWorld", "churning", "in_clear", "rekeying", "returning", "split", "storm", "untranslated"]
