"""The checks of rekeys, returns, churn, NAT endings, populations and Windows builds: passing, failing for each thing, inconclusive."""

# ruff: noqa: E501  (the cases are a table)
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import lives_builders as v
import pytest
import verdict_builders as b

from harness.model import Evidence, FrameKind, NatMapping, NatView, Observation, Outcome, RecordKind, Side, Step
from harness.verdict.checks import CHECKS, NOTED

Make = Callable[[], Evidence]
Act = Callable[[Any], object]


def of(build: Callable[[], Any], *acts: Act, then: Callable[[Evidence], Evidence] = lambda e: e, **overrides: Any) -> Make:
    def make() -> Evidence:
        world = build()
        for act in acts:
            act(world)
        return then(world.evidence(**overrides))

    return make


def forget_answers(w: Any, client: str, numbers: set[int]) -> None:
    w.records = [
        r for r in w.records if not (r.client == client and r.kind is RecordKind.MARK_ANSWERED and r.data["sequence"] in numbers)
    ]


def cut(client: str, after: float, until: float = float("inf")) -> Act:
    """No answer reaches a client any more from so many seconds after the beginning on."""

    def act(w: Any) -> None:
        gone = [p for p in w.find("answer", client) if b.T0 + after <= p.outside.t < b.T0 + until]
        assert gone
        w.packets = [p for p in w.packets if p not in gone]
        forget_answers(w, client, {p.inside.inner.mark.sequence for p in gone})

    return act


def unagreed(w: Any) -> None:
    """The captures do not show any quick mode of client 1's."""
    w.packets = [p for p in w.packets if p.client != "c1" or not p.name.startswith("QM")]


def on_a_deleted_sa(w: Any) -> None:
    """The gateway goes on with client 1's first SA after that one's Delete, and the client hears nothing of it."""
    old = w.kept["c1"][-1].spis_in[0]
    since = next(p.inside.t for p in w.packets if p.client == "c1" and p.inside.ike and p.inside.ike["deletes"])
    late = [p for p in w.find("answer", "c1") if p.outside.t > since]
    for p in late:
        p.inside, p.outside = (replace(o, esp={**o.esp, "spi": old}) for o in (p.inside, p.outside))
    forget_answers(w, "c1", {p.inside.inner.mark.sequence for p in late})


def says_goodbye(client: str, after: float) -> Act:
    """A client hangs up though nobody asked it to."""
    return lambda w: w.control(client, b.T0 + after, "up", "StopCCN")


def drop(which: Callable[[Any], bool]) -> Act:
    def act(w: Any) -> None:
        gone = [p for p in w.packets if which(p)]
        assert gone
        w.packets = [p for p in w.packets if p not in gone]

    return act


def lone(side: Side, which: Callable[[Observation], bool], change: Callable[[Observation], Observation | None]) -> Act:
    """Change or (None) leave out frames of the far end, or of the L2TP boundary."""

    def act(w: Any) -> None:
        hit = [o for o in w.lone if o.side is side and which(o)]
        assert hit
        w.lone = [o if o not in hit else change(o) for o in w.lone]
        w.lone = [o for o in w.lone if o is not None]

    return act


def packets(which: Callable[[Any], bool], side: str = "both", **fields: Any) -> Act:
    def act(w: Any) -> None:
        hit = [p for p in w.packets if which(p)]
        assert hit
        for p in hit:
            for where in ("inside", "outside") if side == "both" else (side,):
                if getattr(p, where) is not None:
                    setattr(p, where, replace(getattr(p, where), **fields))

    return act


def inner(which: Callable[[Any], bool], **fields: Any) -> Act:
    def act(w: Any) -> None:
        hit = [p for p in w.packets if which(p) and p.inside is not None and p.inside.inner is not None]
        assert hit
        for p in hit:
            for where in ("inside", "outside"):
                o = getattr(p, where)
                setattr(p, where, replace(o, inner=replace(o.inner, **fields)))

    return act


def add_step(name: str, t: float, seconds: float = 0.1, **detail: Any) -> Act:
    clients = (name.split(":")[1],) if ":" in name else ()
    return lambda w: w.steps.append(Step(name, b.T0 + t, b.T0 + t + seconds, clients, detail))


def without_step(kind: str) -> Act:
    return lambda w: setattr(w, "steps", [s for s in w.steps if not s.name.startswith(kind)])


def mine(client: str, direction: str = "up", name: str | None = None) -> Callable[[Any], bool]:
    return lambda p: p.client == client and p.direction == direction and name in (None, p.name)


def personality(name: str) -> Callable[[Evidence], Evidence]:
    return lambda e: replace(e, plans=tuple(replace(p, personality=name) for p in e.plans))


# -- eviction with a Hello ------------------------------------------------------------------------------------------------------


def eviction(*, hellos: int = 3, by: str | None = "silence") -> b.World:
    world = b.World(2, "user")
    t = world.hold(world.connect("c1", b.T0) + 0.1, 4.0)
    came = world.connect("c2", t)
    world.mark("c1", t + 0.05)
    t = world.hold(came + 0.1, 8.0)
    for i in range(hellos):
        world.esp("c1", t - 4.0 + i, "up", "Hello", l2tp={"message": "Hello", "tunnel": 201, "session": 0, "ns": 4, "avps": {}})
    if by:
        world.record(t + 1.0, "c1", RecordKind.ENDED, cause="L2TP tunnel: no answer", by=by)
    world.gone.add("c1")
    world.view("end", t)
    b.over(world, t)
    return heard_at_far_end(world)


def heard_at_far_end(world: b.World) -> b.World:
    """Every question comes out at the far end, whoever gets the answer."""
    there = {(o.mark.owner, o.mark.sequence) for o in world.lone if o.side is Side.FAR_END and o.mark and not o.mark.answer}
    for p in world.find("mark"):
        assert p.inside is not None
        assert p.inside.inner is not None
        mark = p.inside.inner.mark
        assert mark is not None
        if (mark.owner, mark.sequence) not in there:
            world.far(p.inside.t + 0.002, world.ppp(p.client), b.FAR, mark)
    return world


# -- controls -------------------------------------------------------------------------------------------------------------------


def clear(*acts: Act) -> Make:
    def make() -> Evidence:
        world = b.clean(3)
        for act in acts:
            act(world)
        return v.in_clear(world)

    return make


def bare(*acts: Act) -> Make:
    def make() -> Evidence:
        world = b.clean(3)
        for act in acts:
            act(world)
        return v.untranslated(world)

    return make


def removed(*, after: int = 2, works: bool = True) -> b.World:
    """Client 1 comes under demux; then that is taken away, and others come: each evicts the one before it."""
    world = b.World(1 + after, "demux")
    t = world.hold(world.connect("c1", b.T0) + 0.1, 3.0)
    world.steps.append(Step("demux-off", t, t + 0.1))
    t += 0.2
    for i in range(after):
        client = f"c{i + 2}"
        began = t
        t = world.connect(client, t) + 0.1
        if i and works:
            world.mark(f"c{i + 1}", began + 0.05)
        world.mode = "mixed"
        end = t + 6.0
        while t < end:
            world.mark("c1", t, lost=False)
            for other in [f"c{k + 2}" for k in range(i + 1)]:
                world.mark(other, t + 0.02)
            t += 0.2
    world.view("end", t)
    return b.over(world, t)


class Removed(b.World):
    """Whoever came after the line was gone shares one key: the newest gets what is for any of them. `cured`: nothing changed."""

    cured = False

    def served(self, client: str) -> str | None:
        if self.mode == "demux" or client == "c1" or self.cured or client in self.gone:
            return client if client not in self.gone else None
        return self.order[-1]


def line_gone(after: int = 2, *, cured: bool = False) -> b.World:
    world = Removed(1 + after, "demux")
    world.cured = cured
    t = world.hold(world.connect("c1", b.T0) + 0.1, 3.0)
    world.steps.append(Step("demux-off", t, t + 0.1))
    world.mode, t = "off", t + 0.2
    for i in range(after):
        began, client = t, f"c{i + 2}"
        t = world.connect(client, t) + 0.05
        for other in sorted(world.up - {client}):
            world.mark(other, began + 0.045)
        t = world.hold(t, 6.0)
    world.view("end", t)
    return b.over(world, t)


# -- NAT endings ----------------------------------------------------------------------------------------------------------------


def at_port(w: b.World, client: str, since: float, port: int) -> None:
    """From `since` on the client's packets come out of the NAT at another port."""
    for p in w.packets:
        if p.client == client and p.outside is not None and p.outside.t >= since:
            p.outside = replace(p.outside, **({"sport": port} if p.direction == "up" else {"dport": port}))


def cleared(*, what: str = "moves", other: str | None = None, kept: bool = False) -> b.World:
    """The NAT drops client 1's mappings. `what`: it "moves" and is answered, "ends", or "stays" where it was. `kept`: its table still
    has them."""
    world = b.World(2)
    t = world.hold(world.connect("c2", world.connect("c1", b.T0)) + 0.1, 4.0)
    world.steps.append(Step("nat-clears:c1", t, t + 0.01, ("c1",), {"mappings": 2}))
    since = t
    world.view("after-nat-clears:c1", t + 0.02)
    if not kept:
        last = world.tables[-1]
        world.tables[-1] = replace(last, mappings=tuple(m for m in last.mappings if m.inside_address != world.address("c1")))
    t = world.hold(t + 0.1, 6.0)
    world.view("end", t)
    b.over(world, t)
    if what != "stays":
        at_port(world, "c1", since, 47_001)
    if what == "ends":
        gone = [p for p in world.find("answer", "c1") if p.outside is not None and p.outside.t >= since]
        world.packets = [p for p in world.packets if p not in gone]
        forget_answers(world, "c1", {p.inside.inner.mark.sequence for p in gone if p.inside and p.inside.inner and p.inside.inner.mark})
    if other is not None:
        at_port(world, other, since, 47_002)
    return world


def idle(*, quiet: float = 45.0, moved: bool = True, keepalive: bool = False) -> b.World:
    """Client 1 says nothing for so many seconds, while client 2 goes on."""
    world = b.World(2)
    t = world.hold(world.connect("c2", world.connect("c1", b.T0)) + 0.1, 4.0)
    began = t
    if keepalive:
        world.packet("c1", t + quiet / 2, "up", 4500, FrameKind.KEEPALIVE, "keepalive")
    t = world.hold(t, quiet, every=1.0, who=("c2",))
    world.steps.append(Step("silence:c1", began, t, ("c1",), {"seconds": quiet, "carried_out": True}))
    since = t
    t = world.hold(t + 0.1, 6.0)
    world.view("end", t)
    b.over(world, t)
    if moved:
        at_port(world, "c1", since, 47_001)
    return world


def table(t: float, *addresses: str) -> NatView:
    rows = tuple(NatMapping("udp", a, 4500, b.NAT, 40_000, b.GATEWAY, 4500) for a in addresses)
    return NatView(b.T0 + t, "idle", rows)


# -- checksums ------------------------------------------------------------------------------------------------------------------


def verifying(*, answered: bool = False, told: bool = True, zero_up: bool = True) -> v.LivesWorld:
    """Client 1's checksums are wrong behind the NAT and are dropped; client 2 sends none."""
    world = v.LivesWorld(2)
    t = world.connect("c1", b.T0, until="SCCRQ")
    if answered:
        world.control("c1", t + 0.1, "down", "SCCRP")
        world.control("c1", t + 0.2, "up", "SCCCN")
    world.lone = [o for o in world.lone if answered or o.side is not Side.TRANSLATED]
    world.records = [r for r in world.records if r.kind is not RecordKind.FAILED]
    world.record(t + 9.0, "c1", RecordKind.FAILED, stage="L2TP tunnel", reason="no answer")
    t = world.connect("c2", t + 0.5, until=None if zero_up else "SCCRQ")
    t = world.hold(t + 0.1, 4.0)
    if told:
        world.event(b.T0 + 0.1, "dropped", "c1", reason="udp: wrong checksum inside ESP")
    world.view("end", t)
    b.over(world, t)
    inner(lambda p: p.client == "c2" and p.direction == "up", udp_checksum=0, checksum_fits=())(world)
    return world


# -- port space -----------------------------------------------------------------------------------------------------------------


def full(ports: int = 2, *, come: int = 3, shared: bool = False, told: bool = True) -> v.LivesWorld:
    """As many clients as ports, and one more: refused in quick mode with a notify, or given a port that is another's."""
    world = v.LivesWorld(come, fixed={(f"c{come}", 1): 1024} if shared else {})
    t = b.T0
    for i, plan in enumerate(world.plans):
        last = i >= ports and not shared
        t = world.connect(plan.name, t, until="QM1" if last else None) + 0.1
        if last and told:
            world.ike(plan.name, t, "down", "INFO", notifies=[{"type": 14, "name": "NO-PROPOSAL-CHOSEN"}])
        t = world.hold(t + 0.1, 1.0)
    t = world.hold(t, 4.0)
    world.view("end", t)
    return v.over(world, t)


# -- Windows --------------------------------------------------------------------------------------------------------------------


def unpatched(*, natt: bool = False, until: str = "QM3", crosses: bool = False) -> b.World:
    """A client without NAT-T behind a NAT that lets no protocol 50 through (unless it `crosses`). `until`: the last message of IKE
    that comes; where that is a question, it is repeated in vain."""
    world = b.World(1)
    t = world.connect("c1", b.T0, until=until)
    world.set_ike("MM1", "c1", vendor_ids=["00" * 16, *([b.RFC3947] if natt else [])])
    for message in ("MM3", "MM4"):
        world.set_ike(message, "c1", **({} if natt else {"nat_d": []}))
    if until == "QM3":
        world.order.append("c1")  # the SA is there
        for i in range(5):
            p = world.control("c1", t + 0.5 * i, "up", "SCCRQ")
            p.inside = replace(p.inside, sport=None, dport=None)
            p.outside = replace(p.outside, sport=None, dport=None) if crosses else None
    else:
        for i in range(1, 4):
            world.ike("c1", t + i, "up", until, retransmission=True)
    return world


def no_l2tp(*, why: str = "this Windows has no L2TP of its own", dials: bool = False) -> b.World:
    world = b.clean(1)
    world.plans.append(replace(world.plans[0], number=2, address="10.0.0.3"))
    world.steps.append(Step("connect:c2", b.T0 + 3.0, b.T0 + 3.1, ("c2",)))
    if dials:
        world.ike("c2", b.T0 + 3.0, "up", "MM1")
    if why:
        world.record(b.T0 + 3.0, "c2", RecordKind.FAILED, stage="main mode", reason=why)
    return world


def without_inside(e: Evidence) -> Evidence:
    kept = {side: frames for side, frames in e.observations.items() if side is not Side.INSIDE}
    return replace(e, observations=kept, captures=tuple(c for c in e.captures if c.side is not Side.INSIDE), pairs=())


def windows_98(e: Evidence) -> Evidence:
    return replace(e, plans=tuple(replace(p, personality="windows98") if p.name == "c2" else p for p in e.plans))


# -- populations ----------------------------------------------------------------------------------------------------------------


def floating(*, clash: bool = False, back: int = 1024) -> Make:
    """Client 2 sends from 1024 inside its ESP, and is known by it at its own place; client 1 is translated to 1024 or 1025."""

    def make() -> Evidence:
        world = v.LivesWorld(2, fixed={("c1", 1): 1024, ("c2", 1): 1024 if clash else 1025})
        t = world.hold(world.connect("c2", world.connect("c1", b.T0)) + 0.1, 5.0)
        world.view("end", t)
        v.over(world, t)
        inner(mine("c2", "up"), sport=1024)(world)
        inner(mine("c2", "down"), dport=back)(world)
        return world.evidence()

    return make


def two_nats(*acts: Act, then: Callable[[Evidence], Evidence] = lambda e: e) -> Make:
    def make() -> Evidence:
        world = b.clean(2)
        for act in acts:
            act(world)
        return then(v.split(world.evidence(), "c2", site=2, address="10.0.0.2", outside=v.NAT_2))

    return make


def in_the_others_sa(e: Evidence) -> Evidence:
    """From some time on what is for c1 comes to its NAT on the SA of c2, which is behind the other one, and c1 drops it."""
    own, other = e.identity("c1").spis_in[0], e.identity("c2").spis_in[0]
    since = b.T0 + 6.0

    def strayed(o: Observation) -> Observation:
        return replace(o, esp={**o.esp, "spi": other}) if o.t > since and o.esp and o.esp["spi"] == own else o

    kept = tuple(r for r in e.records if r.t <= since or (r.client, r.kind) != ("c1", RecordKind.MARK_ANSWERED))
    seen = {side: tuple(map(strayed, found)) for side, found in e.observations.items()}
    return replace(e, observations=seen, records=kept)


def mixed(*acts: Act, lac: str = "lac-1024") -> Make:
    def make() -> Evidence:
        world = b.clean(4)
        for act in acts:
            act(world)
        found = v.split(world.evidence(), "c4", site=0, address=v.DIRECT, outside=v.DIRECT)
        return replace(found, plans=tuple(replace(p, personality=lac) if p.name == "c3" else p for p in found.plans))

    return make


def one_tunnel(e: Evidence) -> Evidence:
    return replace(e, identities=tuple(replace(i, tunnel_gateway=201) for i in e.identities))


def untold(e: Evidence) -> Evidence:
    return replace(e, gateway_events=())


OFF: dict[str, Any] = {"sport": 1024}
three = lambda: b.clean(3)  # noqa: E731
rekeyed = v.rekeying

PASS: list[tuple[str, Make]] = [
    ("DMX-03", of(eviction)),
    ("DMX-05", clear()),
    ("DMX-06", bare()),
    ("DMX-08", of(lambda: b.eviction("user"))),
    ("DMX-08", of(lambda: b.eviction("kernel"))),
    ("DMX-09", of(line_gone)),
    ("DMX-09", of(lambda: line_gone(3))),
    ("DMX-13", of(rekeyed)),
    ("DMX-14", of(rekeyed)),
    ("DMX-15", of(rekeyed)),
    ("DMX-16", of(rekeyed)),
    ("DMX-18", of(v.returning)),
    ("DMX-18", of(lambda: v.returning(c3_1=1024))),
    ("DMX-19", of(v.returning)),
    ("DMX-19", of(lambda: v.returning(c1_2=1024))),
    ("DMX-23", of(b.clean)),
    ("DMX-26", floating()),
    ("DMX-27", two_nats()),
    ("DMX-28", mixed()),
    ("DMX-36", of(verifying)),
    ("DMX-41", of(cleared)),
    ("DMX-41", of(lambda: cleared(what="ends"))),
    ("DMX-42", of(idle)),
    ("DMX-42", of(lambda: idle(moved=False), nat_views=(table(40, "10.0.0.3"),))),
    ("DMX-46", of(v.churning)),
    ("DMX-70", of(b.clean, then=personality("windows2000"))),
    ("DMX-70", of(three, then=personality("windows-2000"))),
    ("DMX-71", of(unpatched, then=personality("windows2000-unpatched"))),
    ("DMX-72", of(no_l2tp, then=windows_98)),
    ("DMX-75", of(v.storm)),
    ("DMX-75", of(lambda: v.storm(5, failing=("c2", "c4")))),
    ("DMX-76", of(v.churning)),
    ("DMX-77", of(full)),
    ("DMX-78", of(lambda: rekeyed(2, count=4))),
]  # fmt: skip

FAIL: list[tuple[str, Make, str]] = [
    ("DMX-03", of(eviction, lone(Side.FAR_END, lambda o: o.mark is not None and o.mark.owner == 1 and o.t > b.T0 + 6, lambda o: None)),
     "never came out at the far end"),
    ("DMX-03", of(lambda: eviction(hellos=1)), "sent no Hello that went unacknowledged"),
    ("DMX-03", of(lambda: eviction(by=None)), "did not notice that it was cut off: ended by nobody"),
    ("DMX-05", clear(cut("c1", 6.0)), "c1 died"),
    ("DMX-05", clear(cut("c2", 6.0, 6.9)), "c2 lost"),
    ("DMX-06", bare(cut("c1", 6.0)), "c1 died"),
    ("DMX-08", of(b.clean), "survived the arrival of c2: the known fault did not show"),
    ("DMX-09", of(lambda: line_gone(cured=True)), "c2 survived the arrival of c3"),
    ("DMX-13", of(rekeyed, lambda w: w.events.remove(next(e for e in w.events if e.kind == "port-given"))), "which the gateway never gave"),
    ("DMX-13", of(rekeyed, lambda w: later(w, "port-given", 9.0)), "was at L2TP before its port"),
    ("DMX-13", of(rekeyed, lambda w: later(w, "esp-up", -2.0)), "port was given 2.000 s after its SA was created"),
    ("DMX-14", of(lambda: rekeyed(ike=False, moves_to=1029)), "c1 was known by [1024, 1029]"),
    ("DMX-14", of(rekeyed, lambda w: w.control("c1", b.T0 + 12.0, "up", "SCCRQ")), "c1 set up a new tunnel"),
    ("DMX-14", of(rekeyed, lambda w: w.control("c1", b.T0 + 12.0, "up", "ICRQ")), "c1 set up a new session"),
    ("DMX-14", of(rekeyed, lambda w: w.esp("c1", b.T0 + 12.0, "up", "data", l2tp={"tunnel": 222, "session": 401}, ppp={"protocol": "LCP", "code": "Echo-Reply", "id": 1})),
     "c1's data going up bore 2 pairs"),
    ("DMX-14", of(rekeyed, lambda w: w.link("c1", b.T0 + 12.0, "down", "IPCP", "Configure-Ack")), "PPP address was negotiated anew"),
    ("DMX-14", of(rekeyed, inner(lambda p: p.name == "mark" and p.client == "c1" and p.inside.t > b.T0 + 12.0, ppp={"protocol": "IP", "src": "172.16.1.99", "dst": b.FAR})),
     "its PPP address did not outlive a rekey"),
    ("DMX-14", of(rekeyed, cut("c1", 10.0)), "c1 died"),
    ("DMX-14", of(rekeyed, unagreed, cut("c1", 10.0)), "c1 died"),
    ("DMX-14", of(rekeyed, on_a_deleted_sa), "c1 died: the gateway fell silent; killer: nobody (none), to blame: the gateway"),
    ("DMX-14", of(rekeyed, add_step("rekey-ipsec:c2", 9.0, by="gateway", carried_out=False)), "rekey-ipsec:c2, begun by the gateway, brought no new SA"),
    ("DMX-15", of(lambda: rekeyed(moves_to=1029)), "c1 was known by [1024, 1029]"),
    ("DMX-15", of(rekeyed, add_step("rekey-ike:c1", 9.0, by="client", carried_out=False)), "rekey-ike:c1, begun by the client, brought no new SA"),
    ("DMX-15", of(lambda: rekeyed(ike=False), add_step("rekey-ike:c2", 9.0, by="gateway", carried_out=False, why="no such SA")), "brought no new SA: no such SA"),
    ("DMX-15", of(rekeyed, drop(lambda p: p.client == "c2" and p.name == "MM6" and p.inside.t > b.T0 + 9), add_step("rekey-ike:c2", 20.0, by="client", carried_out=True)),
     "c2 went through no new main mode"),
    ("DMX-16", of(rekeyed, add_step("rekey-ipsec:c1", 9.0, by="client", carried_out=False)), "brought no new SA"),
    ("DMX-16", of(lambda: rekeyed(ike=False, moves_to=1029)), "old and new SA map to [1024, 1029]"),
    ("DMX-16", of(rekeyed, cut("c1", 3.6, 4.2)), "marks in the rekey to"),
    ("DMX-18", of(lambda: v.returning(c3_1=1025)), "c3 was given port 1025, by which c2 lives"),
    ("DMX-18", of(lambda: v.returning(c3_1=1701)), "the gateway knows c3 by 1701"),
    ("DMX-19", of(lambda: v.returning(c1_2=1025)), "c1 was given port 1025, by which c2 lives"),
    ("DMX-19", of(lambda: v.returning(c1_2=1701)), "the gateway knows c1 by 1701"),
    ("DMX-23", of(b.clean, lambda w: bad_tag(w)), "authentication tag is wrong"),
    ("DMX-23", of(b.clean, inner(mine("c1", "down", "answer"), dport=1024)), "encrypted c1's translated port 1024"),
    ("DMX-26", floating(clash=True), "L2TP knows c1 and c2 as one"),
    ("DMX-26", floating(back=1701), "c2 sends from [1024] and is answered at 1701"),
    ("DMX-27", two_nats(cut("c2", 6.0)), "site 2: c2 died"),
    ("DMX-27", two_nats(cut("c1", 6.0)), "c1 died"),
    ("DMX-27", two_nats(then=in_the_others_sa), "killer: c2 (certain), to blame: the gateway"),
    ("DMX-27", two_nats(then=one_tunnel), "share the gateway's tunnel"),
    ("DMX-28", mixed(cut("c4", 12.0)), "site 0: c4 died"),
    ("DMX-28", mixed(cut("c3", 12.0)), "c3 died"),
    ("DMX-36", of(lambda: verifying(answered=True)), "L2TP heard c1 though its checksums are wrong"),
    ("DMX-36", of(lambda: verifying(answered=True)), "the gateway answered c1"),
    ("DMX-36", of(lambda: verifying(told=False), lambda w: w.event(b.T0, "esp-up", "c1")), "tells of no packet of c1 that it dropped"),
    ("DMX-36", of(lambda: verifying(zero_up=False)), "c2, which sends no checksum, never came up"),
    ("DMX-36", of(verifying, cut("c2", 0.0)), "was never answered"),
    ("DMX-36", of(verifying, lambda w: setattr(w, "lone", [o for o in w.lone if o.side is not Side.TRANSLATED] + [boundary_of("c1", w)])),
     "nothing that c2 sent without a checksum reached L2TP"),
    ("DMX-41", of(cleared, cut("c2", 5.0)), "c2 died too"),
    ("DMX-41", of(lambda: cleared(what="stays")), "c1 went on at the mapping it had: its translation was not cleared"),
    ("DMX-41", of(lambda: cleared(kept=True)), "the NAT's table still maps c1 to [20001, 40001] after nat-clears:c1"),
    ("DMX-41", of(lambda: cleared(what="stays", kept=True)), "nothing was cleared"),
    ("DMX-41", of(lambda: cleared(other="c2")), "the NAT gave c2 another mapping too"),
    ("DMX-42", of(lambda: idle(moved=False)), "the NAT kept c1's mapping"),
    ("DMX-42", of(lambda: idle(moved=False), nat_views=(table(40, "10.0.0.2", "10.0.0.3"),)), "the NAT kept c1's mapping"),
    ("DMX-42", of(idle, cut("c2", 20.0)), "c2 died too"),
    ("DMX-46", of(v.churning, cut("c3", 9.0)), "ended for no cause of the four: the gateway fell silent"),
    ("DMX-46", of(v.churning, lambda w: w.control("c3", b.T0 + 9.0, "down", "StopCCN")), "ended though nobody asked for it: StopCCN from the gateway"),
    ("DMX-46", of(lambda: v.churning(rounds=0), lambda w: w.control("c3", b.T0 + 3.0, "down", "StopCCN")), "c3 ended though nobody asked for it"),
    ("DMX-46", of(lambda: v.churning(by="silence")), "the client gave up (silence)"),
    ("DMX-70", of(b.clean, cut("c1", 6.0), then=personality("windows2000")), "c1 died"),
    ("DMX-70", of(b.clean, lambda w: w.set_ike("MM1", "c1", vendor_ids=["00" * 16]), then=personality("windows2000")), "does not announce NAT-T"),
    ("DMX-71", of(lambda: unpatched(natt=True), then=personality("windows2000-unpatched")), "announces NAT-T, which it can only with the hotfix"),
    ("DMX-71", of(lambda: unpatched(until="QM1"), then=personality("windows2000-unpatched")), "named is gateway: the gateway left c1's QM1 without an answer"),
    ("DMX-71", of(lambda: unpatched(until="QM1"), then=personality("windows2000-unpatched")), "c1's quick mode did not complete, and that is not for want of NAT-T"),
    ("DMX-71", of(unpatched, drop(lambda p: p.name == "SCCRQ"), then=personality("windows2000-unpatched")), "sent no ESP as IP protocol 50"),
    ("DMX-71", of(lambda: unpatched(crosses=True), then=personality("windows2000-unpatched")), "5 of c1's 5 packets of protocol 50 came out of the NAT"),
    ("DMX-71", of(lambda: b.clean(1), lambda w: w.set_ike("MM1", "c1", vendor_ids=[]), then=personality("windows2000-unpatched")), "came up behind a NAT without NAT-T"),
    ("DMX-72", of(lambda: no_l2tp(dials=True), then=windows_98), "dialled: it has no L2TP of its own"),
    ("DMX-72", of(lambda: no_l2tp(why=""), then=windows_98), "does not say why"),
    ("DMX-75", of(v.storm, cut("c2", 3.0)), "c2 died"),
    ("DMX-75", of(v.storm, cut("c2", 3.0), says_goodbye("c1", 4.0)), "c2 died"),
    ("DMX-78", of(lambda: rekeyed(2, count=4), cut("c2", 8.0), says_goodbye("c1", 9.0)), "c2 died"),
    ("DMX-76", of(v.churning, cut("c3", 9.0)), "c3 died"),
    ("DMX-76", of(v.churning, cut("c3", 8.0, 8.5)), "c3 lost"),
    ("DMX-76", of(lambda: v.churning(port=1027)), "lived by it"),
    ("DMX-76", of(lambda: v.churning(port=1099)), "port 1099 was given; next needs none above"),
    ("DMX-76", of(lambda: v.churning(leak=True)), "ports of nobody"),
    ("DMX-77", of(lambda: full(shared=True)), "c3 was given port 1024 while c1 lived by it"),
    ("DMX-77", of(lambda: full(told=False)), "without a word of why"),
    ("DMX-77", of(full, cut("c1", 4.0)), "c1 died"),
    ("DMX-77", of(lambda: full(), lambda w: at_l2tp(w, "c2", 999)), "outside 1024-"),
    ("DMX-78", of(lambda: rekeyed(2, count=4), cut("c2", 8.0)), "c2 died"),
    ("DMX-78", of(lambda: rekeyed(2, count=3), lambda w: never_rekeys(w, "c3")), "c3 never got a new SA"),
]  # fmt: skip

INCONCLUSIVE: list[tuple[str, Make, str]] = [
    ("DMX-03", of(b.clean), "nobody was evicted"),
    ("DMX-05", of(b.clean), "does not declare L2TP without protection"),
    ("DMX-05", of(b.clean, clear_expected=True), "there was IPsec after all"),
    ("DMX-06", of(b.clean), "there was a NAT after all"),
    ("DMX-09", of(b.clean), "no demux-off step"),
    ("DMX-09", of(lambda: line_gone(1)), "it takes two to show the fault"),
    ("DMX-09", of(b.clean, add_step("demux-off", -1.0)), "nobody was up when"),
    ("DMX-13", of(rekeyed, then=untold), "tells no events"),
    ("DMX-13", of(rekeyed, lambda w: w.events.__setitem__(slice(None), [e for e in w.events if e.kind != "port-given"])), "tells of no port"),
    ("DMX-13", of(rekeyed, lambda w: w.events.__setitem__(slice(None), [e for e in w.events if e.kind != "esp-up"])), "does not tell when c1's SA"),
    ("DMX-14", of(lambda: rekeyed(2, ike=False)), "did not go through 3 rekeys"),
    ("DMX-15", of(lambda: rekeyed(ike=False)), "nobody rekeyed its ISAKMP SA"),
    ("DMX-16", of(lambda: rekeyed(0, ike=False)), "nobody rekeyed its ESP SA"),
    ("DMX-18", of(b.clean), "no new client came after another one had left"),
    ("DMX-19", of(b.clean), "no client returned"),
    ("DMX-23", of(lambda: b.eviction("user"), lambda w: w.lone.append(boundary_of("c1", w))), "translates no port"),
    ("DMX-26", of(b.clean), "no client sends from port 1024"),
    ("DMX-27", of(b.clean), "no two clients of different sites"),
    ("DMX-27", two_nats(then=lambda e: replace(e, captures=tuple(replace(c, dropped=3) if c.side is Side.INSIDE_2 else c for c in e.captures))), "site 2: the inside capture lost 3"),
    ("DMX-28", of(b.clean), "clients of the kind 'direct'"),
    ("DMX-28", mixed(lac="windows7"), "clients of the kind 'LAC'"),
    ("DMX-36", of(rekeyed), "no client sent its datagrams without a checksum"),
    ("DMX-36", of(rekeyed, inner(lambda p: p.direction == "up", udp_checksum=0, checksum_fits=())), "no client sent a checksum that is wrong"),
    ("DMX-41", of(b.clean), "no nat-clears step"),
    ("DMX-41", of(cleared, without_step("nat-clears"), add_step("nat-clears:c1", 4.2, mappings=0)), "no mapping of the client to clear"),
    ("DMX-41", of(cleared, lambda w: setattr(w, "tables", [v for v in w.tables if not v.label.startswith("after-nat")])), "not asked for after nat-clears:c1"),
    ("DMX-41", of(cleared, lambda w: setattr(w, "tables", [v for v in w.tables if v.label in ("after-nat-clears:c1", "end")])), "was not asked for while it held c1's rows"),
    ("DMX-42", of(b.clean), "no silence step"),
    ("DMX-42", of(lambda: idle(keepalive=True)), "was quiet for 22"),
    ("DMX-46", of(lambda: v.churning(rounds=0)), "0 rekeys were seen"),
    ("DMX-70", of(b.clean), "are no Windows 2000"),
    ("DMX-71", of(b.clean), "no client is a Windows 2000 without"),
    ("DMX-71", of(unpatched, drop(lambda p: p.name == "MM1"), then=personality("windows2000-unpatched")), "c1 sent no first message"),
    ("DMX-72", of(b.clean), "no client is a Windows without L2TP"),
    ("DMX-72", of(no_l2tp, drop(mine("c1")), then=windows_98), "no client that has L2TP was heard inside"),
    ("DMX-72", of(no_l2tp, then=lambda e: without_inside(windows_98(e))), "no capture of the inside side"),
    ("DMX-75", of(b.clean), "no storm step"),
    ("DMX-75", of(lambda: v.storm(hold=0.3)), "4 clients sent too little once the last was up"),
    ("DMX-75", of(lambda: v.storm(hold=0.3), cut("c2", 0.0)), "sent too little"),
    ("DMX-76", of(v.storm), "nobody left"),
    ("DMX-77", of(b.clean), "never out of them"),
    ("DMX-78", of(rekeyed, lambda w: never_rekeys_together(w)), "that was no storm"),
    ("DMX-08", of(lambda: b.clean(1)), "fewer than two clients"),
]  # fmt: skip


def later(w: Any, kind: str, by: float) -> None:
    w.events = [replace(e, t=e.t + by) if e.kind == kind else e for e in w.events]


def bad_tag(w: Any) -> None:
    p = w.find("answer", "c1")[5]
    for side in ("inside", "outside"):
        o = getattr(p, side)
        setattr(p, side, replace(o, esp={**o.esp, "icv_ok": False}, inner=None))
    forget_answers(w, "c1", {6})


def boundary_of(client: str, w: Any) -> Observation:
    """Something at the L2TP boundary, from 1701."""
    p = w.find("mark", client)
    o = (p or w.find("SCCRQ", client))[0].outside
    return replace(o, side=Side.TRANSLATED, src=b.NAT, sport=1701, dst=b.GATEWAY, dport=1701, kind=FrameKind.L2TP_CLEAR, esp=None)


def at_l2tp(w: Any, client: str, port: int) -> None:
    own = w.ports[client]
    w.lone = [
        replace(o, sport=port) if o.side is Side.TRANSLATED and o.sport == own else replace(o, dport=port) if o.side is Side.TRANSLATED and o.dport == own else o
        for o in w.lone
    ]


def never_rekeys(w: Any, client: str) -> None:
    """A client's rekeys are left out of the capture's words: its SA is what it was."""
    first = {s for one in w.kept[client] for s in (one.spis_in[0], one.spis_out[0])}
    old_in, old_out = w.kept[client][0].spis_in[0], w.kept[client][0].spis_out[0]
    assert first
    w.packets = [p for p in w.packets if not (p.client == client and p.name in ("QM1", "QM2", "QM3") and p.inside.ike["message_id"])]
    for p in w.packets:
        for side in ("inside", "outside"):
            o = getattr(p, side)
            if o is not None and o.esp is not None and p.client == client:
                setattr(p, side, replace(o, esp={**o.esp, "spi": old_in if p.direction == "down" else old_out}))
    w.packets = [p for p in w.packets if not (p.client == client and p.name == "INFO" and p.inside.ike["deletes"][0]["protocol"] == "esp" and p.inside.t < b.T0 + 20)]


def never_rekeys_together(w: Any) -> None:
    """Client 2 rekeys a minute after client 1, not with it."""
    for p in w.packets:
        if p.client == "c2" and p.name in ("QM1", "QM2", "QM3") and p.inside.ike["message_id"]:
            p.inside, p.outside = replace(p.inside, t=p.inside.t + 60), replace(p.outside, t=p.outside.t + 60)


def judge(row: str, make: Make) -> tuple[Outcome, str]:
    verdict = CHECKS[row](make())
    return verdict.outcome, verdict.because


@pytest.mark.parametrize(("row", "make"), PASS, ids=[f"{c[0]}-{i}" for i, c in enumerate(PASS)])
def test_passes(row: str, make: Make) -> None:
    assert judge(row, make)[0] is Outcome.PASS, judge(row, make)[1]


@pytest.mark.parametrize(("row", "make", "words"), FAIL, ids=[f"{c[0]}-{c[2]}" for c in FAIL])
def test_fails(row: str, make: Make, words: str) -> None:
    outcome, because = judge(row, make)
    assert outcome is Outcome.FAIL, because
    assert words in because


@pytest.mark.parametrize(("row", "make", "words"), INCONCLUSIVE, ids=[f"{c[0]}-{c[2]}-{i}" for i, c in enumerate(INCONCLUSIVE)])
def test_is_inconclusive(row: str, make: Make, words: str) -> None:
    outcome, because = judge(row, make)
    assert outcome is Outcome.INCONCLUSIVE, because
    assert words in because


def test_newer_windows_is_noted_whatever_became_of_it() -> None:
    check = NOTED["DMX-73"]
    up = check(of(b.clean, then=personality("windows7"))())
    assert (up.outcome, up.because) == (Outcome.PASS, "windows7: up; windows7: up")
    assert check(of(unpatched, then=personality("windowsxp"))()).because.startswith("windowsxp: L2TP tunnel incomplete")
    assert check(of(b.clean, then=personality(""))()).outcome is Outcome.INCONCLUSIVE


def test_a_port_that_is_never_taken_back_shows_once_its_client_is_long_gone() -> None:
    check: Any = CHECKS["DMX-76"]
    kept = of(v.churning, lambda w: w.views.append(replace(w.views[-1], ports={**w.views[-1].ports, 90: 1024})))()
    assert check(kept).outcome is Outcome.PASS  # it may only not have noticed yet
    late = check(kept, linger_s=1.0)
    assert late.outcome is Outcome.FAIL
    assert "holds 1 ports of nobody, [1024]" in late.because


def test_the_bound_on_ports_depends_on_the_allocators_policy() -> None:
    check: Any = CHECKS["DMX-76"]
    found = v.churning(rounds=6)
    assert check(found.evidence(), policy="next").outcome is Outcome.PASS
    strict = check(found.evidence(), policy="lowest-free", linger_s=0.0)
    assert strict.outcome is Outcome.FAIL
    assert "lowest-free needs none above 1026" in strict.because
