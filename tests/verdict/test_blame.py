"""The rules of the blame: each one breaks a box and must find that box; a run in which nothing is broken has nobody to blame."""

# ruff: noqa: E501  (the cases are a table)
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import lives_builders as v
import pytest
import verdict_builders as b
from test_checks import alone, frame, ike, inner, lose, of
from test_checks_traversal import meddled, no_nat, no_natt

from harness.model import Evidence, FrameKind, GatewayEvent, Mark, RecordKind, Secret, Side, Step
from harness.verdict.blame import RULES, blame, who_is_to_blame
from harness.verdict.negotiation import nat_d
from harness.verdict.ports import listed_sas
from harness.verdict.reading import Reading
from harness.verdict.rules.rule import BOXES, Strength
from harness.verdict.survival import every_life

Act = Callable[[Any], object]
T = b.T0 + 5.0


def outside(name: str, client: str = "c1", **fields: Any) -> Act:
    return frame(name, client, "outside", **fields)


def on(packet: Any, side: str, **fields: Any) -> None:
    setattr(packet, side, replace(getattr(packet, side), **fields))


def one(name: str, act: Callable[[Any], object], i: int = 9, client: str = "c1") -> Act:
    return lambda w: act(w.find(name, client)[i])


def headers(name: str, side: str, client: str = "c1", **fields: Any) -> Act:
    return lambda w: w.alter(name, lambda o: replace(o, headers={**o.headers, **fields}), client=client, sides=side)


def esp(name: str, client: str = "c1", **fields: Any) -> Act:
    return lambda w: w.alter(name, lambda o: replace(o, esp={**o.esp, **fields}), client=client)


def repeated(name: str, box: str) -> Act:
    """An ESP number that its sender uses again: the same packet on both sides, later."""

    def act(w: Any) -> None:
        first, second = w.find(name, "c1")[5:7]
        for side in ("inside", "outside"):
            on(second, side, esp=getattr(first, side).esp)

    assert box in BOXES
    return act


def again(message: str) -> Act:
    """Another quick mode with the SPIs of the first one."""
    way = {"QM1": "up", "QM2": "down"}[message]

    def act(w: Any) -> None:
        facts = w.find(message, "c1")[0].inside.ike
        w.ike("c1", T, way, message, message_id=77, proposals=facts["proposals"])

    return act


def remapped(w: Any) -> None:
    for p in w.packets:
        if p.client == "c1" and p.inside.t > T and 4500 in (p.inside.sport, p.inside.dport):
            on(p, "outside", **({"sport": 50_001} if p.direction == "up" else {"dport": 50_001}))


def not_followed(w: Any) -> None:
    """On the scenario's order the NAT gives client 1 another port, and the gateway stays with the old one."""
    w.steps.append(Step("nat-clears:c1", T - 0.3, T, ("c1",)))
    for p in w.packets:
        if p.client == "c1" and p.inside.t > T and p.direction == "up" and p.inside.sport == 4500:
            on(p, "outside", sport=50_001)


def swallows(name: str, side: str) -> Act:
    def act(w: Any) -> None:
        for p in w.find(name, "c1")[5:12]:
            setattr(p, side, None)

    return act


def keepalive(*sides: str) -> Act:
    """The only one of the run, seen at those sides alone."""

    def act(w: Any) -> None:
        p = w.packet("c1", T, "up", 4500, FrameKind.KEEPALIVE, "keepalive")
        for side in {"inside", "outside"} - set(sides):
            setattr(p, side, None)

    return act


def bare(w: Any) -> None:
    """Nobody spoke of NAT-Traversal: ESP without UDP, and the NAT hands client 1's to client 2."""
    for name in ("MM3", "MM4"):
        w.set_ike(name, nat_d=[])
    w.set_ike("MM1", vendor_ids=[])
    for p in w.packets:
        if p.inside.kind is FrameKind.ESP:
            for side in ("inside", "outside"):
                on(p, side, sport=None, dport=None)
    w.alter("answer", lambda o: replace(o, dst="10.0.0.3"), client="c1", sides="inside")


def all_on_500(w: Any) -> None:
    """The NAT leaves IKE's port to every client, one after the other."""
    for p in w.packets:
        if 500 in (p.inside.sport, p.inside.dport):
            on(p, "outside", sport=500, dport=500)
    for client in ("c1", "c2"):
        mm4 = w.find("MM4", client)[0].outside
        seen = nat_d(mm4.ike["icookie"], mm4.ike["rcookie"], b.NAT, 500, len(mm4.ike["nat_d"][0]))
        w.set_ike("MM4", client, nat_d=[seen, *mm4.ike["nat_d"][1:]])


def lets_overtake(w: Any) -> None:
    """Client 1's QM3 comes out behind the first packet on its SA."""
    qm3, first = w.find("QM3", "c1")[0], w.find("SCCRQ", "c1")[0]
    on(qm3, "outside", t=first.outside.t + 0.001)


def delayed(w: Any) -> None:
    p = w.find("mark", "c1")[9]
    on(p, "outside", t=p.outside.t + 1.5)


def copied(w: Any) -> None:
    p = w.find("mark", "c1")[9]
    w.packets.append(b.Packet("up", None, replace(p.outside, t=p.outside.t + 0.001), False, "copy", "c1"))


def keeps_alive(w: Any) -> None:
    p = w.find("mark", "c1")[9]
    alive = replace(p.outside, t=p.outside.t + 0.05, kind=FrameKind.KEEPALIVE, length=29, inner=None, esp=None, payload_digest="ff")
    w.packets.append(b.Packet("up", None, alive, False, "keepalive", "c1"))


def deletes_before_use() -> Any:
    """Client 1 agrees a new pair of SAs and deletes the old one before anything has gone by the new one."""
    world = v.LivesWorld(2)
    t = world.hold(world.connect("c2", world.connect("c1", b.T0) + 0.1) + 0.1, 3.0)
    old = world.spi_in("c1")
    t = world.rekey("c1", t, delete=False)
    world.ike("c1", t, "up", "INFO", deletes=[{"protocol": "esp", "spis": [old]}])
    return v.over(world, world.hold(t + 0.5, 5.0))


def marks_again(direction: str) -> Act:
    def act(w: Any) -> None:
        p = w.find("mark" if direction == "up" else "answer", "c1")[9]
        w.esp("c1", p.outside.t + 0.0005, direction, "again", mark=p.inside.inner.mark, ppp=dict(p.inside.inner.ppp))

    return act


def clear(direction: str) -> Act:
    return lambda w: w.packet("c1", T, direction, 1701, FrameKind.L2TP_CLEAR, "clear")


def asked(who: str, direction: str, times: int = 3) -> Act:
    """Questions of one kind that nobody answers."""

    def act(w: Any) -> None:
        for i in range(times):
            t = T + 0.7 * i
            if who == "R-U-THERE":
                w.ike("c1", t, direction, "INFO", notifies=[{"type": 36136, "name": who}])
            elif who in ("Hello", "ICCN"):
                w.control("c1", t, direction, who)
            elif who == "QM2":
                w.ike("c1", t, direction, who, message_id=9)
            else:
                w.link("c1", t, direction, "LCP", who)

    return act


def stuck_at(message: str, resent: int) -> Callable[[], Any]:
    """Client 1 works; client 2 goes on asking with `message`."""

    def build() -> Any:
        world = b.World(2)
        t = world.hold(world.connect("c1", b.T0) + 0.1, 3.0)
        t = world.connect("c2", t, until=message)
        for i in range(resent):
            world.ike("c2", t + i, "up", message, retransmission=True)
        world.hold(t + resent, 4.0, who=("c1",))
        return world

    return build


def refused(message: str) -> Callable[[], Any]:
    """The same, and the gateway says no."""

    def build() -> Any:
        world = stuck_at(message, 1)()
        t = world.find(message, "c2")[-1].outside.t
        world.ike("c2", t + 0.1, "down", "INFO", encrypted=False, notifies=[{"type": 24, "name": "AUTHENTICATION-FAILED"}])
        return world

    return build


def bad_password() -> Any:
    world = b.clean(1)
    t = world.find("CHAP Response", "c1")[0].inside.t
    world.packets = [p for p in world.packets if p.inside.t <= t]
    world.link("c1", t + 0.01, "down", "CHAP", "Failure")
    world.records = [r for r in world.records if r.t <= t]
    world.packet("c1", t + 3.0, "up", 4500, FrameKind.KEEPALIVE, "keepalive")
    return world


def refuses_who_returns(w: Any) -> None:
    """The gateway has taken client 1 before, with the same password."""
    answer = w.find("CHAP Success", "c1")[-1]
    for side in ("inside", "outside"):
        on(answer, side, inner=replace(answer.outside.inner, ppp={**answer.outside.inner.ppp, "code": "Failure"}))
    w.packets = [p for p in w.packets if p.client != "c1" or p.inside.t <= answer.inside.t]
    w.records = [r for r in w.records if r.client != "c1" or r.t <= answer.inside.t]
    two_tunnels(w)


def quiet(seconds: float) -> Callable[[], Any]:
    def build() -> Any:
        world = b.World(1)
        t = world.hold(world.connect("c1", b.T0) + 0.1, 3.0)
        world.hold(t + seconds, 3.0)
        return world

    return build


def odd_psk(w: Any) -> None:
    w.plans[1] = replace(w.plans[1], psk=Secret("another"))
    w.plans.append(replace(w.plans[0], number=3, address="10.0.0.4"))
    w.connect("c3", b.T0 + 0.05)


def says_bye(w: Any) -> None:
    w.control("c1", T + 2, "down", "StopCCN")


def leaves(w: Any) -> None:
    w.records = [r for r in w.records if not (r.kind is RecordKind.ENDED and r.client == "c1")]


def shares(**fields: Any) -> Callable[[Evidence], Evidence]:
    def change(e: Evidence) -> Evidence:
        first, second = e.identities
        return replace(e, identities=(first, replace(second, **{name: getattr(first, name) for name in fields})))

    return change


def untranslated(e: Evidence) -> Evidence:
    """No NAT is before the clients, so that none of them has to announce that it can live with one."""
    return replace(e, identities=tuple(replace(i, outside=i.inside) for i in e.identities), nat="none")


def same(e: Evidence) -> Evidence:
    return e


def still_listed(w: Any) -> None:
    gone = max(p.inside.t for p in w.packets)
    w.views.append(replace(w.views[-1], t=gone + 61.0, label="late"))


def lists_at(port: int) -> Act:
    """The gateway knows client 1's tunnel by that port."""

    def act(w: Any) -> None:
        w.views = [replace(v, sessions=(replace(v.sessions[0], peer_port=port), *v.sessions[1:])) for v in w.views]

    return act


def settle(w: Any) -> None:
    w.steps.append(Step("settle", T + 3, T + 4, ("c4",), {"freed": False}))


def on_the_old_sa(w: Any) -> None:
    """Client 1 deletes a pair that it has renewed, and the gateway goes on with it."""
    old, new = w.kept["c1"][-1].spis_in[:2]
    since = next(p.inside.t for p in w.packets if p.client == "c1" and p.inside.ike and p.inside.ike["deletes"]) + 1.5
    stale(w, since, old, new)


def deletes_it(w: Any) -> None:
    """The gateway deletes client 1's pair, and the client goes on with it."""
    w.steps.append(Step("delete-ipsec:c1", T - 2.1, T - 1.9, ("c1",)))
    w.ike("c1", T - 2.0, "down", "INFO", deletes=[{"protocol": "esp", "spis": [w.spi_out("c1")]}])
    w.packets = [p for p in w.packets if p.client != "c1" or p.direction == "up" or p.inside.t < T - 1.0]


class Counting(b.World):
    def spi_in(self, client: str) -> str:
        return "00000100"


def one_spi() -> Any:
    """Two clients receive on one SPI, which harms nobody."""
    world = Counting(2)
    return b.over(world, world.hold(world.connect("c2", world.connect("c1", b.T0)) + 0.1, 6.0))


def closes_it(w: Any) -> None:
    """The gateway hangs up on client 1, as it is told to, and the client goes on."""
    w.steps.append(Step("gateway-close:c1", T - 2.1, T - 1.9, ("c1",)))
    w.control("c1", T - 2.0, "down", "CDN")


def l2tp(name: str, **numbers: int) -> Act:
    """Client 1's packets of that name bear other numbers."""

    def act(w: Any) -> None:
        for p in w.find(name, "c1"):
            for side in ("inside", "outside"):
                o = getattr(p, side)
                on(p, side, inner=replace(o.inner, l2tp={**o.inner.l2tp, **numbers}))

    return act


def on_the_sa_of_before(w: Any) -> None:
    """What the gateway says to client 1 in its second life is in the SA of its first one, of which there was no Delete."""
    first, second = two_tunnels(w)
    stale(w, second.since, first.spis_in[0], second.spis_in[0])


def two_tunnels(w: Any) -> list[Any]:
    """Client 1 goes without a Delete, and has another tunnel in its second life."""
    first, second = w.kept["c1"]
    w.kept["c1"] = [first, replace(second, tunnel_client=111)]
    for p in w.packets:
        if p.client == "c1" and p.inside.ike and p.inside.ike["deletes"]:
            p.inside = p.outside = None
        for side in ("inside", "outside"):
            o = getattr(p, side)
            if o is not None and o.t > second.since and o.inner is not None and o.inner.l2tp["tunnel"] == 101:
                on(p, side, inner=replace(o.inner, l2tp={**o.inner.l2tp, "tunnel": 111}))
    return list(w.kept["c1"])


def stale(w: Any, since: float, old: str, new: str) -> None:
    """From some time on the gateway's packets for client 1 are in the old SA."""
    for p in w.packets:
        for side in ("inside", "outside"):
            o = getattr(p, side)
            if p.direction == "down" and o is not None and o.t > since and o.esp and o.esp["spi"] == new:
                on(p, side, esp={**o.esp, "spi": old})


def refuses_renewal(offered: str = "3des") -> Act:
    """Client 1 offers what it offered before, or something else, and the gateway chooses nothing of it."""

    def act(w: Any) -> None:
        for i, encryption in enumerate(("3des", offered)):
            spi = {"spi": f"0000000{i}", "protocol": "ESP", "encapsulation": 4, "encryption": encryption}
            w.ike("c1", T + i, "up", "QM1", message_id=70 + i, proposals=[spi])
            answer = {"message_id": 70, "proposals": [spi]} if i == 0 else {"notifies": [{"type": 14, "name": "NO-PROPOSAL-CHOSEN"}]}
            w.ike("c1", T + i + 0.01, "down", "INFO" if i else "QM2", **answer)

    return act


def untold(w: Any) -> None:
    """Demultiplexing is taken out between clients 1 and 2, and both are translated."""
    t = w.find("QM3", "c2")[0].inside.t
    w.steps.append(Step("demux-off", t - 0.05, t - 0.04))


def hangs_up_silently(w: Any) -> None:
    t = next(s.began for s in w.steps if s.name == "client-close:c3")
    w.packets = [p for p in w.packets if not (p.client == "c3" and p.direction == "up" and p.inside.t >= t)]


def answered_falsely(w: Any) -> None:
    inner("SCCRQ", "c1", udp_checksum=77)(w)


FAILED = [{"protocol": "ESP", "encapsulation": 4, "encryption": "3des", "authentication": "md5"}]
NAMELESS = {"ppp": {"protocol": "CHAP", "code": "Response", "id": 1, "name": "somebody"}}

Case = tuple[str, str, Callable[[], Any], Act, Callable[[Evidence], Evidence]]


def case(
    rule: str, box: str, build: Callable[[], Any], *acts: Act, then: Callable[[Evidence], Evidence] = same, **over: Any
) -> tuple[str, str, Callable[[], Evidence]]:
    return rule, box, lambda: then(of(build, *acts, **over)())


CASES: list[tuple[str, str, Callable[[], Evidence]]] = [
    # the NAT
    case("payload changed", "nat", meddled),
    case("not translated", "nat", b.clean, outside("MM1", src="10.0.0.2")),
    case("mappings collide", "nat", b.clean, frame("mark", None, "outside", sport=40_001)),
    case("misdelivered", "nat", b.clean, frame("answer", "c1", "inside", dst="10.0.0.3")),
    case("header touched", "nat", b.clean, headers("mark", "outside", tos=8)),
    case("header touched", "nat", b.clean, headers("mark", "outside", ip_id=77)),
    case("header touched", "nat", b.clean, headers("mark", "inside", udp_checksum_ok=True), headers("mark", "outside", udp_checksum_ok=None)),
    case("header changed", "nat", b.clean, headers("mark", "inside", udp_checksum_ok=True), headers("mark", "outside", udp_checksum_ok=False)),
    case("header changed", "nat", b.clean, outside("mark", dport=4501)),
    case("let out twice", "nat", b.clean, copied),
    case("keepalives made", "nat", b.clean, keeps_alive),
    case("port shared", "nat", b.clean, all_on_500),
    case("mapping forgotten", "nat", b.clean, remapped),
    case("swallowed", "nat", b.clean, swallows("mark", "outside")),
    case("swallowed", "nat", b.clean, swallows("answer", "inside")),
    case("swallowed", "nat", b.clean, keepalive("inside")),
    case("carries ESP", "nat", b.clean, bare, nat="ports-only"),
    case("held up", "nat", b.clean, delayed),
    case("overtaken", "nat", b.clean, lets_overtake),
    case("TTL kept", "nat", b.clean, outside("mark", ttl=64)),
    # the gateway's words
    case("another client's SA", "gateway", b.eviction),
    case("another client's SA", "gateway", lambda: b.eviction("kernel")),
    case("another address", "gateway", b.clean, outside("answer", dport=40_077)),
    case("another address", "gateway", b.clean, frame("answer", "c1", sport=4600)),
    case("port not followed", "gateway", lambda: b.clean(hold=12.0), not_followed),
    case("port leaked", "gateway", b.clean, inner("answer", "c1", dport=1024)),
    case("unauthentic", "gateway", b.clean, esp("answer", icv_ok=False)),
    case("number twice", "gateway", b.clean, repeated("answer", "gateway")),
    case("SPI twice", "gateway", b.clean, again("QM2")),
    case("ended SA", "gateway", v.rekeying, on_the_old_sa),
    case("ended SA", "client", b.clean, deletes_it),
    case("deaf", "client", b.clean, closes_it),
    case("SPI shared", "client", one_spi),
    *(case("no IKE", box, b.clean, lambda w, way=way: w.packet("c1", T, way, 500, FrameKind.IKE, "junk", problem="ike: 1 bytes"))
      for box, way in (("client", "up"), ("gateway", "down"))),
    *(case("deletes unknown", box, b.clean, lambda w, way=way: w.ike("c1", T, way, "INFO", deletes=[{"protocol": "esp", "spis": ["000000ff"]}]))
      for box, way in (("client", "up"), ("gateway", "down"))),
    case("wrong numbers", "client", b.clean, l2tp("mark", tunnel=101)),
    case("wrong numbers", "client", b.clean, l2tp("mark", session=301)),
    case("wrong numbers", "gateway", b.clean, l2tp("answer", session=401)),
    case("wrong numbers", "gateway", b.clean, l2tp("answer", tunnel=999)),
    case("former SA", "gateway", v.returning, on_the_sa_of_before),
    case("refused again", "gateway", b.clean, refuses_renewal()),
    case("port untold", "gateway", b.clean, untold),
    case("port out of range", "gateway", b.clean, gateway_told={"port_last": 1024}),
    case("checksum taken", "gateway", b.clean, answered_falsely, gateway_told={"checksum": "verify"}),
    case("unknown SA", "gateway", b.clean, one("answer", lambda p: [on(p, s, esp={"spi": "0badbeef", "sequence": 1, "icv_ok": None}, inner=None) for s in ("inside", "outside")])),
    case("checksum false", "gateway", b.clean, inner("answer", "c1", udp_checksum=77, checksum_fits=())),
    case("in clear", "gateway", b.clean, clear("down")),
    case("words damaged", "gateway", b.clean, lambda w: w.record(T, "c1", RecordKind.MARK_DAMAGED, sequence=7)),
    case("not offered", "gateway", b.clean, ike("QM2", "c1", proposals=FAILED)),
    case("NAT-D false", "gateway", b.clean, ike("MM4", "c1", nat_d=["00" * 20, "11" * 20])),
    case("NAT-D unasked", "gateway", no_natt, ike("MM4", "c1", nat_d=["00" * 20]), then=untranslated),
    case("NAT-D unasked", "gateway", b.clean, ike("MM4", "c1", nat_d=[])),
    case("not floated", "gateway", b.clean, frame("MM6", "c1", sport=500)),
    case("marker false", "gateway", b.clean, ike("MM6", "c1", marker=False)),
    case("unreadable", "gateway", b.clean, frame("MM6", "c1", problem="ike: cut short")),
    case("keepalives", "gateway", b.clean, lambda w: w.packet("c1", T, "down", 4500, FrameKind.KEEPALIVE, "keepalive")),
    case("address twice", "gateway", b.clean, then=shares(ppp_address=1)),
    case("tunnel twice", "gateway", b.clean, then=shares(tunnel_gateway=1)),
    case("another client's link", "gateway", b.clean, lambda w: w.far(T, "172.16.1.11", b.FAR, Mark(1, 900, False))),
    case("made twice", "gateway", b.clean, marks_again("down")),
    # a client's words
    case("unauthentic", "client", b.clean, esp("mark", icv_ok=False)),
    case("number twice", "client", b.clean, repeated("mark", "client")),
    case("SPI twice", "client", b.clean, again("QM1")),
    case("checksum false", "client", b.clean, inner("mark", "c1", checksum_fits=())),
    case("in clear", "client", b.clean, clear("up")),
    case("NAT-D false", "client", b.clean, ike("MM3", "c1", nat_d=["00" * 20, "11" * 20])),
    case("NAT-D unasked", "client", b.clean, ike("MM3", "c1", nat_d=[])),
    case("not floated", "client", b.clean, frame("QM1", "c1", "both", dport=500)),
    case("not floated", "client", b.clean, lambda w: w.ike("c1", T, "up", "MM1", vendor_ids=[b.RFC3947])),
    case("marker false", "client", b.clean, ike("QM1", "c1", marker=False)),
    case("unreadable", "client", b.clean, frame("QM1", "c1", problem="ike: cut short")),
    case("wrong ends", "client", b.clean, ike("QM1", "c1", ids=[{"type": "ID_IPV4_ADDR", "protocol": 17, "port": 1701, "value": b.NAT}] * 2)),
    case("wrong ends", "client", b.clean, ike("QM1", "c1", proposals=[{"protocol": "ESP", "encapsulation": 2}]), ike("QM2", "c1", proposals=[])),
    case("made twice", "client", b.clean, marks_again("up")),
    case("odd secret", "client", stuck_at("MM5", 1), odd_psk),
    case("odd secret", "client", b.clean, inner("CHAP Response", "c1", **NAMELESS)),
    case("not offered", "client", b.clean, lambda w: (w.ike("c1", T, "down", "QM1", message_id=9, proposals=[{"protocol": "ESP", "encapsulation": 4}]),
                                                      w.ike("c1", T + 0.1, "up", "QM2", message_id=9, proposals=FAILED))),
    # no answer
    case("no keepalive", "client", quiet(25.0)),
    *(case("does not answer", "client", lambda: b.clean(hold=10.0), asked(q, "down")) for q in ("R-U-THERE", "Echo-Request")),
    case("does not answer", "client", quiet(6.0), asked("Hello", "down", 5)),
    case("does not answer", "client", lambda: b.clean(hold=10.0), asked("QM2", "down")),
    case("does not answer", "gateway", lambda: b.clean(hold=10.0), asked("ICCN", "up")),
    *(case("does not answer", "gateway", lambda: b.clean(hold=10.0), asked(q, "up")) for q in ("R-U-THERE", "Echo-Request")),
    *(case("does not answer", "gateway", stuck_at(m, 3)) for m in ("MM1", "MM3", "QM1")),
    case("marks unanswered", "gateway", b.clean, lose("c1", 4)),
    case("authentication refused", "client", refused("MM5")),
    case("authentication refused", "client", bad_password),
    case("authentication refused", "client", stuck_at("MM5", 2), gateway_events=(
        GatewayEvent(T, "refused", b.NAT, 40_002, {"reason": "MM5 does not decrypt: malformed"}),)),
    case("refused for no reason", "gateway", stuck_at("MM5", 2)),
    case("refused for no reason", "gateway", v.returning, refuses_who_returns),
    # ends
    case("closed by the gateway", "gateway", lambda: b.clean(hold=12.0), says_bye),
    case("went silently", "client", b.endings, hangs_up_silently),
    case("went on", "client", deletes_before_use),
    case("closed by the client", "client", b.clean, leaves),
    # accounts
    case("still held", "gateway", b.clean, still_listed),
    case("still held", "gateway", b.endings, settle),
    case("port kept", "gateway", b.endings, lambda w: w.views.append(replace(w.views[-1], ports={7: w.ports["c1"]}))),
    case("lists another socket", "gateway", b.clean, lambda w: setattr(w, "views", [replace(v, ike_sas=tuple((i, r, "10.0.0.2", 4500) for i, r, *_ in v.ike_sas)) for v in w.views])),
    case("lists untold port", "gateway", b.clean, lists_at(1024), variant="plain"),
    case("dials without L2TP", "client", b.clean, then=lambda e: replace(e, plans=(replace(e.plans[0], personality="windows-98"), *e.plans[1:]))),
    case("lists no SA", "gateway", b.clean, lambda w: setattr(w, "views", [replace(v, sas=v.sas[:2]) for v in w.views])),
    case("heard and denied", "client", b.clean, lambda w: setattr(w, "records", [r for r in w.records if not (r.client == "c1" and r.kind is RecordKind.MARK_ANSWERED)])),
    case("not announced", "gateway", no_natt, lambda w: (w.set_ike("MM1", "c1", vendor_ids=[b.RFC3947]), w.set_ike("MM2", "c1", vendor_ids=[]))),
    case("not announced", "client", no_natt),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "box", "make"), CASES, ids=[f"{c[1]}-{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_each_fault_is_its_boxs(rule: str, box: str, make: Callable[[], Evidence]) -> None:
    found = who_is_to_blame(make())
    assert (found.box, found.rule) == (box, rule), found.why
    assert found.frames or found.records


def test_every_rule_has_its_case() -> None:
    assert {(r.name, r.box) for r in RULES} == {(rule, box) for rule, box, _ in CASES}


@pytest.mark.parametrize(
    "build",
    [b.clean, alone, b.endings, b.together, b.idle, lambda: b.clean(6), quiet(6.0)],
    ids=["clean", "alone", "endings", "together", "idle", "six", "quiet"],
)
def test_where_nothing_is_broken_nobody_is_to_blame(build: Callable[[], Any]) -> None:
    evidence = build().evidence()
    assert who_is_to_blame(evidence).box is None, who_is_to_blame(evidence).why
    reading = Reading(evidence)
    assert [(r.name, found) for r in RULES for found in r.blames(reading)] == []


def test_without_a_nat_nothing_is_let_through() -> None:
    found = who_is_to_blame(no_nat().evidence(nat="none"))
    assert found.rule not in ("not translated", "swallowed"), found.why


def test_a_client_outside_may_bear_its_own_address() -> None:
    world = b.clean()
    world.plans[0] = replace(world.plans[0], site=0)
    world.alter("MM1", lambda o: replace(o, src="10.0.0.2"), client="c1", sides="outside")
    assert who_is_to_blame(world.evidence()).rule != "not translated"


def test_what_the_scenario_has_the_nat_do_is_not_its_fault() -> None:
    world = b.clean()
    remapped(world)
    last = max(p.inside.t for p in world.packets if p.client == "c1" and p.direction == "up" and p.inside.t <= T)
    world.steps.append(Step("nat-clears:c1", last + 0.01, last + 0.02, ("c1",)))
    world.views.clear()  # they show the old port
    assert who_is_to_blame(world.evidence()).box is None


def test_esp_without_udp_is_only_a_nats_business_that_says_so() -> None:
    assert who_is_to_blame(of(b.clean, bare, nat="esp-helper")()).rule == "misdelivered"
    ordinary = who_is_to_blame(of(b.clean, bare)())
    assert (ordinary.box, ordinary.rule) == ("client", "not announced")


def test_a_nat_that_may_carry_esp_is_not_blamed_for_it() -> None:
    for nat in (None, "pat", "esp-helper"):
        assert who_is_to_blame(of(b.clean, bare, nat=nat)()).rule != "carries ESP"


def test_one_keepalive_that_comes_through_says_that_they_do() -> None:
    assert who_is_to_blame(of(b.clean, keepalive("inside", "outside"))()).box is None
    assert who_is_to_blame(of(b.clean, keepalive("inside"), lambda w: w.packet("c2", T, "up", 4500, FrameKind.KEEPALIVE, "keepalive"))()).box is None


def test_behind_a_nat_that_carries_esp_nobody_needs_nat_traversal() -> None:
    assert who_is_to_blame(of(no_natt)()).rule == "not announced"
    assert who_is_to_blame(of(no_natt, nat="single-client")()).rule != "not announced"


def test_what_was_not_taken_before_may_be_refused() -> None:
    assert who_is_to_blame(of(b.clean, refuses_renewal("des"))()).box is None


def test_a_gateway_may_still_speak_to_the_tunnel_of_before() -> None:
    """It has not been told that the client is gone."""

    def says_hello(w: Any) -> None:
        first, second = two_tunnels(w)
        hello = w.control("c1", second.since + 1.0, "down", "Hello")
        for side in ("inside", "outside"):
            on(hello, side, esp={**getattr(hello, side).esp, "spi": first.spis_in[0]})

    reading = Reading(of(v.returning, says_hello)())
    assert [found.rule for rule in RULES if rule.name in ("former SA", "ended SA") for found in rule.blames(reading)] == []


def test_a_port_that_the_nat_gave_anew_is_its_new_users() -> None:
    """What the gateway sends there for somebody else, the NAT hands to whoever has it."""

    def moves(w: Any) -> None:
        remapped(w)
        for p in w.find("answer", "c2"):
            if p.inside.t > T + 1.0:
                on(p, "outside", dport=50_001)
                on(p, "inside", dst="10.0.0.2")

    reading = Reading(of(b.clean, moves)())
    rules = {r.name: r for r in RULES}
    assert rules["misdelivered"].blames(reading) == ()
    assert {found.client for found in rules["another address"].blames(reading)} == {"c2"}


def test_a_port_within_the_range_is_no_fault() -> None:
    assert who_is_to_blame(of(b.clean, gateway_told={"port_last": 1025})()).box is None


def test_what_a_gateway_is_to_drop_it_need_not_answer() -> None:
    build = of(stuck_at("SCCRQ", 0), *(lambda w: w.control("c2", w.packets[-1].inside.t - 2.0, "up", "SCCRQ") for _ in range(2)),
               inner("SCCRQ", "c1", udp_checksum=0), inner("SCCRQ", "c2", udp_checksum=77))  # fmt: skip
    assert (who_is_to_blame(build()).box, who_is_to_blame(build()).client) == ("gateway", "c2")
    assert who_is_to_blame(replace(build(), gateway_told={"checksum": "verify"})).box is None


def test_one_spi_of_two_clients_is_told_apart_by_where_it_goes() -> None:
    found = every_life(Reading(one_spi().evidence()))
    assert [(life.answered, life.lost, life.disagreements) for life in found] == [(found[0].sent, 0, ())] * 2


def test_checksums_that_may_be_ignored_are_no_fault() -> None:
    assert who_is_to_blame(of(b.clean, answered_falsely)()).box is None


def test_a_lost_packet_is_no_fault_and_a_late_reply_to_nobody_neither() -> None:
    world = b.clean()
    world.find("mark", "c1")[9].outside = None
    assert who_is_to_blame(world.evidence()).rule != "swallowed"
    world = b.endings()
    for p in world.find("Hello", "c4"):
        on(p, "outside", t=p.outside.t + 40.0)
        p.inside = None
    assert who_is_to_blame(world.evidence()).rule != "swallowed"


def test_the_wire_on_both_sides_counts_more_than_words() -> None:
    evidence = of(meddled, lambda w: w.alter("answer", lambda o: replace(o, esp={**o.esp, "icv_ok": False}), client="c1"))()
    assert who_is_to_blame(evidence).box == "nat"


def test_of_two_who_err_the_first_is_to_blame() -> None:
    evidence = of(b.clean, ike("MM3", "c1", nat_d=["00" * 20, "11" * 20]), esp("answer", icv_ok=False))()
    assert (who_is_to_blame(evidence).box, who_is_to_blame(evidence).client) == ("client", "c1")
    evidence = of(b.clean, ike("MM4", "c1", nat_d=["00" * 20, "11" * 20]), esp("mark", icv_ok=False))()
    assert who_is_to_blame(evidence).box == "gateway"


def test_evidence_that_is_not_to_be_trusted_names_nobody() -> None:
    found = who_is_to_blame(b.eviction().evidence(trouble=("the console fell silent",)))
    assert found.box is None
    assert "not to be trusted: the console fell silent" in found.why


def test_a_gateway_that_closes_upon_a_client_that_does_not_answer_is_not_to_blame() -> None:
    world = b.clean(hold=12.0)
    asked("R-U-THERE", "down")(world)
    says = T + 3
    world.ike("c1", says, "down", "INFO", deletes=[{"protocol": "isakmp", "spis": ["".join(world.cookies("c1"))]}])
    reading = Reading(world.evidence())
    life = next(life for life in every_life(reading) if life.client == "c1")
    assert blame(reading, life).box == "client"


def test_what_a_client_left_unanswered_in_one_life_is_not_answered_in_the_next() -> None:
    world = v.LivesWorld(2)
    t = world.hold(world.connect("c2", world.connect("c1", b.T0)) + 0.1, 3.0)
    for i in range(3):
        world.ike("c1", t + i, "down", "INFO", notifies=[{"type": 36136, "name": "R-U-THERE"}])
    t = world.connect("c1", t + 5.0)
    world.ike("c1", t + 1.0, "down", "INFO", notifies=[{"type": 36136, "name": "R-U-THERE"}])
    world.ike("c1", t + 1.1, "up", "INFO", notifies=[{"type": 36137, "name": "R-U-THERE-ACK"}])
    rule = next(r for r in RULES if r.name == "does not answer" and r.box == "client")
    (found,) = rule.blames(Reading(v.over(world, world.hold(t + 2.0, 3.0)).evidence()))
    assert (found.client, len(found.frames)) == ("c1", 3)


def test_a_gateway_that_hears_nothing_but_replays_is_silent_for_a_reason() -> None:
    """RFC 4303 section 3.4.3: it has to drop them."""
    world = b.clean(1)
    first = world.find("mark", "c1")[3]
    for p in world.find("mark", "c1")[9:]:
        for side in ("inside", "outside"):
            on(p, side, esp=getattr(first, side).esp)
    gone = {p.inside.inner.mark.sequence for p in world.find("mark", "c1")[9:]}
    world.packets = [p for p in world.packets if p.name != "answer" or p.inside.inner.mark.sequence not in gone]
    world.records = [r for r in world.records if r.kind is not RecordKind.MARK_ANSWERED or r.data["sequence"] not in gone]
    reading = Reading(world.evidence())
    (life,) = every_life(reading)
    assert (life.died, blame(reading, life).box) == (True, "client")


def test_whose_turn_it_was_when_a_set_up_stopped() -> None:
    def stopped(until: str, act: Act = lambda w: None) -> str | None:
        world = b.World(1)
        world.connect("c1", b.T0, until=until)
        act(world)
        reading = Reading(world.evidence())
        return blame(reading, every_life(reading)[0]).box

    assert stopped("MM5") == "gateway"
    assert stopped("MM6") == "client"
    assert stopped("MM6", lambda w: setattr(w.find("MM6")[0], "inside", None)) == "nat"
    assert stopped("MM1", lambda w: setattr(w.find("MM1")[0], "outside", None)) == "nat"


def test_a_client_that_gives_up_at_a_word_of_the_gateways_had_its_turn() -> None:
    """Within the millisecond in which that word crossed the NAT; that it could not be hung up afterwards changes nothing."""
    world = b.World(1)
    t = world.connect("c1", b.T0, until="QM1")
    refusal = world.ike("c1", t, "down", "INFO", notifies=[{"type": 14, "name": "NO-PROPOSAL-CHOSEN"}])
    pair = "".join(world.cookies("c1"))
    world.ike("c1", refusal.inside.t + 0.0002, "up", "INFO", deletes=[{"protocol": "isakmp", "spis": [pair]}])
    world.steps.append(Step("client-close:c1", t + 5.0, t + 5.0, ("c1",), {"carried_out": False}))
    found = who_is_to_blame(world.evidence())
    assert (found.box, found.frames[0].ike and found.frames[0].ike["message"]) == ("client", "INFO"), found.why


def test_what_is_said_after_a_client_gave_up_is_nobodys_turn() -> None:
    """And what is said on an SA of a life before is no word in this set-up."""
    world = b.World(1)
    t = world.connect("c1", b.T0, until="SCCRQ")
    pair = "".join(world.cookies("c1"))
    world.ike("c1", t + 1.0, "up", "INFO", deletes=[{"protocol": "isakmp", "spis": [pair]}])
    world.ike("c1", t + 30.0, "down", "INFO", deletes=[{"protocol": "isakmp", "spis": [pair]}]).inside = None
    reading = Reading(world.evidence())
    found = blame(reading, every_life(reading)[0])
    assert (found.box, [o.kind for o in found.frames]) == ("gateway", [FrameKind.ESP])


def test_every_rule_names_a_box_and_the_strongest_come_first() -> None:
    assert {r.box for r in RULES} == set(BOXES)
    assert {r.strength for r in RULES} == set(Strength)
    assert all(r.box == "nat" for r in RULES if r.strength in (Strength.COMPARED, Strength.TOUCHED))


def test_frames_that_prove_stand_in_the_evidence() -> None:
    evidence = b.eviction().evidence()
    there = {(s, o.frame) for s in (Side.INSIDE, Side.OUTSIDE) for o in evidence.observations[s]}
    assert {(o.side, o.frame) for o in who_is_to_blame(evidence).frames} <= there


def test_a_nat_may_cut_packets_into_fragments() -> None:
    cut = headers("mark", "outside", fragment="last", ip_length=56)
    assert who_is_to_blame(of(b.clean, cut)()).box is None
    assert who_is_to_blame(of(b.clean, headers("mark", "outside", ip_length=56))()).rule == "header changed"


def test_a_capture_that_leaves_out_keepalives_does_not_show_that_there_were_none() -> None:
    evidence = quiet(25.0)().evidence()
    kept = tuple(replace(c, kept="without-keepalives") for c in evidence.captures)
    assert who_is_to_blame(replace(evidence, captures=kept)).box is None


@pytest.mark.parametrize(("kept", "box"), [("everything", "gateway"), ("without-keepalives", None)])
def test_who_kept_lcps_echoes_from_a_gateway_that_gives_up_no_capture_without_them_shows(kept: str, box: str | None) -> None:
    world = b.clean()
    world.link("c1", b.T0 + 6, "down", "LCP", "Terminate-Request")
    evidence = world.evidence()
    evidence = replace(evidence, captures=tuple(replace(c, kept=kept) for c in evidence.captures))
    (life,) = [one for one in every_life(Reading(evidence)) if one.died]
    assert blame(Reading(evidence), life).box == box
    assert who_is_to_blame(evidence).box == box


def test_clients_at_another_site_are_looked_at_by_themselves() -> None:
    """Client 2 has no NAT before it, and its marks are known at the far end: they are no strays of client 1's site."""
    world = b.clean()
    world.plans[1] = replace(world.plans[1], site=0)
    world.packets = [p for p in world.packets if p.client != "c2"]
    assert who_is_to_blame(world.evidence()).box is None


def test_a_port_of_its_own_is_nothing_to_be_told_of() -> None:
    rule = next(r for r in RULES if r.name == "lists untold port")
    assert [found.client for found in rule.blames(Reading(of(b.clean, lists_at(1701), variant="plain")()))] == ["c2"]
    assert who_is_to_blame(of(b.clean, lists_at(1024), variant="demux")()).box is None


def test_the_gateway_holds_no_sa_of_a_client_for_another_has_chosen_its_spi() -> None:
    world = one_spi()
    world.gone.clear()
    world.view("both", b.T0 + 5.0)
    reading, view = Reading(world.evidence()), world.views[-1]
    assert listed_sas(reading, view, "c1") == {"00000100", *reading.identities["c1"].spis_out}
    alone = replace(view, sas=tuple(sa for sa in view.sas if sa.udp_port == world.outer("c2", 4500)))
    assert listed_sas(reading, alone, "c1") == set()
    assert listed_sas(reading, alone, "c2") == {"00000100", *reading.identities["c2"].spis_out}


@pytest.mark.parametrize("harmless", [headers("mark", "outside", tos=8), outside("mark", ttl=64), copied], ids=["tos", "ttl", "twice"])
def test_a_nat_is_not_to_blame_for_what_hurts_nobody_where_another_fails(harmless: Act) -> None:
    found = who_is_to_blame(of(b.eviction, harmless)())
    assert (found.box, found.rule) == ("gateway", "another client's SA")


def test_mappings_that_collide_concern_both_clients_even_where_nothing_but_the_address_tells_them_apart() -> None:
    reading = Reading(of(b.clean, frame("mark", None, "outside", sport=40_001))())
    (found,) = next(r for r in RULES if r.name == "mappings collide").blames(reading)
    assert {reading.at_address(o.src) for o in found.frames} == {None, "c1", "c2"}


def test_who_dies_of_what_was_handed_to_another_in_clear_dies_of_the_nat() -> None:
    """Without an SA a packet is of whoever is at its address: whose it was, only the rule still knows."""
    evidence = v.in_clear(b.clean())
    down = [o for o in evidence.observations[Side.INSIDE] if o.dst == "10.0.0.2" and o.t > T]
    astray = tuple(replace(o, dst="10.0.0.3") if o in down else o for o in evidence.observations[Side.INSIDE])
    reading = Reading(replace(evidence, observations={**evidence.observations, Side.INSIDE: astray}))
    life = next(life for life in every_life(reading) if life.client == "c1")
    assert life.died
    found = blame(reading, life)
    assert (found.box, found.rule) == ("nat", "misdelivered")


def asks_in_vain(w: Any) -> None:
    """Between client 1's last packet by its old mapping and its first by the new one the gateway asks, and the NAT drops it."""
    sent = [p for p in w.packets if p.client == "c1" and p.direction == "up"]
    last = max(p.outside.t for p in sent if p.outside.t <= T)
    lost = w.link("c1", last + 0.001, "down", "LCP", "Echo-Request")
    lost.inside = None


@pytest.mark.parametrize(("acts", "box"), [((remapped, asks_in_vain), "nat"), ((remapped,), "gateway"), ((asks_in_vain,), "gateway")])
def test_a_gateway_that_was_cut_off_from_a_client_may_end_it(acts: tuple[Act, ...], box: str) -> None:
    reading = Reading(of(lambda: b.clean(hold=12.0), *acts, says_bye)())
    life = next(life for life in every_life(reading) if life.client == "c1")
    assert life.died
    assert blame(reading, life).box == box


def asks(w: Any, after: float, *, reaches: bool) -> None:
    question = w.link("c1", T + after, "down", "LCP", "Echo-Request")
    question.inside = question.inside if reaches else None


@pytest.mark.parametrize(
    ("lost", "reach", "box"),
    [((0.1, 0.6, 1.1), (), "nat"), ((0.1, 0.6), (1.1,), "gateway"), ((1.1,), (), "gateway")],
    ids=["swallowed", "the last one came", "one may get lost"],
)
def test_a_nat_that_keeps_the_gateways_questions_from_a_client_ends_its_link(
    lost: tuple[float, ...], reach: tuple[float, ...], box: str
) -> None:
    """The client's port stays what it was: what the NAT kept is all there is to see."""

    def acts(w: Any) -> None:
        for after in lost:
            asks(w, after, reaches=False)
        for after in reach:
            asks(w, after, reaches=True)

    reading = Reading(of(lambda: b.clean(hold=12.0), acts, says_bye)())
    life = next(life for life in every_life(reading) if life.client == "c1")
    assert life.died
    assert blame(reading, life).box == box


def test_a_nat_that_tells_ike_apart_by_cookies_may_leave_everybody_on_500() -> None:
    assert who_is_to_blame(of(b.clean, all_on_500)()).rule == "port shared"
    assert who_is_to_blame(of(b.clean, all_on_500, nat="cookie-helper")()).box is None
