"""The checks of both peers' lists, of runs without NAT or NAT-T, of traces, merged ports and the blame: passing, failing for each
thing, inconclusive; and the rows that are noted only."""

# ruff: noqa: E501  (the cases are a table)
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import verdict_builders as b
from test_checks import Make, alone, frame, ike, of, reverse, without

from benchmarks import correlator
from harness.model import Evidence, FrameKind, NatView, Outcome, RecordKind
from harness.verdict import culprit
from harness.verdict.blame import Blame
from harness.verdict.checks import CHECKS, NOTED
from harness.verdict.reading import Reading

Act = Callable[[Any], object]


# -- worlds -----------------------------------------------------------------------------------------------------------------------


def no_natt() -> Any:
    """Client 1 does not speak NAT-Traversal; client 2 does."""
    world = b.clean()
    world.set_ike("MM1", "c1", vendor_ids=["00" * 16])
    for name in ("MM3", "MM4"):
        world.set_ike(name, "c1", nat_d=[])
    return world


def no_nat() -> Any:
    """What is between the captures routes and translates nothing."""
    world = b.clean()
    for p in world.packets:
        for side in ("inside", "outside"):
            o = getattr(p, side)
            own = world.address(p.client)
            ports = (None, None) if o.kind is FrameKind.ESP else (500, 500)
            src, dst = (own, b.GATEWAY) if p.direction == "up" else (b.GATEWAY, own)
            facts = None if o.ike is None else {**o.ike, "marker": False}
            setattr(p, side, replace(o, src=src, dst=dst, sport=ports[0], dport=ports[1], ike=facts))
    return world


def meddled() -> Any:
    """Client 1 works; the NAT changes client 2's third message, each time, and the gateway takes none of them."""
    world = b.World(2)
    t = world.hold(world.connect("c1", b.T0) + 0.1, 4.0)
    t = world.connect("c2", t, until="MM3")
    for i in range(3):
        world.ike("c2", t + i, "up", "MM3", retransmission=True)
    for p in world.find("MM3", "c2"):
        p.outside, p.paired = replace(p.outside, payload_digest=f"x{p.outside.payload_digest}"), False
    world.hold(t + 3.0, 4.0, who=("c1",))
    return world


def single() -> Any:
    world = b.World(1)
    world.hold(world.connect("c1", b.T0) + 0.1, 4.0)
    return world


def idle_for(seconds: float, *renewed: float) -> Any:
    """One client whose SA is renewed so many seconds after its beginning."""
    world = b.clean(1)
    for at in (*renewed, seconds):
        if at in renewed:
            for message, way in (("QM1", "up"), ("QM2", "down"), ("QM3", "up")):
                world.ike("c1", b.T0 + at, way, message)
    world.packet("c1", b.T0 + seconds, "up", 4500, FrameKind.ESP, "late", esp={"spi": world.spi_out("c1"), "sequence": 9_999_999, "icv_ok": True},
                 inner=world.find("mark", "c1")[0].inside.inner)  # fmt: skip
    return world


# -- ways to break a run ------------------------------------------------------------------------------------------------------------


def views(**fields: Any) -> Act:
    """The gateway's accounts with other lists; a function is given the view's own."""

    def act(w: Any) -> None:
        w.views = [replace(v, **{k: x(getattr(v, k)) if callable(x) else x for k, x in fields.items()}) for v in w.views]

    return act


def sas(**fields: Any) -> Act:
    return views(sas=lambda found: tuple(replace(sa, **fields) for sa in found))


def tables(change: Callable[[NatView], NatView]) -> Act:
    return lambda w: setattr(w, "tables", [change(v) for v in w.tables])


def listed_elsewhere(table: NatView) -> NatView:
    return replace(table, mappings=tuple(replace(m, outside_port=m.outside_port + 7) for m in table.mappings))


def merged(table: NatView) -> NatView:
    return replace(table, mappings=tuple(replace(m, outside_port=40_001) if m.inside_port == 4500 else m for m in table.mappings))


def later(side: str, by: float, since: float = 0.0) -> Act:
    """The clock of one capture is off, from some moment on."""

    def act(w: Any) -> None:
        for p in w.packets:
            o = getattr(p, side)
            if o is not None and o.t >= since:
                setattr(p, side, replace(o, t=o.t + by))

    return act


def unmatched(by: float) -> Act:
    """A payload that is another one when it comes out, and when."""

    def act(w: Any) -> None:
        p = w.find("mark", "c1")[9]
        p.outside, p.paired = replace(p.outside, payload_digest="zz", t=p.outside.t + by), False

    return act


def unborn(name: str, side: str) -> Act:
    """A packet that came out of the NAT and was not seen going in."""
    return lambda w: setattr(w.find(name, "c1")[9], side, None)


def copied(name: str, side: str) -> Act:
    """The NAT lets a packet out twice."""
    return lambda w: w.lone.append(replace(o := getattr(w.find(name, "c1")[9], side), t=o.t + 0.05))


def all_of(kind: FrameKind) -> Act:
    return lambda w: [w.alter(name, lambda o: replace(o, kind=kind)) for name in {p.name for p in w.packets}]


def silent(client: str) -> Act:
    """A client of whom nothing at all is seen."""

    def act(w: Any) -> None:
        w.packets = [p for p in w.packets if p.client != client]
        w.records = [r for r in w.records if r.client != client]

    return act


def shared_spi(e: Evidence) -> Evidence:
    one, two = e.identities
    return replace(e, identities=(one, replace(two, spis_in=one.spis_in)))


def then(make: Make, change: Callable[[Evidence], Evidence]) -> Make:
    return lambda: change(make())


def on_4500(w: Any) -> None:
    w.packet("c1", b.T0 + 5, "up", 4500, FrameKind.KEEPALIVE, "keepalive")
    p = w.packets[-1]
    p.outside = replace(p.outside, src=w.address("c1"), sport=4500)


def no_views(w: Any) -> None:
    w.views.clear()


def early_views(w: Any) -> None:
    w.views = [replace(w.views[0], t=b.T0)]


def from_port(client: str, port: int) -> Act:
    """A client that sends everything but its first messages from another port than 4500."""

    def act(w: Any) -> None:
        for p in w.packets:
            if p.client == client and p.direction == "up" and p.inside.sport == 4500:
                p.inside = replace(p.inside, sport=port)

    return act


def unheard(w: Any) -> None:
    """Client 1 has no record of any answer."""
    w.records = [r for r in w.records if not (r.kind is RecordKind.MARK_ANSWERED and r.client == "c1")]


UNKNOWN = (("f" * 16, "e" * 16, b.NAT, 40_001),)
HELPED = {"nat": "alg"}
NO_NAT = {"nat": "none"}

PASS: list[tuple[str, Make]] = [
    ("NTT-02", of(no_natt)),
    ("NTT-09", of(no_nat, **NO_NAT)),
    ("NTT-19", of(meddled, **HELPED)),
    ("NTT-21", of(meddled)),
    ("NTT-21", of(b.eviction)),
    ("NTT-21", of(lambda: b.eviction("kernel"))),
    ("NTT-22", of(b.clean)),
    ("NTT-22", of(b.endings)),
    ("NTT-23", of(b.clean)),
    ("NTT-23", of(b.clean, tables(lambda v: replace(v, label=f"other {v.label}")))),
    ("NTT-24", of(b.endings)),
    ("NTT-26", of(b.endings)),
    ("NTT-29", of(b.clean)),
    ("NTT-29", of(b.clean, later("outside", 1.0))),
    ("NTT-29", of(b.clean, later("inside", 0.3))),
    ("NTT-29", of(b.clean, unmatched(0.0))),
    ("NTT-29", of(b.clean, unmatched(0.01))),
    ("NTT-29", of(b.clean, copied("mark", "outside"), copied("answer", "inside"))),
    ("NTT-29", of(b.clean, pairs=())),
    ("NTT-30", of(b.clean)),
    ("NTT-30", of(reverse)),
    ("NTT-30", of(b.together)),
    ("NTT-31", of(b.clean)),
    ("NTT-32", of(b.endings)),
    ("NTT-32", of(b.together)),
    ("NTT-33", of(b.clean)),
    ("NTT-33", of(b.clean, lambda w: w.tables.clear())),
]

FAIL: list[tuple[str, Make, str]] = [
    ("NTT-02", of(no_natt, ike("MM3", "c1", nat_d=["00" * 20] * 2)), "c1's MM3 holds NAT-D though MM1 announced nothing"),
    ("NTT-02", of(no_natt, ike("MM4", "c1", nat_d=["00" * 20] * 2)), "c1's MM4 holds NAT-D"),
    ("NTT-02", of(no_natt, without("MM4", "c1")), "c1's MM3 without NAT-D got no MM4"),
    ("NTT-02", of(b.clean, ike("MM2", "c2", vendor_ids=[])), "c2's MM3 holds NAT-D though MM2 announced nothing"),
    ("NTT-09", of(no_nat, on_4500, **NO_NAT), "c1 and the gateway use 4500"),
    ("NTT-09", of(no_nat, frame("QM1", "c1", sport=501), **NO_NAT), "c1's QM1 is on 501 to 500"),
    ("NTT-09", of(no_nat, frame("mark", "c1", sport=500, dport=500), **NO_NAT), "c1's ESP is in UDP"),
    ("NTT-09", of(no_nat, without("MM5", "c2"), **NO_NAT), "c2's MM5 was not seen"),
    ("NTT-09", of(no_nat, lambda w: setattr(w, "packets", [p for p in w.packets if p.inside.kind is FrameKind.IKE or p.direction == "up"]), **NO_NAT),
     "no ESP of c1 went down"),
    ("NTT-19", of(b.eviction, **HELPED), "c1 failed behind the alg NAT, and named is gateway"),
    ("NTT-21", of(b.clean, silent("c2")), "c2 failed, and no box is named"),
    ("NTT-22", of(b.clean, lambda w: w.record(b.T0 + 3, "c1", RecordKind.IKE_UP, icookie="1" * 16, rcookie="2" * 16)), "which are not its own on the wire"),
    ("NTT-22", of(b.clean, views(ike_sas=())), "the gateway lists no main-mode SA with c1's cookies"),
    ("NTT-22", of(b.clean, views(ike_sas=lambda found: found + UNKNOWN)), "which nobody used on the wire"),
    ("NTT-22", of(b.clean, views(ike_sas=lambda found: tuple((r, i, a, p) for i, r, a, p in found))), "lists no main-mode SA with c1's"),
    ("NTT-23", of(b.clean, views(ike_sas=lambda found: tuple((i, r, "10.0.0.2", 4500) for i, r, *_ in found))), "the gateway sees c1 at 10.0.0.2:4500"),
    ("NTT-23", of(b.clean, tables(listed_elsewhere)), "the NAT's table maps c1's 10.0.0.2:4500 to 203.0.113.232:40008"),
    ("NTT-24", of(b.clean, sas(udp_port=None)), "c1's socket finds no inbound SA"),
    ("NTT-24", of(b.clean, sas(udp_port=40_001)), "c1's socket finds inbound SAs of others: ['d0000002']"),
    ("NTT-26", then(of(b.clean), shared_spi), "is taken for c1 and c2's"),
    ("NTT-26", of(b.clean, frame("mark", "c1", "inside", src="10.0.0.3")), "an SA of c1 is used from 10.0.0.3, which is c2's"),
    ("NTT-26", of(b.clean, frame("answer", "c1", "inside", dst="10.0.0.3")), "what was sent to c1 by its SA and port came to c2"),
    ("NTT-26", of(b.clean, frame("mark", "c1", "outside", sport=40_002)), "port 40002 finds c2, the SA is c1's"),
    ("NTT-29", of(b.clean, later("outside", -1.0, since=b.T0 + 6)), "no offset of the clocks aligns the traces"),
    ("NTT-29", of(b.clean, unborn("mark", "inside")), "outside frame"),
    ("NTT-29", of(b.clean, unborn("answer", "outside")), "matches nothing on the other side"),
    ("NTT-30", of(b.eviction), "c1 died"),
    ("NTT-31", of(b.eviction), "c1 died"),
    ("NTT-31", of(b.clean, frame("answer", "c1", "inside", dst="10.0.0.3"), unheard), "marks of c1 reached c2"),
    ("NTT-30", of(b.clean, frame("answer", "c1", "inside", dst="10.0.0.3"), unheard), "marks of c1 reached c2"),
    ("NTT-32", of(b.clean, views(ike_sas=lambda found: found[:1])), "the monitor shows 0 main-mode SAs of c2"),
    ("NTT-32", of(b.clean, views(ike_sas=lambda found: found * 2)), "the monitor shows 2 main-mode SAs of c1"),
    ("NTT-32", of(b.clean, views(sas=lambda found: found[:2])), "the monitor shows 0 inbound quick-mode SAs of c2"),
    ("NTT-32", of(b.clean, views(sas=lambda found: found * 2)), "the monitor shows 2 inbound quick-mode SAs of c1"),
    ("NTT-33", of(b.clean, frame("mark", None, "outside", sport=40_001)), "the NAT merges port 4500 of c1 and c2 into 203.0.113.232:40001"),
    ("NTT-33", of(b.clean, tables(merged)), "the NAT's table has 203.0.113.232:40001 for 10.0.0.2 and 10.0.0.3"),
]  # fmt: skip

INCONCLUSIVE: list[tuple[str, Make, str]] = [
    ("NTT-02", of(b.clean), "so NAT-D was due"),
    ("NTT-02", of(no_natt, without("MM3", "c1")), "c1's MM3 was not seen"),
    ("NTT-09", of(b.clean), "a NAT makes 203.0.113.232 of c1's 10.0.0.2"),
    ("NTT-09", of(no_nat, without("MM1", "c2"), **NO_NAT), "c2 never sent its first message"),
    ("NTT-19", of(meddled), "the ordinary one, which has no helper"),
    ("NTT-19", of(b.clean, nat="pat"), "the run's NAT is pat, which has no helper"),
    ("NTT-19", of(single, **HELPED), "once there are several clients"),
    ("NTT-19", of(b.clean, **HELPED), "nothing failed behind the alg NAT"),
    ("NTT-21", of(b.clean), "nothing failed in this run"),
    ("NTT-22", of(b.clean, no_views), "own account (sessions, SAs) is missing"),
    ("NTT-22", of(b.clean, early_views), "not asked for its SAs while c1's were there"),
    ("NTT-23", of(b.clean, early_views), "not asked for its SAs while c1's were there"),
    ("NTT-23", of(b.clean, lambda w: w.tables.clear()), "the NAT's own table is missing"),
    ("NTT-24", of(b.clean, early_views), "not asked for its SAs while c1's were there"),
    ("NTT-24", of(b.clean, views(sas=())), "nothing that this check could judge"),
    ("NTT-26", of(b.clean, identities=()), "there are 0 SAs, 2 are needed"),
    ("NTT-29", of(b.clean, all_of(FrameKind.OTHER)), "neither trace holds any"),
    ("NTT-30", of(alone), "2 are needed"),
    ("NTT-30", of(b.clean, without("MM1", "c2")), "not every client sent its first message"),
    ("NTT-31", of(alone), "2 are needed"),
    ("NTT-32", of(b.clean, early_views), "not asked for its SAs while c1's were there"),
    ("NTT-32", of(lambda: b.clean(1), lambda w: setattr(w, "records", [r for r in w.records if r.kind is not RecordKind.PPP_UP])),
     "no client came up, so there was nothing to list"),
    ("NTT-33", of(alone), "one client alone has nobody"),
    ("NTT-33", of(b.clean, from_port("c2", 4501)), "no two clients sent from port 4500"),
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


# -- what needs more than a row of a table --------------------------------------------------------------------------------------------


def test_the_box_that_was_broken_is_the_one_to_name() -> None:
    check: Any = CHECKS["NTT-21"]
    assert check(b.eviction().evidence(), broken="gateway").outcome is Outcome.PASS
    verdict = check(b.eviction().evidence(), broken="nat")
    assert verdict.outcome is Outcome.FAIL
    assert "the nat was broken, and the gateway is named" in verdict.because


def test_a_name_without_proof_and_a_name_against_the_signs_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(culprit, "who_is_to_blame", lambda evidence: Blame("gateway", "it looks like it"))
    verdict = CHECKS["NTT-21"](b.eviction().evidence())
    assert verdict.outcome is Outcome.FAIL
    assert "nothing shows it" in verdict.because
    assert "the NAT changed 4 payloads of c2, and the gateway is named" in CHECKS["NTT-21"](meddled().evidence()).because


def test_the_headline_of_a_run_takes_the_box_from_the_blame() -> None:
    verdict = CHECKS["NTT-19"](meddled().evidence(nat="alg"))
    assert verdict.facts["blamed"][0]["box"] == "nat"
    assert verdict.facts["failed"] == {"c2": "never came up: main mode did not complete"}


def test_every_way_to_fail_is_told() -> None:
    assert culprit.failures(Reading(b.clean().evidence())) == {}
    assert culprit.failures(Reading(b.eviction().evidence())) == {"c1": "died: the gateway fell silent"}
    left = b.clean()
    left.records = [r for r in left.records if r.kind is not RecordKind.ENDED]
    assert culprit.failures(Reading(left.evidence()))["c1"] == "left by itself: the client closed"
    lossy = b.clean()
    for p in lossy.find("answer", "c1")[10:13]:
        lossy.packets.remove(p)
    assert culprit.failures(Reading(lossy.evidence())) == {"c1": "lost 3 of 50 marks"}


def test_several_sas_are_needed_where_the_suite_says_so() -> None:
    check: Any = CHECKS["NTT-26"]
    assert check(b.clean().evidence(), at_least=4).outcome is Outcome.PASS
    assert "4 SAs, 2000 are needed" in check(b.clean().evidence(), at_least=2000).because


def test_a_thousand_sas_are_found_without_doubt() -> None:
    found = correlator.measure(1000)
    assert (found.sas, found.verdict) == (1000, "pass")


def test_a_mapping_that_is_given_out_again_is_not_merged() -> None:
    world = b.endings()
    gone = max(p.inside.t for p in world.packets if p.client == "c3" and p.direction == "up")
    for p in world.packets:
        if p.client == "c5" and p.inside.t > gone and p.direction == "up":
            p.outside = replace(p.outside, sport=world.outer("c3", 4500))
    world.tables.clear()
    assert judge("NTT-33", lambda: world.evidence())[0] is Outcome.PASS


# -- rows that are noted ----------------------------------------------------------------------------------------------------------------


def keeps(client: str) -> Act:
    return lambda w: [setattr(p, "outside", replace(p.outside, **({"sport": 500} if p.direction == "up" else {"dport": 500})))
                      for p in w.packets if p.client == client and 500 in (p.inside.sport, p.inside.dport)]  # fmt: skip


def test_a_client_that_keeps_port_500_is_noted() -> None:
    verdict = NOTED["NTT-11"](of(b.clean, keeps("c1"), nat="preserving")())
    assert (verdict.outcome, verdict.facts) == (Outcome.PASS, {"kept_500": ["c1"], "tolerated": {"c1": True}, "nat": "preserving"})
    refused = of(lambda: b.World(1), lambda w: w.connect("c1", b.T0, until="MM1"), keeps("c1"))()
    assert NOTED["NTT-11"](refused).facts["tolerated"] == {"c1": False}
    assert NOTED["NTT-11"](b.clean().evidence()).outcome is Outcome.INCONCLUSIVE
    assert NOTED["NTT-11"](no_nat().evidence(nat="none")).outcome is Outcome.INCONCLUSIVE


def test_whether_clients_work_with_a_helper_is_noted() -> None:
    verdict = NOTED["NTT-20"](single().evidence(nat="esp-helper"))
    assert (verdict.outcome, verdict.facts["helper"], verdict.facts["works"]) == (Outcome.PASS, "esp-helper", True)
    stuck = b.World(1)
    stuck.connect("c1", b.T0, until="MM3")
    assert NOTED["NTT-20"](stuck.evidence(nat="alg")).facts["works"] is False
    assert "no helper" in NOTED["NTT-20"](single().evidence()).because
    both = NOTED["NTT-20"](b.clean().evidence(nat="cookie-helper"))
    assert (both.facts["clients"], both.facts["works"]) == (2, True)
    assert both.because == "c1 and c2 behind the cookie-helper NAT work"
    hit = NOTED["NTT-20"](b.eviction().evidence(nat="esp-helper"))
    assert (hit.facts["works"], hit.facts["blamed"][0]["box"]) == (False, "gateway")
    assert "do not work (c1 died" in hit.because


def test_how_often_an_idle_sa_is_renewed_is_noted() -> None:
    verdict = NOTED["NTT-34"](idle_for(1000.0, 300.0, 600.0, 900.0).evidence())
    assert verdict.outcome is Outcome.PASS, verdict.because
    row = verdict.facts["c1"]
    assert (row["renewals"], row["intervals_s"], row["begun_by"], row["encapsulation"]) == (
        3,
        [300.0, 300.0, 300.0],
        ["client"] * 3,
        ["4"],
    )
    assert NOTED["NTT-34"](idle_for(1000.0).evidence()).facts["c1"]["renewals"] == 0
    assert "watched for 900 s" in NOTED["NTT-34"](b.clean().evidence()).because
