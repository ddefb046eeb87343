"""Every check: a run it passes, a run it fails for each thing it asserts, and a run it calls inconclusive."""

# ruff: noqa: E501  (the cases are a table)
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import verdict_builders as b

from harness.model import Evidence, FrameKind, GatewayView, Observation, Outcome, RecordKind, Side, Step
from harness.verdict.checks import CHECKS
from harness.verdict.trust import SIDES, WIRE

Make = Callable[[], Evidence]


def of(build: Callable[[], Any], *breaks: Callable[[Any], object], **overrides: Any) -> Make:
    """A run with some things broken in it."""

    def make() -> Evidence:
        world = build()
        for one in breaks:
            one(world)
        return world.evidence(**overrides)

    return make


# -- ways to break a run --------------------------------------------------------------------------------------------------------


def inner(name: str, client: str | None = None, side: str = "both", **fields: Any) -> Callable[[Any], object]:
    return lambda w: w.alter(name, lambda o: replace(o, inner=replace(o.inner, **fields)), client=client, sides=side)


def frame(name: str, client: str | None = None, side: str = "both", **fields: Any) -> Callable[[Any], object]:
    return lambda w: w.alter(name, lambda o: replace(o, **fields), client=client, sides=side)


def ike(name: str, client: str | None = None, **facts: Any) -> Callable[[Any], object]:
    return lambda w: w.set_ike(name, client, **facts)


def without(name: str, client: str | None = None) -> Callable[[Any], object]:
    def act(w: Any) -> None:
        gone = w.find(name, client)
        assert gone
        for p in gone:
            w.packets.remove(p)

    return act


def on_outside(packet: Any, **fields: Any) -> None:
    packet.outside = replace(packet.outside, **fields)


def nth(name: str, client: str, i: int, act: Callable[[Any], None]) -> Callable[[Any], object]:
    return lambda w: act(w.find(name, client)[i])


def boundary(change: Callable[[Observation], Observation], which: Callable[[Observation], bool]) -> Callable[[Any], object]:
    def act(w: Any) -> None:
        hit = [i for i, o in enumerate(w.lone) if o.side is Side.TRANSLATED and which(o)]
        assert hit
        for i in hit:
            w.lone[i] = change(w.lone[i])

    return act


def far(change: Callable[[Observation], Observation], which: Callable[[Observation], bool]) -> Callable[[Any], object]:
    def act(w: Any) -> None:
        hit = [i for i, o in enumerate(w.lone) if o.side is Side.FAR_END and which(o)]
        assert hit
        for i in hit:
            w.lone[i] = change(w.lone[i])

    return act


def ports(**given: int) -> Callable[[Any], object]:
    """Other translated ports than the clients had, everywhere that they show."""

    def act(w: Any) -> None:
        old = dict(w.ports)
        w.ports.update(given)
        w.views = [
            GatewayView(
                v.t, v.label,
                tuple(replace(s, peer_port=given.get(f"c{s.tunnel_local - 200}", s.peer_port)) for s in v.sessions),
                tuple(replace(s, translated_port=given.get(f"c{s.spi[-1]}", s.translated_port)) for s in v.sas),
            )
            for v in w.views
        ]  # fmt: skip
        new = {old[c]: p for c, p in given.items()}
        w.lone = [
            replace(o, sport=new.get(o.sport, o.sport), dport=new.get(o.dport, o.dport)) if o.side is Side.TRANSLATED else o
            for o in w.lone
        ]

    return act


def at_boundary(kept: Callable[[Observation], bool]) -> Callable[[Any], object]:
    """What the capture at the L2TP boundary kept."""
    return lambda w: setattr(w, "lone", [o for o in w.lone if o.side is not Side.TRANSLATED or kept(o)])


def unheard() -> Callable[[Any], object]:
    """Neither the gateway nor a packet at the boundary says by which port it knows anybody; something is there all the same."""

    def act(w: Any) -> None:
        w.views.clear()
        w.ports.clear()
        w.lone = [replace(o, inner=None) for o in w.lone if o.side is Side.TRANSLATED]

    return act


def no_checksum(client: str) -> Callable[[Any], object]:
    """A client that sends its inner datagrams without a checksum."""

    def act(w: Any) -> None:
        for p in w.packets:
            if p.client == client and p.direction == "up" and p.inside.inner is not None:
                none = replace(p.inside.inner, udp_checksum=0, checksum_fits=())
                p.inside, p.outside = replace(p.inside, inner=none), replace(p.outside, inner=none)

    return act


def strange(kind: RecordKind, **data: Any) -> Callable[[Any], object]:
    return lambda w: w.record(b.T0 + 3, "c1", kind, **data)


def tunnel_up(after: float) -> Callable[[Any], object]:
    """Client 1 says that it had tunnel 7, so long after the beginning."""
    return lambda w: w.record(b.T0 + after, "c1", RecordKind.L2TP_UP, tunnel_local=7, tunnel_remote=8)


def lose(client: str, count: int, every: int = 3, name: str = "answer") -> Callable[[Any], object]:
    """Some answers are lost in the gateway: they leave neither it nor the far end."""

    def act(w: Any) -> None:
        gone = w.find(name, client)[::every][:count]
        assert len(gone) == count
        numbers = {p.inside.inner.mark.sequence for p in gone}
        w.packets = [p for p in w.packets if p not in gone]
        w.records = [
            r
            for r in w.records
            if not (r.client == client and r.kind is RecordKind.MARK_ANSWERED and r.data["sequence"] in numbers)
        ]

    return act


def cut(client: str, after: float) -> Callable[[Any], object]:
    """No answer reaches a client from `after` seconds on."""

    def act(w: Any) -> None:
        t = b.T0 + after
        gone = [p for p in w.find("answer", client) if p.inside.t >= t]
        assert gone
        numbers = {p.inside.inner.mark.sequence for p in gone}
        w.packets = [p for p in w.packets if p not in gone]
        w.records = [
            r
            for r in w.records
            if not (r.client == client and r.kind is RecordKind.MARK_ANSWERED and r.data["sequence"] in numbers)
        ]

    return act


def say_goodbye(client: str, after: float) -> Callable[[Any], object]:
    return lambda w: w.control(client, b.T0 + after, "down", "StopCCN")


def end_of(w: Any, name: str) -> float:
    return float(next(s for s in w.steps if s.name == name).ended)


def leave_out_view(w: Any) -> None:
    w.views.clear()


def alter_payload(name: str, client: str) -> Callable[[Any], object]:
    def act(w: Any) -> None:
        p = w.find(name, client)[0]
        side = "outside" if p.direction == "up" else "inside"
        setattr(p, side, replace(getattr(p, side), payload_digest="another"))
        p.paired = False

    return act


def views_keep(client: str) -> Callable[[Any], object]:
    """The gateway's later accounts still list a client that it ought to have forgotten."""

    def act(w: Any) -> None:
        full = w.views[-3]
        mine = {w.spi_in(client), w.spi_out(client)}
        for i in (-1, -2):
            v = w.views[i]
            w.views[i] = replace(
                v, sas=(*v.sas, *(s for s in full.sas if s.spi in mine)),
                sessions=(*v.sessions, *(s for s in full.sessions if s.tunnel_remote == 100 + w.n(client))),
            )  # fmt: skip

    return act


def only(*clients: str) -> Callable[[Any], object]:
    """The gateway's accounts list nobody but these."""

    def act(w: Any) -> None:
        spis = {s for c in clients for s in (w.spi_in(c), w.spi_out(c))}
        w.views = [replace(v, sas=tuple(s for s in v.sas if s.spi in spis), sessions=()) for v in w.views]

    return act


def answered_later(step: str, client: str) -> Callable[[Any], object]:
    def act(w: Any) -> None:
        gone = w.gone
        w.gone = gone - {client}
        w.mark(client, end_of(w, step) + 2.6)
        w.gone = gone

    return act


def sooner(name: str, client: str, by: float) -> Callable[[Any], object]:
    def act(w: Any) -> None:
        for p in w.find(name, client)[:1]:
            p.inside, p.outside = replace(p.inside, t=p.inside.t - by), replace(p.outside, t=p.outside.t - by)

    return act


def sessions_by(**fields: Any) -> Callable[[Any], object]:
    def act(w: Any) -> None:
        w.views = [replace(v, sessions=(*v.sessions[:-1], *(replace(s, **fields) for s in v.sessions[-1:]))) for v in w.views]

    return act


def far_port(port: int) -> Callable[[Any], object]:
    def act(w: Any) -> None:
        w.outer_of_c2 = port
        for p in w.packets:
            if p.client == "c2":
                up = p.direction == "up"
                on_outside(p, **({"sport": port} if up else {"dport": port}))

    return act


def speak(client: str, sa: str) -> Callable[[Any], object]:
    """One answer of a client leaves on another's SA though the client has it besides."""
    return lambda w: w.esp(
        client, b.T0 + 5.0, "down", "answer", on=sa, ppp={"protocol": "IP", "src": b.FAR, "dst": w.ppp(client)},
        mark=b.Mark(w.n(client), 20, True),
    )  # fmt: skip


def mute_for_all(w: Any) -> None:
    """From the newcomer's QM3 on the gateway says nothing to anybody."""
    t = w.find("QM3", "c2")[0].inside.t
    w.packets = [p for p in w.packets if p.direction == "up" or p.inside.t < t]


def revived(w: Any) -> None:
    """The killer leaves, and the gateway finds its way back to the victim."""
    t = max(p.inside.t for p in w.packets if p.name == "mark") + 0.2
    b.close(w, "c2", t, by="client")
    w.steps.append(Step("client-close:c2", t - 0.01, t + 0.1, ("c2",), {}))
    w.order = ["c2", "c1"]
    for i in range(12):
        w.mark("c1", t + 1 + 0.2 * i)


def plain(mode: str = "user", count: int = 2, order: tuple[str, ...] | None = None) -> Callable[[], Any]:
    return lambda: b.eviction(mode, count, order=order)


def unfinished() -> Any:
    """Plain gateway, run not yet over: so that something may follow."""
    world = b.World(2, "user")
    t = world.connect("c1", b.T0)
    t = world.hold(t + 0.1, 4.0)
    t = world.connect("c2", t)
    world.hold(t + 0.1, 6.0)
    world.view("end", t + 6.1)
    return world


def nothing_down(client: str) -> Callable[[Any], object]:
    """From a second after a client's QM3 on, nothing leaves the gateway on its SA."""

    def act(w: Any) -> None:
        t = w.find("QM3", client)[0].inside.t + 1.0
        w.packets = [p for p in w.packets if p.direction == "up" or p.inside.t < t or p.inside.dst != w.address(client)]

    return act


def hasty(first: float, second: float) -> Any:
    """Plain gateway: so many seconds of traffic before the second client comes, and so many after."""
    world = b.World(2, "user")
    t = world.connect("c1", b.T0)
    if first:
        t = world.hold(t + 0.1, first)
    t = world.connect("c2", t)
    if second:
        t = world.hold(t, second)
    return b.over(world, t)


def by_sas(*, mark: bool) -> Callable[[Any], object]:
    """The gateway lists SAs only, with or without a mark of its own for each."""

    def act(w: Any) -> None:
        w.views = [
            replace(v, sessions=(), sas=tuple(replace(s, mark=i // 2 if mark else None) for i, s in enumerate(v.sas))) for v in w.views
        ]

    return act


def step_detail(name: str, **fields: Any) -> Callable[[Any], object]:
    return lambda w: setattr(w, "steps", [replace(s, **fields) if s.name == name else s for s in w.steps])


def add_step(name: str, t: float) -> Callable[[Any], object]:
    return lambda w: w.steps.append(Step(name, b.T0 + t, b.T0 + t + 0.1))


def cleared() -> Any:
    """The gateway clears the second client, and the run is over before the first has asked anything more."""
    world = b.World(2)
    t = world.connect("c1", b.T0)
    t = world.connect("c2", t)
    t = world.hold(t + 0.1, 4.0)
    world.control("c2", t, "down", "StopCCN")
    world.record(t, "c2", RecordKind.ENDED, cause="StopCCN", by="gateway")
    world.gone.add("c2")
    world.steps.append(Step("gateway-close:c2", t - 0.01, t + 0.01, ("c2",)))
    return b.over(world, t)


def only_marks(w: Any, client: str, count: int) -> None:
    """A client asks no more than so many questions."""
    kept = {p.inside.inner.mark.sequence for p in w.find("mark", client)[:count]}
    w.packets = [p for p in w.packets if p.client != client or p.name != "mark" or p.inside.inner.mark.sequence in kept]
    w.records = [r for r in w.records if r.client != client or r.kind is not RecordKind.MARK_SENT or r.data["sequence"] in kept]


def only_answers(w: Any, client: str) -> None:
    """No answers but to the questions that are left, on the wire and in the records."""
    asked = {p.inside.inner.mark.sequence for p in w.find("mark", client)}
    w.packets = [p for p in w.packets if p.client != client or p.name != "answer" or p.inside.inner.mark.sequence in asked]
    w.records = [r for r in w.records if r.client != client or r.kind is not RecordKind.MARK_ANSWERED or r.data["sequence"] in asked]


def barely() -> Any:
    """The first client's LCP never completes; the second comes up."""
    world = b.World(2, "user")
    t = world.connect("c1", b.T0, ppp=False)
    t = world.connect("c2", t)
    return b.over(world, world.hold(t, 4.0))


def late() -> Any:
    """The second client comes up only as the run ends."""
    world = b.World(2)
    t = world.connect("c1", b.T0)
    t = world.hold(t + 0.1, 4.0)
    t = world.connect("c2", t)
    t = world.hold(t, 0.4)
    world.view("end", t)
    return b.over(world, t)


def gave_up() -> Any:
    """The second client's LCP never completes; it has deleted its SAs by the time the gateway is asked."""
    world = b.World(2, "demux")
    t = world.hold(world.connect("c1", b.T0) + 0.1, 3.0)
    t = b.close(world, "c2", world.connect("c2", t, ppp=False))
    world.views = [v for v in world.views if v.label != "after-connect:c2"]
    world.view("after-connect:c2", t + 0.1)
    t = world.hold(t + 0.2, 3.0)
    b.over(world, t)
    world.view("late", t + 5.0)
    return world


def forget(client: str) -> Callable[[Any], object]:
    """The client has no record of any answer."""
    return lambda w: setattr(
        w, "records", [r for r in w.records if not (r.client == client and r.kind is RecordKind.MARK_ANSWERED)]
    )


def forget_answers(w: Any, client: str, numbers: set[int]) -> None:
    """The client heard none of these answers."""
    w.records = [
        r for r in w.records if not (r.client == client and r.kind is RecordKind.MARK_ANSWERED and r.data["sequence"] in numbers)
    ]


def swallow(client: str, count: int, name: str = "answer", after: str = "") -> Callable[[Any], object]:
    """The NAT drops some of a client's packets, answers or questions ("mark"); with `after` those that follow this step."""

    def act(w: Any) -> None:
        since = end_of(w, after) if after else b.T0
        gone = [p for p in w.find(name, client) if p.inside.t > since][1 : 3 * count : 3]
        assert len(gone) == count
        numbers = {p.inside.inner.mark.sequence for p in gone}
        forget_answers(w, client, numbers)
        for p in gone:
            setattr(p, "inside" if p.direction == "down" else "outside", None)
        if name == "mark":  # what never arrived is never answered
            w.packets = [p for p in w.packets if (p.name, p.client) != ("answer", client) or p.inside.inner.mark.sequence not in numbers]
            w.lone = [o for o in w.lone if o.mark is None or o.mark.owner != w.n(client) or o.mark.sequence not in numbers]

    return act


def nat_kills() -> Any:
    """Everything that the first client sends once the second has come vanishes inside the NAT."""
    world = b.World(2, "mute")
    t = came = world.hold(world.connect("c1", b.T0) + 0.1, 4.0)
    t = world.hold(world.connect("c2", t) + 0.1, 6.0)
    for p in world.find("mark", "c1"):
        if p.inside is not None and p.inside.t > came:
            p.outside = None
    world.view("end", t)
    return b.over(world, t)


def silence_after(step: str, client: str) -> Callable[[Any], object]:
    """One client's ending makes the gateway silent towards a neighbour."""

    def act(w: Any) -> None:
        gone = [p for p in w.find("answer", client) if p.inside.t > end_of(w, step)]
        assert gone
        w.packets = [p for p in w.packets if p not in gone]
        forget_answers(w, client, {p.inside.inner.mark.sequence for p in gone})

    return act


def keep_translation(w: Any, client: str) -> None:
    """The SA is gone, and the account lists no other that bears the port; its translation is still installed."""
    w.views = [replace(v, ports={**v.ports, w.n(client): w.ports[client]}) for v in w.views]


def resting(quiet: float, *keepalives: float) -> Callable[[], Any]:
    """One client that sends nothing for so many seconds but keepalives, so many seconds after its last words."""

    def build() -> Any:
        world = b.World(1)
        t = world.hold(world.connect("c1", b.T0) + 0.1, 3.0)
        last = max(p.inside.t for p in world.packets if p.direction == "up" and p.inside is not None)
        for after in keepalives:
            world.packet("c1", last + after, "up", 4500, FrameKind.KEEPALIVE, "keepalive")
        return b.over(world, world.hold(t + quiet, 2.0))

    return build


def flood(w: Any) -> None:
    """The gateway sends every answer to another client besides."""
    for p in w.find("answer"):
        other = "c2" if p.client == "c1" else "c1"
        w.esp(p.client, p.outside.t + 0.0005, "down", "copy", on=other, mark=p.inside.inner.mark, ppp=dict(p.inside.inner.ppp))


def twice(name: str, client: str, i: int = 20) -> Callable[[Any], object]:
    """A mark is sent anew by whoever sends it; the far end is not concerned."""

    def act(w: Any) -> None:
        p = w.find(name, client)[i]
        w.esp(client, p.outside.t + 0.0005, p.direction, "again", mark=p.inside.inner.mark, ppp=dict(p.inside.inner.ppp))

    return act


def far_twice(*, answer: bool) -> Callable[[Any], object]:
    """A mark of the first client's shows twice at the far end: a question that came out, or an answer that went in."""

    def act(w: Any) -> None:
        o = [o for o in w.lone if o.side is Side.FAR_END and o.mark.owner == 1 and o.mark.answer is answer][9]
        w.lone.append(replace(o, t=o.t + 0.0002))

    return act


def far_misses(*, answer: bool) -> Callable[[Any], object]:
    """The far end's capture holds one question, or answer, of the first client's less."""

    def act(w: Any) -> None:
        w.lone.remove([o for o in w.lone if o.side is Side.FAR_END and o.mark.owner == 1 and o.mark.answer is answer][9])

    return act


def alone() -> Any:
    return b.clean(1)


def reverse() -> Any:
    return b.clean(2, order=("c2", "c1"))


def six() -> Any:
    return b.clean(6, hold=3.0)


def of_c1(o: Observation) -> bool:
    return bool(o.mark and o.mark.owner == 1 and not o.mark.answer)


VID = {"vendor_ids": ["00" * 16]}
TUNNEL = [{"protocol": "ESP", "encapsulation": 3}]
PLAIN_TRANSPORT = [{"protocol": "ESP", "encapsulation": 2}]

PASS: list[tuple[str, Make]] = [
    ("DMX-01", of(plain())),
    ("DMX-01", of(plain("kernel"))),
    ("DMX-01", of(plain("mute"))),
    ("DMX-01", of(unfinished, revived)),
    ("DMX-01", of(plain("user", 3), lambda w: w.link("c3", w.find("QM3", "c2")[0].inside.t, "up", "LCP", "Configure-Request"))),
    ("DMX-02", of(plain())),
    ("DMX-02", of(plain("kernel"))),
    ("DMX-02", of(plain(), by_sas(mark=False))),
    ("DMX-02", of(plain(), sessions_by(peer_port=None))),
    ("DMX-02", of(plain(), lambda w: w.views.append(replace(w.views[-1], label="later", sas=(), sessions=w.views[-1].sessions * 2)))),
    ("DMX-04", of(plain("user", 3, ("c2", "c1", "c3")))),
    ("DMX-04", of(plain("kernel"))),
    ("DMX-04", of(plain("kernel", 3))),
    ("DMX-04", of(plain("mute", 3), nothing_down("c2"))),
    ("DMX-07", of(b.clean)),
    ("DMX-07", of(six)),
    ("DMX-10", of(b.clean)),
    ("DMX-11", of(b.clean)),
    ("DMX-12", of(six)),
    ("DMX-17", of(reverse)),
    ("DMX-20", of(b.clean)),
    ("DMX-21", of(b.clean)),
    ("DMX-22", of(b.clean)),
    ("DMX-24", of(b.clean)),
    ("DMX-25", of(b.clean)),
    ("DMX-25", of(b.clean, tunnel_up(-60.0), strange(RecordKind.STRANGE_DATA, tunnel=7))),
    ("DMX-29", of(alone)),
    ("LNX-01", of(b.clean)),
    ("LNX-02", of(six)),
    *((name, of(b.clean, sessions_by(peer_port=None))) for name in ("DMX-10", "DMX-11", "DMX-12", "DMX-20", "DMX-24")),
    ("DMX-30", of(b.clean)),
    ("DMX-31", of(b.clean)),
    ("DMX-32", of(b.clean)),
    ("DMX-33", of(b.clean)),
    ("DMX-34", of(b.clean)),
    ("DMX-35", of(b.clean)),
    ("DMX-40", of(b.endings)),
    ("DMX-43", of(b.endings)),
    ("DMX-44", of(b.endings)),
    ("DMX-45", of(b.endings)),
    ("DMX-07", of(b.clean, swallow("c1", 1))),
    ("DMX-07", of(b.clean, swallow("c1", 1, "mark"))),
    ("DMX-40", of(b.endings, swallow("c5", 1, "answer", "delete-ipsec:c1"))),
    ("DMX-25", of(b.clean, far(lambda o: replace(o, headers={}), of_c1))),
    ("DMX-25", of(b.clean, far(lambda o: replace(o, headers={"interface": "ppp9"}), of_c1))),
    ("LNX-02", of(b.clean, speak("c1", "c2"))),
    ("NTT-08", of(resting(22.0, 20.1))),
    ("NTT-28", of(b.clean, swallow("c1", 1))),
    ("DMX-74", of(b.together)),
    ("NTT-08", of(b.idle)),
    # Towards the gateway's ports 500 and 4500 a NAT may show two clients by one port.
    *((row, of(b.clean, frame("MM1", "c2", "outside", sport=40_001))) for row in ("NTT-13", "NTT-18")),
    ("NTT-12", of(b.clean, lambda w: [on_outside(p, **({"sport": 4500} if p.direction == "up" else {"dport": 4500})) for p in w.packets
                                      if p.client == "c1" and p.inside.sport == 4500 and p.inside.dport == 4500])),
    ("NTT-25", of(gave_up)),
    ("NTT-28", of(six)),
    *((f"NTT-{n:02}", of(b.clean)) for n in (1, 3, 4, 5, 6, 7, 10, 12, 13, 14, 15, 16, 17, 18, 25, 27, 28)),
]  # fmt: skip

FAIL: list[tuple[str, Make, str]] = [
    ("DMX-01", of(b.clean), "c1 survived"),
    ("DMX-01", of(plain("mute"), mute_for_all), "fell silent towards everybody"),
    ("DMX-01", of(plain("mute", 3), lambda w: [w.link("c3", b.T0 + 6.83 + 0.004 * i, "down", "LCP", "Configure-Request") for i in range(2)]),
     "all acted"),
    ("DMX-01", of(lambda: b.clean(hold=12.0), cut("c1", 8.0)), "no later client is shown"),
    ("DMX-01", of(plain(), lambda w: w.link("c1", b.T0 + 12.0, "down", "LCP", "Echo-Request")), "still sent to c1"),
    ("DMX-01", of(nat_kills), "the NAT is to blame: c1's packets went into the NAT"),
    ("DMX-04", of(nat_kills), "the NAT is to blame: c1's packets went into the NAT"),
    ("DMX-02", of(b.clean), "apart by"),
    ("DMX-02", of(plain(), lambda w: setattr(w, "views", [replace(v, sas=tuple(replace(s, mark=int(s.spi[-1])) for s in v.sas))
                                                          for v in w.views])), "apart by [('203.0.113.232', 1701, 1), ('203.0.113.232', 1701, 2)]"),
    ("DMX-02", of(plain(), sessions_by(peer_port=2000)), "knows a client as"),
    ("DMX-02", of(b.clean, sessions_by(peer_port=None)), "apart by"),
    ("DMX-02", of(plain(), sessions_by(peer_address="198.51.100.9")), "knows a client as"),
    ("DMX-02", of(plain(), by_sas(mark=True)), "apart by"),
    ("DMX-02", of(plain(), lambda w: w.views.insert(0, replace(w.views[-1], sessions=tuple(
        replace(s, peer_port=1024 + i) for i, s in enumerate(w.views[-1].sessions * 2))))), "apart by"),
    ("DMX-02", of(plain(), inner("mark", "c1", sport=1024)), "inner source port is 1024"),
    ("DMX-02", of(plain(), frame("mark", "c1", "outside", src="203.0.113.99")), "from 203.0.113.99"),
    ("DMX-04", of(b.clean), "survived a newcomer"),
    ("DMX-04", of(plain("user", 3, ("c2", "c1", "c3")), lambda w: w.link("c2", b.T0 + 18.0, "down", "LCP", "Echo-Request")),
     "still sent to c2"),
    ("DMX-04", of(lambda: b.clean(hold=12.0), cut("c1", 8.0)), "no later client is shown"),
    ("DMX-07", of(plain()), "c1 died: the gateway fell silent; killer: c2 (certain)"),
    ("DMX-07", of(plain("kernel")), "c2 never came up: LCP incomplete"),
    ("DMX-07", of(b.clean, lose("c1", 2)), "c1 lost 2 of 50"),
    ("DMX-07", of(b.clean, lose("c1", 1)), "c1 lost 1 of 50 marks, longest gap"),
    ("DMX-07", of(b.clean, swallow("c1", 3)), "the NAT lost 3 of c1's 50 marks"),
    ("DMX-07", of(b.clean, swallow("c1", 3, "mark")), "the NAT lost 3 of c1's 50 marks"),
    ("DMX-07", of(nat_kills), "killer: c2 (suspected), to blame: the NAT"),
    ("DMX-07", of(b.clean, far(lambda o: replace(o, headers={"interface": "ppp1"}), of_c1)), "50 marks of c1 reached c2 towards the far end"),
    ("DMX-07", of(b.clean, speak("c1", "c2")), "1 marks of c1 reached c2 towards the clients"),
    ("DMX-07", of(b.clean, far(lambda o: replace(o, src="172.16.1.11"), of_c1)), "marks of c1 reached c2 towards the far end"),
    ("DMX-07", of(b.clean, say_goodbye("c1", 5.0)), "c1 died: StopCCN"),
    ("DMX-07", of(b.clean, lambda w: w.far(b.T0 + 5, "172.16.1.99", b.FAR, b.Mark(77, 1, False))), "marks of nobody reached nobody"),
    ("DMX-10", of(b.clean, ports(c1=1025, c2=1026)), "c1 has port [1025], not 1024"),
    ("DMX-10", of(reverse, ports(c2=1025, c1=1024)), "c2 has port [1025], not 1024"),
    ("DMX-11", of(b.clean, ports(c2=1026)), "c2 has port [1026], not 1025"),
    ("DMX-12", of(b.clean, ports(c2=1024)), "share port 1024"),
    ("DMX-12", of(b.clean, ports(c2=1000)), "outside 1024-65535"),
    ("DMX-12", of(b.clean, ports(c2=1701)), "no translation"),
    ("DMX-12", of(b.clean, sessions_by(peer_port=1099)), "several ports"),
    ("DMX-17", of(reverse, ports(c2=1025, c1=1024)), "c2 has port [1025], not 1024"),
    ("DMX-17", of(reverse, ports(c1=1030)), "c1 has port [1030], not 1025"),
    ("DMX-20", of(b.clean, inner("mark", "c1", "outside", sport=1024)), "inner port is 1024 on the wire"),
    ("DMX-20", of(b.clean, boundary(lambda o: replace(o, sport=1701), lambda o: o.sport == 1024 and o.inner.mark is not None)),
     "going up is at L2TP with 1701, untranslated"),
    ("DMX-20", of(b.clean, boundary(lambda o: replace(o, sport=1701), lambda o: o.sport in (1024, 1025))), "knows c1 by 1701"),
    ("DMX-20", of(b.clean, sessions_by(peer_port=1099)), "several ports"),
    ("DMX-20", of(b.clean, boundary(lambda o: replace(o, sport=1025), lambda o: o.sport == 1024 and o.inner.mark is not None)), "several"),
    ("DMX-21", of(b.clean, boundary(lambda o: replace(o, sport=1701), lambda o: o.sport in (1024, 1025))), "going up is at L2TP with 1701"),
    ("DMX-21", of(b.clean, boundary(lambda o: replace(o, dport=1701), lambda o: o.dport in (1024, 1025))), "going down is at L2TP with 1701"),
    ("DMX-21", of(b.clean, inner("answer", "c1", "outside", dport=1024)), "inner port is 1024 on the wire"),
    ("DMX-21", of(b.clean, boundary(lambda o: replace(o, dport=1701), lambda o: o.dport == 1024)), "a packet going down is at L2TP with 1701, untranslated"),
    ("DMX-21", of(b.clean, boundary(lambda o: replace(o, dport=1025), lambda o: o.dport == 1024)), "c1's packet going down bears port 1025"),
    ("DMX-22", of(b.clean, speak("c1", "c2")), "a reply to c1's port left in c2's SA"),
    ("DMX-22", of(b.clean, frame("answer", "c1", "outside", dport=40_002)), "left for NAT port 40002"),
    ("DMX-22", of(b.clean, boundary(lambda o: replace(o, dport=1099), lambda o: o.dport == 1024 and o.inner.mark is not None)),
     "port 1099, which is no client's"),
    ("DMX-22", of(b.clean, boundary(lambda o: replace(o, dport=1025), lambda o: o.dport == 1024 and o.inner.mark is not None)),
     "a reply to c2's port left in c1's SA"),
    ("DMX-24", of(b.clean, inner("answer", "c1", "inside", dport=1024)), "a translated port is on the inside wire"),
    ("DMX-24", of(b.clean, inner("mark", "c1", "outside", sport=1025)), "a translated port is on the outside wire"),
    ("DMX-24", of(b.clean, inner("mark", "c1", sport=3000)), "a port other than 1701"),
    ("DMX-25", of(plain()), "marks of c1 reached c2 towards the clients"),
    ("DMX-25", of(b.clean, far(lambda o: replace(o, src="172.16.1.11"), of_c1)), "towards the far end"),
    ("DMX-25", of(b.clean, far(lambda o: replace(o, src="172.16.1.99"), of_c1)), "reached nobody towards the far end"),
    ("DMX-25", of(b.clean, frame("answer", "c1", "inside", dst="10.0.0.3"), forget("c1")), "c1 reached c2 towards the clients"),
    ("DMX-25", of(b.clean, strange(RecordKind.MARK_STRANGE, owner=2, sequence=1)), "received a mark of client 2"),
    ("DMX-25", of(b.clean, strange(RecordKind.STRANGE_DATA, tunnel=7)), "data for tunnel 7"),
    ("DMX-25", of(b.clean, tunnel_up(2.0), strange(RecordKind.STRANGE_DATA, tunnel=7)), "data for tunnel 7"),
    ("DMX-25", of(b.clean, strange(RecordKind.MARK_DAMAGED, sequence=7)), "mark 7 damaged"),
    ("DMX-25", of(b.clean, twice("answer", "c1")), "the gateway delivered 1 marks of c1 more than once"),
    ("DMX-25", of(b.clean, far_twice(answer=False)), "the gateway delivered 1 marks of c1 more than once"),
    ("DMX-25", of(b.clean, far_twice(answer=True)), "the far end delivered 1 marks of c1 more than once"),
    ("LNX-01", of(plain()), "c1 died when c2 came"),
    ("LNX-02", of(plain("kernel")), "c1 died when c2 came"),
    ("DMX-29", of(alone, ports(c1=1025)), "has port [1025], not 1024"),
    ("DMX-29", of(alone, lose("c1", 2)), "c1 lost 2 of"),
    ("DMX-29", of(alone, say_goodbye("c1", 5.0)), "c1 died"),
    ("DMX-30", of(b.clean, ike("MM2", "c2", **VID)), "c2's MM2 does not announce"),
    ("DMX-30", of(b.clean, ike("MM3", "c1", nat_d=[])), "MM3 holds 0 NAT-D"),
    ("DMX-30", of(b.clean, frame("MM6", "c1", sport=500)), "MM6 is on port 500"),
    ("DMX-30", of(b.clean, ike("QM2", "c1", proposals=PLAIN_TRANSPORT)), "agreed c1 no UDP encapsulation"),
    ("DMX-30", of(b.clean, lambda w: w.records.insert(0, b.Record(b.T0, "c1", RecordKind.IKE_UP, {"icookie": w.cookies("c1")[0]}))),
     "says that it is behind no NAT"),
    ("DMX-30", of(b.clean, lambda w: w.records.insert(0, b.Record(b.T0, "c1", RecordKind.IKE_UP, {"icookie": "x", "nat_local": True,
                                                                                                   "nat_remote": True}))),
     "the gateway is behind a NAT"),
    ("DMX-31", of(b.clean, ike("QM1", "c1", proposals=TUNNEL)), "QM1 has encapsulation 3, not 4"),
    ("DMX-31", of(b.clean, ike("QM1", "c1", proposals=[{"protocol": "ESP", "encapsulation": 61444}])), "61444, not 4"),
    ("DMX-31", of(b.clean, ike("QM1", "c1", proposals=[])), "holds no proposal"),
    ("DMX-31", of(b.clean, ike("QM1", "c1", proposals=[{"protocol": "AH", "encapsulation": 4}])), "proposes AH"),
    ("DMX-31", of(b.clean, ike("QM2", "c2", proposals=PLAIN_TRANSPORT)), "c2's QM2 has encapsulation 2"),
    ("DMX-31", of(b.clean, without("QM2", "c2")), "c2's QM2 was not seen"),
    ("DMX-32", of(b.clean, ike("QM1", "c1", ids=[])), "QM1 holds 0 IDs"),
    ("DMX-32", of(b.clean, without("QM1", "c1")), "c1's QM1 was not seen"),
    *(
        ("DMX-32", of(b.clean, ike("QM1", "c1", ids=[{"type": "ID_IPV4_ADDR", "protocol": p, "port": q, "value": own},
                                                     {"type": "ID_IPV4_ADDR", "protocol": r, "port": s, "value": peer}])), words)
        for own, p, q, peer, r, s, words in (
            ("203.0.113.232", 17, 1701, b.GATEWAY, 17, 1701, "IDci is 203.0.113.232"),
            ("10.0.0.2", 0, 1701, b.GATEWAY, 17, 1701, "IDci is for 0/1701"),
            ("10.0.0.2", 17, 0, b.GATEWAY, 17, 1701, "IDci is for 17/0"),
            ("10.0.0.2", 17, 1701, "1.2.3.4", 17, 1701, "IDcr is 1.2.3.4"),
            ("10.0.0.2", 17, 1701, b.GATEWAY, 6, 1701, "IDcr is for 6/1701"),
            ("10.0.0.2", 17, 1701, b.GATEWAY, 17, 500, "IDcr is for 17/500"),
        )
    ),
    ("DMX-33", of(b.clean, frame("MM1", "c1", "outside", src="10.0.0.2")), "a packet from 10.0.0.2"),
    ("DMX-33", of(b.clean, frame("MM1", "c1", "outside", src="198.51.100.7")), "a packet from 198.51.100.7"),
    ("DMX-33", of(b.clean, frame("MM2", "c1", "outside", dst="10.0.0.2")), "the gateway addresses 10.0.0.2"),
    ("DMX-34", of(b.clean, inner("mark", "c1", "outside", sport=1024)), "changed an inner port"),
    ("DMX-34", of(b.clean, inner("mark", "c1", sport=1024)), "inner ports are 1024 and 1701"),
    ("DMX-34", of(b.clean, inner("answer", "c1", dport=1024)), "inner ports are 1701 and 1024"),
    ("DMX-35", of(b.clean, inner("mark", "c1", checksum_fits=())), "does not fit its address"),
    ("DMX-35", of(b.clean, inner("mark", "c1", checksum_fits=(("10.0.0.2", b.GATEWAY), (b.NAT, b.GATEWAY)))), "fits the NAT's address"),
    ("DMX-35", of(b.clean, without("SCCRP", "c2"), inner("mark", "c2")), "did not answer c2"),
    ("DMX-40", of(b.endings, without("INFO", "c1"), cut("c1", 7.4)), "no Delete payload for c1"),
    ("DMX-40", of(b.endings, views_keep("c1")), "still holds c1's SAs"),
    ("DMX-40", of(b.endings, answered_later("delete-ipsec:c1", "c1")), "c1 was still answered"),
    ("DMX-40", of(b.endings, cut("c5", 8.0)), "c5 died too"),
    ("DMX-40", of(b.endings, lambda w: lose_after(w, "c5", "delete-ipsec:c1", 2)), "c5 lost 2 of"),
    ("DMX-40", of(b.endings, lambda w: keep_port(w, "c1")), "still holds c1's port"),
    ("DMX-40", of(b.endings, lambda w: keep_translation(w, "c1")), "still holds c1's port [1025]"),
    ("DMX-45", of(b.endings, lambda w: keep_translation(w, "c4")), "still holds c4's port [1027]"),
    ("DMX-40", of(b.endings, silence_after("delete-ipsec:c1", "c2")), "c2 died too: the gateway fell silent"),
    ("DMX-43", of(b.endings, silence_after("gateway-close:c2", "c3")), "c3 died too: the gateway fell silent"),
    ("DMX-44", of(b.endings, silence_after("client-close:c3", "c5")), "c5 died too: the gateway fell silent"),
    ("DMX-45", of(b.endings, silence_after("delete-ipsec:c1", "c2")), "c2 died too: the gateway fell silent, after delete-ipsec:c1"),
    ("DMX-44", of(b.endings, silence_after("delete-ipsec:c1", "c2")), "c2 died too: the gateway fell silent before client-close:c3"),
    ("DMX-40", of(b.endings, swallow("c5", 3, "answer", "delete-ipsec:c1")), "the NAT lost 3 of c5's"),
    ("DMX-43", of(b.endings, without("StopCCN", "c2")), "neither StopCCN nor CDN"),
    ("DMX-43", of(b.endings, inner("StopCCN", "c2", l2tp={"message": "Hello", "tunnel": 102})), "neither StopCCN nor CDN"),
    ("DMX-40", of(b.endings, ike("INFO", "c1", deletes=[])), "no Delete payload for c1"),
    ("DMX-43", of(b.endings, answered_later("gateway-close:c2", "c2")), "c2 was still answered"),
    ("DMX-43", of(b.endings, lambda w: w.control("c5", end_of(w, "gateway-close:c2") + 0.3, "down", "StopCCN")), "c5 died too: StopCCN"),
    ("DMX-43", of(b.endings, lambda w: w.control("c5", end_of(w, "gateway-close:c2") + 0.3, "down", "CDN")), "c5 died too: CDN"),
    ("DMX-44", of(b.endings, without("CDN", "c3")), "c3 sent no CDN"),
    ("DMX-44", of(b.endings, without("StopCCN", "c3")), "c3 sent no StopCCN"),
    ("DMX-44", of(b.endings, without("INFO", "c3")), "did not delete its SAs"),
    ("DMX-44", of(b.endings, inner("CDN", "c3", l2tp={"message": "CDN", "tunnel": 203, "avps": {"Result Code": {"result": 1}}})),
     "CDN has result 1, not 3"),
    ("DMX-44", of(b.endings, inner("StopCCN", "c3", l2tp={"message": "StopCCN", "tunnel": 203, "avps": {"Result Code": {"result": 6}}})),
     "StopCCN has result 6, not 1"),
    ("DMX-44", of(b.endings, sooner("StopCCN", "c3", 0.015)), "StopCCN went before its CDN"),
    ("DMX-44", of(b.endings, sooner("INFO", "c3", 0.015)), "deleted its SAs before"),
    ("DMX-44", of(b.endings, answered_later("client-close:c3", "c3")), "c3 was still answered"),
    ("DMX-44", of(b.endings, lambda w: w.link("c5", end_of(w, "client-close:c3") + 0.3, "down", "LCP", "Terminate-Request")), "c5 died too"),
    ("DMX-45", of(b.endings, views_keep("c4")), "still holds c4's SAs"),
    ("DMX-45", of(b.endings, lambda w: keep_session(w, "c4")), "still holds c4's session"),
    ("DMX-45", of(b.endings, lambda w: w.control("c4", w.views[-1].t + 1, "down", "Hello")), "still sends to c4"),
    ("DMX-45", of(b.endings, cut("c5", 8.0)), "c5 died too"),
    ("DMX-74", of(b.together, ports(c2=1024)), "share port 1024"),
    ("DMX-74", of(b.together, lose("c3", 2)), "c3 lost 2 of"),
    ("DMX-74", of(b.together, say_goodbye("c1", 3.0)), "c1 died"),
    ("DMX-74", of(b.together, flood), "marks of c1 reached c2 towards the clients"),
    ("NTT-01", of(b.clean, ike("MM1", "c1", **VID)), "c1's MM1 does not announce"),
    ("NTT-01", of(b.clean, ike("MM2", "c1", **VID)), "c1's MM2 does not announce"),
    ("NTT-01", of(b.clean, ike("MM2", "c1", vendor_ids=["90cb80913ebb696e086381b5ec427b1f"])), "share no version"),
    ("NTT-01", of(b.clean, without("MM2", "c2")), "c2's MM2 was not seen"),
    ("NTT-03", of(b.clean, ike("MM3", "c1", nat_d=["00" * 20])), "MM3 holds 1 NAT-D"),
    ("NTT-03", of(b.clean, ike("MM4", "c1", nat_d=[])), "MM4 holds 0 NAT-D"),
    ("NTT-03", of(b.clean, without("MM4", "c2")), "MM4 was not seen on both sides"),
    ("NTT-03", of(b.clean, lambda w: hashes(w, "MM3", ("none", 0), (w.address("c1"), 500))), "wrong hash for the gateway's end"),
    ("NTT-03", of(b.clean, lambda w: hashes(w, "MM3", (b.GATEWAY, 500), ("none", 0))), "no hash of its own inside address"),
    ("NTT-03", of(b.clean, lambda w: hashes(w, "MM3", (b.GATEWAY, 500), (w.address("c1"), 500), (b.NAT, 20_001))), "as if there were no NAT"),
    ("NTT-03", of(b.clean, lambda w: hashes(w, "MM4", (w.address("c1"), 500), (b.GATEWAY, 500))), "as if there were no NAT"),
    ("NTT-03", of(b.clean, lambda w: hashes(w, "MM4", ("none", 0), (b.GATEWAY, 500))), "not the hash of the NAT's"),
    ("NTT-03", of(b.clean, lambda w: hashes(w, "MM4", (b.NAT, 20_001), ("none", 0))), "no hash of the gateway's own end"),
    ("NTT-04", of(b.clean, lambda w: hashes(w, "MM3", (b.GATEWAY, 500), ("none", 0))), "no hash of its own inside address"),
    ("NTT-04", of(b.clean, frame("MM5", "c1", dport=500)), "MM5 is on port 500"),
    ("NTT-04", of(b.clean, frame("MM6", "c1", sport=500)), "MM6 is on port 500"),
    ("NTT-04", of(b.clean, ike("QM2", "c1", proposals=PLAIN_TRANSPORT)), "no UDP encapsulation"),
    ("NTT-04", of(b.clean, ike("QM2", "c1", proposals=[])), "no UDP encapsulation"),
    ("NTT-04", of(b.clean, without("QM2", "c1")), "QM2 was not seen"),
    ("NTT-05", of(b.clean, frame("MM5", "c1", sport=500)), "MM5 is on 500 to 4500"),
    ("NTT-05", of(b.clean, frame("MM6", "c1", dport=500)), "MM6 is on 4500 to 500"),
    ("NTT-05", of(b.clean, without("MM6", "c1")), "MM6 was not seen"),
    ("NTT-05", of(b.clean, frame("QM1", "c1", "outside", dport=500)), "QM1 is back on 500"),
    ("NTT-05", of(b.clean, frame("QM2", "c1", "inside", sport=500)), "QM2 is back on 500"),
    ("NTT-05", of(b.clean, frame("mark", "c1", sport=None, dport=None)), "ESP is not in UDP 4500"),
    ("NTT-06", of(b.clean, ike("QM1", "c1", marker=False)), "on 4500 lacks the marker"),
    ("NTT-06", of(b.clean, ike("MM2", "c1", marker=True)), "on 500 bears the marker"),
    ("NTT-07", of(b.clean, frame("QM1", "c1", "outside", sport=55_555)), "c1 uses 2 ports at the NAT"),
    ("NTT-07", of(b.clean, frame("answer", "c1", "outside", dport=55_555)), "c1 uses 2 ports at the NAT"),
    ("NTT-07", of(b.clean, frame("QM1", "c1", "outside", dport=500)), "quick mode is on port 500"),
    ("NTT-07", of(b.clean, frame("MM6", "c1", "outside", sport=500)), "main mode is on port 500"),
    ("NTT-07", of(b.clean, frame("mark", "c1", "outside", sport=40_001, dport=4501)), "ESP is on port 4501"),
    ("NTT-07", of(b.clean, *(without(n, "c1") for n in ("QM1", "QM2", "QM3"))), "c1 has no quick mode"),
    ("NTT-08", of(b.idle, lambda w: w.packet("c1", b.T0 + 60, "down", 4500, FrameKind.KEEPALIVE, "keepalive")), "the gateway, which is"),
    ("NTT-08", of(b.idle, frame("keepalive", "c1", sport=500)), "keepalives from 500"),
    ("NTT-08", of(b.idle, without("keepalive", "c1"), lambda w: w.control("c1", b.T0 + 100, "up", "Hello")), "sent no keepalive"),
    ("NTT-08", of(resting(21.5)), "c1 was quiet for 21.7 s and sent no keepalive"),
    ("NTT-08", of(resting(50.0, 20.0)), "c1 was quiet for 30.2 s and sent no keepalive"),
    ("NTT-10", of(b.clean, frame("MM1", "c1", "outside", src="10.0.0.2")), "c1 left the NAT as 10.0.0.2"),
    ("NTT-10", of(b.clean, frame("MM1", "c1", "inside", sport=501)), "sends MM1 from 501"),
    ("NTT-10", of(b.clean, frame("MM1", None, "outside", sport=500)), "left port 500 to c1, c2"),
    ("NTT-10", of(alone, frame("MM1", None, "outside", sport=500)), "left port 500 to c1"),
    ("NTT-12", of(b.clean, frame("MM5", "c1", "outside", src="10.0.0.2")), "c1 left the NAT as 10.0.0.2"),
    ("NTT-12", of(b.clean, frame("MM5", "c1", "inside", sport=501)), "sends MM5 from 501"),
    ("NTT-12", of(b.clean, frame("MM5", None, "outside", sport=4500)), "left port 4500 to c1, c2"),
    ("NTT-13", of(b.clean, frame("MM1", None, "outside", sport=20_001)), "c1 and c2 share port 20001"),
    ("NTT-13", of(b.clean, frame("mark", None, "outside", sport=40_001)), "c1 and c2 share port 40001"),
    ("NTT-14", of(b.clean, frame("QM1", "c1", "outside", payload_digest="x")), "changed a payload"),
    ("NTT-14", of(b.clean, frame("QM1", "c1", "outside", length=201)), "changed a payload"),
    ("NTT-14", of(b.clean, alter_payload("QM1", "c1")), "changed a payload"),
    ("NTT-15", of(b.clean, frame("QM2", "c1", "outside", payload_digest="x")), "changed a payload"),
    ("NTT-15", of(b.clean, alter_payload("QM2", "c1")), "changed a payload"),
    ("NTT-16", of(b.clean, frame("QM1", "c1", "outside", headers={"tos": 4})), "changed tos"),
    ("NTT-16", of(b.clean, frame("QM2", "c1", "inside", headers={"ip_id": 4})), "changed ip_id"),
    ("NTT-16", of(b.clean, frame("QM1", "c1", "outside", ttl=64)), "TTL went from 64 to 64"),
    ("NTT-16", of(b.clean, frame("QM1", "c1", "outside", length=201)), "changed the length"),
    ("NTT-16", of(b.clean, frame("QM1", "c1", "outside", payload_digest="x")), "changed the payload"),
    ("NTT-16", of(b.clean, frame("QM1", "c1", "outside", dport=4501)), "changed the destination port"),
    ("NTT-16", of(b.clean, frame("QM1", "c1", "inside", dst="203.0.113.230")), "changed the destination address"),
    ("NTT-16", of(b.clean, frame("QM2", "c1", "inside", sport=4501)), "changed the source port"),
    ("NTT-16", of(b.clean, frame("QM2", "c1", "outside", src="203.0.113.230")), "changed the source address"),
    ("NTT-17", of(b.clean, frame("QM1", "c1", "outside", dport=4501)), "changed the gateway's end"),
    ("NTT-17", of(b.clean, frame("QM2", "c1", "inside", sport=4501)), "changed the gateway's end"),
    ("NTT-17", of(b.clean, frame("QM1", "c1", dport=4501)), "gateway's end is ('203.0.113.231', 4501)"),
    ("NTT-18", of(b.clean, frame("answer", "c1", "inside", dst="10.0.0.3")), "a packet of c1 was handed to 10.0.0.3"),
    ("NTT-18", of(b.clean, alter_payload("QM1", "c1")), "changed 1 payloads of c1"),
    ("NTT-18", of(b.clean, frame("mark", None, "outside", sport=40_001)), "the same port 40001"),
    ("NTT-18", of(b.clean, frame("QM1", "c1", "outside", src="10.0.0.2")), "let c1's inside address through"),
    ("NTT-25", of(b.clean, without("QM3", "c1")), "c1's QM3 was not seen"),
    ("NTT-25", of(b.clean, lambda w: setattr(w, "records", [r for r in w.records if r.kind is not RecordKind.ESP_UP])), "no account"),
    ("NTT-25", of(b.clean, lambda w: w.record(b.T0, "c1", RecordKind.ESP_UP, spi_in="bad", spi_out="d0000001")), "says SPI bad"),
    ("NTT-25", of(b.clean, lambda w: w.record(b.T0, "c1", RecordKind.ESP_UP, spi_in="c0000001", spi_out="bad")), "says SPI bad"),
    ("NTT-25", of(b.clean, only("c2")), "lists no outbound SA for c1"),
    ("NTT-25", of(b.clean, only()), "lists no outbound SA for c1"),
    ("NTT-25", of(b.clean, lambda w: setattr(w, "views", [replace(v, sas=tuple(replace(s, inbound=False) for s in v.sas)) for v in w.views])),
     "lists no inbound SA for c1"),
    ("NTT-25", of(b.clean, lambda w: setattr(w, "packets", [p for p in w.packets if p.inside.kind is FrameKind.IKE or p.direction == "up"])),
     "no ESP went down on c1's SA"),
    ("NTT-27", of(b.clean, lambda w: w.packet("c1", b.T0 + 1, "up", 1701, FrameKind.L2TP_CLEAR, "clear")), "crossed in clear"),
    ("NTT-27", of(b.clean, lambda w: w.packet("c1", b.T0 + 1, "up", 1701, FrameKind.OTHER, "clear")), "crossed in clear"),
    ("NTT-27", of(b.clean, lambda w: w.packet("c1", b.T0 + 1, "up", 1, FrameKind.ICMP, "clear", mark=b.Mark(1, 1, False))), "in clear"),
    ("NTT-27", of(b.clean, exposures=(("outside", 7, "password: in clear"),)), "outside frame 7: password: in clear"),
    ("NTT-28", of(plain()), "c1 died"),
    ("NTT-28", of(plain("kernel")), "c2 never came up"),
    ("NTT-28", of(b.clean, lose("c2", 2)), "c2 lost 2 of"),
    ("NTT-28", of(b.clean, flood), "marks of c1 reached c2 towards the clients"),
]  # fmt: skip


def lose_after(w: Any, client: str, step: str, count: int) -> None:
    t = end_of(w, step)
    gone = [p for p in w.find("answer", client) if p.inside.t > t][:count]
    numbers = {p.inside.inner.mark.sequence for p in gone}
    w.packets = [p for p in w.packets if p not in gone]
    w.records = [
        r for r in w.records if not (r.client == client and r.kind is RecordKind.MARK_ANSWERED and r.data["sequence"] in numbers)
    ]


def keep_port(w: Any, client: str) -> None:
    """The SA is gone, the port is not: another SA of unknown SPI still bears it."""
    sa = replace(w.views[0].sas[0], spi="99999999", translated_port=w.ports[client])
    w.views[-1] = replace(w.views[-1], sas=(*w.views[-1].sas, sa))


def keep_session(w: Any, client: str) -> None:
    kept = next(s for s in w.views[-3].sessions if s.tunnel_remote == 100 + w.n(client))
    w.views[-2:] = [replace(v, sessions=(*v.sessions, kept)) for v in w.views[-2:]]


def hashes(w: Any, message: str, *ends: tuple[str, int]) -> None:
    """NAT-D payloads of c1's message for these ends; ("none", 0) is a hash of nothing."""
    i, r = w.cookies("c1")
    w.set_ike(message, "c1", nat_d=["00" * 20 if a == "none" else b.nat_d(i, r, a, p) for a, p in ends])


BOUNDARY = {"DMX-10": b.clean, "DMX-11": b.clean, "DMX-12": b.clean, "DMX-17": reverse, "DMX-20": b.clean, "DMX-21": b.clean, "DMX-22": b.clean, "DMX-24": b.clean}
"""The rows that are judged by what is seen at the L2TP boundary."""

TYPED = sorted(row for row, check in CHECKS.items() if not {*WIRE, *SIDES} & {*check.needs})
"""Those that rest on what a router printed, and on no capture."""

INCONCLUSIVE: list[tuple[str, Make, str]] = [
    ("DMX-01", of(alone), "fewer than two clients"),
    ("DMX-01", of(plain(), lambda w: setattr(w, "packets", [p for p in w.packets if not (p.client == "c1" and p.name in ("mark", "answer")
                                                             and p.inside.t < b.T0 + 6.5)])), "the wire does not show them"),
    ("DMX-01", of(barely), "nothing to lose"),
    ("DMX-01", of(lambda: hasty(0, 4.0)), "no traffic before c2"),
    ("DMX-01", of(lambda: hasty(3.0, 0.2)), "too little after c2"),
    ("DMX-01", of(plain(), forget("c1"), without("answer", "c1")), "no traffic before c2"),
    ("DMX-04", of(lambda: hasty(0, 4.0)), "no traffic before c2"),
    ("DMX-02", of(alone), "fewer than two"),
    ("DMX-02", of(plain(), lambda w: setattr(w, "packets", [p for p in w.packets if p.inside.kind is FrameKind.IKE or p.client == "c1"])),
     "c2 sent nothing through its SA"),
    ("DMX-40", of(b.endings, step_detail("delete-ipsec:c1", detail={"carried_out": False})), "was not carried out"),
    ("DMX-43", of(b.endings, step_detail("gateway-close:c2", detail={"carried_out": False})), "was not carried out"),
    ("DMX-44", of(b.endings, step_detail("client-close:c3", detail={"carried_out": False})), "was not carried out"),
    ("DMX-45", of(b.endings, step_detail("vanish:c4", detail={"carried_out": False})), "was not carried out"),
    ("DMX-43", of(b.clean, add_step("gateway-close:c9", 8.0)), "concerns no client"),
    ("DMX-43", of(lambda: b.eviction("kernel"), add_step("gateway-close:c2", 20.0)), "c2 was not up when"),
    ("DMX-43", of(b.clean, add_step("gateway-close:c2", 1.0)), "c2 was not up when"),
    ("DMX-43", of(b.endings, lambda w: w.control("c2", b.T0 + 3, "down", "StopCCN")), "had died before"),
    ("DMX-43", of(cleared, lambda w: only_marks(w, "c2", 2), forget("c2"), without("answer", "c2")), "c2 was never answered"),
    ("DMX-43", of(cleared), "too few marks after gateway-close:c2 to say whether it touched c1"),
    ("DMX-43", of(cleared, lambda w: b.close(w, "c1", b.T0 + 2.0, by="client"), add_step("client-close:c1", 1.9)), "nobody else was up when"),
    ("DMX-40", of(lambda: b.endings(1.5), silence_after("delete-ipsec:c1", "c2")), "too few marks after delete-ipsec:c1 to say whether it touched c2"),
    ("DMX-40", of(b.endings, lambda w: setattr(w, "views", [replace(v, ports={}) for v in w.views])), "lists no translation of anybody"),
    ("DMX-25", of(b.clean, twice("mark", "c1")), "the traffic generator sent a mark more than once"),
    ("DMX-07", of(b.clean, far_misses(answer=False)), "1 marks of c1 passed the far end, and its capture missed them"),
    ("DMX-25", of(b.clean, far_misses(answer=True)), "1 marks of c1 passed the far end, and its capture missed them"),
    ("DMX-02", of(plain(), lambda w: setattr(w, "views", [replace(v, sas=()) for v in w.views])), "no view of the gateway lists two clients"),
    ("DMX-74", of(lambda: b.together(4, 0.015)), "45 ms apart, so not together"),
    ("NTT-08", of(resting(20.2)), "idle long enough"),
    ("NTT-25", of(b.clean, leave_out_view), "own account"),
    ("NTT-25", of(b.clean, lambda w: setattr(w, "views", [replace(v, t=b.T0 + 60) for v in w.views])), "not asked for its SAs while c1's"),
    ("NTT-25", of(gave_up, lambda w: setattr(w, "views", [v for v in w.views if v.label == "late"])), "not asked for its SAs while c1's"),
    ("DMX-45", of(b.endings, lambda w: setattr(w, "views", [v for v in w.views if v.t < end_of(w, "vanish:c4")])), "not asked for its"),
    ("DMX-04", of(barely), "nothing to lose"),
    ("DMX-04", of(plain("mute"), nothing_down("c2")), "sent nothing to anybody"),
    ("DMX-02", of(plain(), lambda w: setattr(w, "views", w.views[:1])), "no view of the gateway lists two clients"),
    ("DMX-02", of(plain(), leave_out_view), "own account (sessions, SAs) is missing"),
    ("DMX-04", of(alone), "fewer than two clients"),
    ("DMX-07", of(alone), "1 clients were planned, 2 are needed"),
    ("DMX-07", of(b.clean, lambda w: w.record(b.T0 + 3, "c1", RecordKind.IMPAIRED, reason="late timers")), "late timers"),
    ("DMX-07", of(late), "too little once the last client was up"),
    ("DMX-07", of(b.clean, lambda w: setattr(w, "lone", [o for o in w.lone if o.side is not Side.FAR_END])), "no capture of the far-end"),
    ("DMX-07", of(b.clean, lambda w: b.close(w, "c1", b.T0 + 7.0, by="client"),
                  lambda w: setattr(w, "records", [r for r in w.records if r.data.get("by") != "run" or r.client != "c1"])), "unasked"),
    ("DMX-07", of(b.clean, lambda w: only_marks(w, "c1", 8), lambda w: only_answers(w, "c1")), "c1 sent too little once"),
    ("DMX-07", of(b.clean, lambda w: only_marks(w, "c1", 8), lambda w: only_answers(w, "c1"), add_step("client-close:c1", 7.0)),
     "c1 sent too little once"),
    ("DMX-07", of(b.clean, lambda w: setattr(w, "lone", [o for o in w.lone if not of_c1(o) or o.side is not Side.FAR_END])),
     "no marked traffic of c1 was seen towards the far end"),
    ("DMX-25", of(b.clean, lambda w: setattr(w, "records", [r for r in w.records if r.kind is not RecordKind.MARK_SENT])),
     "no marked traffic was sent"),
    ("DMX-74", of(b.together, without("MM1", "c2")), "not every client sent"),
    ("DMX-10", of(b.clean, unheard()), "nothing shows the port"),
    ("DMX-11", of(alone), "only 1 clients"),
    ("DMX-12", of(alone), "fewer than two"),
    ("DMX-17", of(b.clean), "in the order of their numbers"),
    ("DMX-17", of(alone), "fewer than two"),
    ("DMX-20", of(b.clean, unheard()), "nothing shows the port"),
    ("DMX-21", of(b.clean, unheard()), "nothing shows the port"),
    ("DMX-22", of(alone), "2 are needed"),
    ("DMX-22", of(b.clean, without("answer", "c2")), "no marked reply to c2"),
    ("DMX-24", of(b.clean, ports(c1=1701, c2=1701)), "translates no port"),
    *((row, of(b.clean, at_boundary(lambda o: False)), "no capture of the translated") for row in BOUNDARY),
    *((row, of(build, at_boundary(lambda o: o.dst == b.GATEWAY)), "shows nothing of c") for row, build in BOUNDARY.items()
      if row not in ("DMX-11", "DMX-20", "DMX-22")),
    *((row, of(build, at_boundary(lambda o: o.src == b.GATEWAY)), "shows nothing of c") for row, build in BOUNDARY.items()
      if row not in ("DMX-11", "DMX-22")),
    ("DMX-11", of(b.clean, at_boundary(lambda o: o.dst == b.GATEWAY)), "shows nothing of c2 going down"),
    ("DMX-22", of(b.clean, at_boundary(lambda o: o.dst == b.GATEWAY)), "no marked reply to c1, c2"),
    ("DMX-22", of(b.clean, at_boundary(lambda o: o.dport != 1025)), "no marked reply to c2"),
    ("DMX-25", of(b.clean, lambda w: setattr(w, "records", [r for r in w.records if r.data.get("size") != 1300])), "large ones were not"),
    ("DMX-25", of(b.clean, lambda w: setattr(w, "records", [r for r in w.records if r.data.get("size") != 60])), "small"),
    ("DMX-25", of(alone), "fewer than two clients were up"),
    ("LNX-01", of(alone), "fewer than two clients agreed an ESP SA"),
    ("LNX-02", of(alone), "fewer than two clients agreed an ESP SA"),
    ("DMX-29", of(b.clean), "more than one client"),
    ("DMX-29", of(alone, lambda w: (w.views.clear(), w.ports.clear(), setattr(w, "lone", []))), "nothing shows the port"),
    ("DMX-35", of(b.clean, *(lambda w, n=n: w.alter(n, lambda o: replace(o, inner=replace(o.inner, udp_checksum=0)))
                             for n in ("mark", "SCCRQ", "SCCCN", "ICRQ", "ICCN", "LCP Configure-Request", "LCP Configure-Ack",
                                       "CHAP Response", "IPCP Configure-Ack", "CDN", "StopCCN"))), "none of the packets of c1, c2"),
    ("DMX-35", of(b.clean, no_checksum("c2")), "none of the packets of c2"),
    ("DMX-40", of(b.clean), "no delete-ipsec step"),
    ("DMX-40", of(b.endings, only("c1")), "lists no SA of anybody"),
    ("DMX-40", of(b.endings, leave_out_view), "own account"),
    ("DMX-43", of(b.clean), "no gateway-close step"),
    ("DMX-44", of(b.clean), "no client-close step"),
    ("DMX-45", of(b.clean), "no vanish step"),
    ("DMX-45", of(b.endings, lambda w: w.control("c4", end_of(w, "vanish:c4") + 1, "up", "Hello")), "did not vanish"),
    ("DMX-45", of(b.endings, lambda w: setattr(w, "views", [replace(v, sessions=()) for v in w.views])), "lists no session of anybody"),
    ("DMX-74", of(b.clean), "ms apart, so not together"),
    ("NTT-01", of(b.clean, without("MM1", "c2")), "never sent its first message"),
    ("NTT-03", of(b.clean, without("MM1", "c2")), "never sent its first message"),
    ("NTT-04", of(b.clean, without("MM1", "c2")), "never sent its first message"),
    ("DMX-30", of(b.clean, without("MM1", "c2")), "never sent its first message"),
    ("DMX-31", of(b.clean, without("MM1", "c2")), "never sent its first message"),
    ("DMX-32", of(b.clean, without("MM1", "c2")), "never sent its first message"),
    ("NTT-05", of(b.clean, without("MM1", "c2")), "never sent its first message"),
    ("NTT-06", of(b.clean, ike("QM1", "c1", marker=None)), "without regard to the marker"),
    ("NTT-07", of(b.clean, without("MM1", "c2")), "never sent its first message"),
    ("NTT-08", of(b.clean), "idle long enough"),
    ("NTT-10", of(b.clean, without("MM1", "c2")), "not seen on both sides"),
    ("NTT-12", of(b.clean, without("MM5", "c2")), "not seen on both sides"),
    ("NTT-13", of(alone), "one client alone"),
    ("NTT-13", of(b.clean, lambda w: setattr(w, "packets", [p for p in w.packets if p.client != "c2"])), "nothing of c2 crossed"),
    ("NTT-14", of(b.clean, lambda w: setattr(w, "packets", [p for p in w.packets if p.direction == "down"])), "nothing that this check"),
    ("NTT-15", of(b.clean, lambda w: setattr(w, "packets", [p for p in w.packets if p.direction == "up"])), "nothing that this check"),
    ("NTT-18", of(alone), "one client alone"),
    ("NTT-18", of(b.clean, lambda w: setattr(w, "packets", [p for p in w.packets if p.client != "c2" or p.direction == "up"])),
     "nothing came back for c2"),
    ("NTT-25", of(b.clean, without("MM1", "c2")), "never sent its first message"),
    ("NTT-27", of(b.clean, clear_expected=True), "declared to carry L2TP in clear"),
    ("NTT-27", of(b.clean, lambda w: setattr(w, "packets", [p for p in w.packets if p.inside.kind is FrameKind.IKE])), "no ESP was seen"),
    ("NTT-28", of(alone), "2 are needed"),
    *((row, of(b.clean, lambda w: setattr(w, "packets", []) or setattr(w, "lone", [])), "there is no capture") for row in sorted(CHECKS) if row not in TYPED),
    *((row, of(b.clean), "nothing was typed at the gateway's command line") for row in TYPED),
    *((row, of(b.clean, trouble=("the gateway's console fell silent",)), "console fell silent") for row in sorted(CHECKS)),
    *((row, of(b.clean, lambda w: w.steps.pop(0)), "half up: c1") for row in sorted(CHECKS)),
]  # fmt: skip


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


def test_the_newcomers_own_fate_is_judged_where_it_is_expected() -> None:
    check: Any = CHECKS["DMX-01"]
    assert check(b.eviction("user").evidence(), newcomer_up=True).outcome is Outcome.PASS
    assert check(b.eviction("user").evidence(), newcomer_up=False).outcome is Outcome.FAIL
    assert check(b.eviction("kernel").evidence(), newcomer_up=False).outcome is Outcome.PASS
    assert check(b.eviction("kernel").evidence(), newcomer_up=True).outcome is Outcome.FAIL


def test_half_a_cure_says_whether_the_newcomer_came_up() -> None:
    both_up = b.clean().evidence()
    assert CHECKS["LNX-01"](both_up, newcomer_up=True).outcome is Outcome.PASS
    refused = CHECKS["LNX-01"](both_up, newcomer_up=False)
    assert refused.outcome is Outcome.FAIL
    assert "c2 came up: True, expected: False" in refused.because


def test_half_a_cure_says_what_was_lost_and_what_went_astray() -> None:
    verdict = CHECKS["LNX-02"](of(b.clean, speak("c1", "c2"), lose("c2", 2))())
    assert verdict.outcome is Outcome.PASS
    assert verdict.facts["misdelivered"] == {"c1": {"c2": 1}}
    assert verdict.facts["lost"]["c2"] == {"of": 40, "gateway": 2, "nat": 0}
    assert verdict.facts["to_clients"]["cells"]["c1"]["c2"] == 1
    assert "2 of 90 marks lost; 1 packets of c1 went to c2" in verdict.because


def test_no_box_to_blame_is_no_eviction_proved() -> None:
    from harness.errors import Inconclusive
    from harness.verdict.blame import Blame
    from harness.verdict.eviction import _expect_named
    from harness.verdict.findings import Findings
    from harness.verdict.killer import deaths
    from harness.verdict.reading import Reading
    from harness.verdict.survival import trusted_lives

    reading = Reading(b.eviction().evidence())
    death = deaths(reading, trusted_lives(reading))[0]
    with pytest.raises(Inconclusive, match="no box is to blame: nothing shows"):
        _expect_named(Findings(), reading, replace(death, blame=Blame(None, "nothing shows where")), ("c2",))
    f = Findings()
    _expect_named(f, reading, replace(death, blame=Blame("client", "c1 ended it")), ("c2",))
    assert f.faults == ["c1 died, and the client is to blame: c1 ended it"]


@pytest.mark.parametrize(("change", "judged_by"), [({}, "the gateway's PPP interface"), ({"headers": {}}, "the source address, as its sender wrote it")])
def test_the_far_end_says_what_it_rests_on(change: dict[str, Any], judged_by: str) -> None:
    verdict = CHECKS["DMX-25"](of(b.clean, far(lambda o: replace(o, **change), lambda o: True))())
    assert verdict.outcome is Outcome.PASS
    assert [k for k, count in verdict.facts["to_far_end"]["received_by"].items() if count] == [judged_by]


def test_sessions_last_whatever_the_port() -> None:
    from harness.verdict.survivors import sessions_last

    assert sessions_last(of(alone, ports(c1=1701))()).outcome is Outcome.PASS
    assert sessions_last(of(alone, lose("c1", 2))()).outcome is Outcome.FAIL
    assert sessions_last(of(alone, say_goodbye("c1", 5.0))()).outcome is Outcome.FAIL
    assert sessions_last(of(plain())()).outcome is Outcome.FAIL
