"""Survival, who killed whom, whose fault it was, and how the story is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import verdict_builders as b

from harness.model import FrameKind, RecordKind, Side
from harness.verdict.blame import blame, nat_faults
from harness.verdict.confusion import towards_clients, towards_far_end
from harness.verdict.killer import Death, deaths, matrix
from harness.verdict.reading import Reading
from harness.verdict.story import ports_in_words, tell
from harness.verdict.survival import Cause, Life, lives


def look(world: Any) -> tuple[Reading, dict[str, Life], tuple[Death, ...]]:
    reading = Reading(world.evidence())
    found = lives(reading)
    return reading, found, deaths(reading, found)


def only_death(world: Any) -> Death:
    found = look(world)[2]
    assert len(found) == 1
    return found[0]


# -- survival -----------------------------------------------------------------------------------------------------------------


def test_a_clean_run_kills_nobody() -> None:
    reading, found, dead = look(b.clean())
    assert dead == ()
    for life in found.values():
        assert (life.lost, life.died, life.left_by_itself, life.disagreements, life.remarks) == (0, False, False, (), ())
        assert life.end.cause is Cause.CLIENT_CLOSED
        assert life.run_closed
    assert matrix(reading.clients, dead) == {"c1": {"c1": "none", "c2": "none"}, "c2": {"c1": "none", "c2": "none"}}


def test_loss_is_counted_and_is_no_death() -> None:
    world = b.clean()
    for i in (15, 16, 20):
        p = world.find("answer", "c1")[i]
        p.inside = None
    answered = [r for r in world.records if r.kind is RecordKind.MARK_ANSWERED and r.client == "c1"]
    gone = [r for r in answered if r.data["sequence"] in (16, 17, 21)]
    world.records = [r for r in world.records if r not in gone]
    life = look(world)[1]["c1"]
    assert (life.sent, life.answered, life.lost, life.died) == (50, 47, 3, False)
    assert 0.55 < life.longest_gap < 0.65
    assert life.disagreements == ()


def test_an_answer_on_its_way_to_a_client_that_vanishes_contradicts_nobody() -> None:
    world = b.endings()
    unheard(world, next(s.began for s in world.steps if s.name == "vanish:c4") - 0.002, "c4")
    assert look(world)[1]["c4"].disagreements == ()


def test_a_vanished_client_is_not_ended_by_the_gateways_late_farewell() -> None:
    world = b.endings()
    world.control("c4", b.T0 + 13, "down", "StopCCN")
    assert look(world)[1]["c4"].end.cause is Cause.VANISHED


def test_marks_under_way_at_the_end_are_not_judged() -> None:
    world = b.clean()
    t = max(p.inside.t for p in world.packets if p.name == "mark")
    for i in range(5):
        world.mark("c1", t + 1.0 + 0.1 * i, lost=True)
    life = look(world)[1]["c1"]
    assert (life.lost, life.end.cause) == (0, Cause.CLIENT_CLOSED)


def test_an_outage_is_an_end_even_if_answers_come_again() -> None:
    world = b.clean(hold=14.0)
    gone = [p for p in world.find("answer", "c1") if b.T0 + 6 < p.inside.t < b.T0 + 10]
    numbers = {p.inside.inner.mark.sequence for p in gone}
    world.packets = [p for p in world.packets if p not in gone]
    world.records = [r for r in world.records if r.kind is not RecordKind.MARK_ANSWERED or r.client != "c1" or
                     r.data["sequence"] not in numbers]  # fmt: skip
    life = look(world)[1]["c1"]
    assert life.end.cause is Cause.SILENCE
    assert life.died
    assert life.first_unanswered is not None
    assert life.last_answered is not None
    assert (life.first_unanswered.sequence, life.last_answered.sequence) == (min(numbers), min(numbers) - 1)


def test_each_farewell_of_the_gateway_has_its_cause() -> None:
    def after(act: Any) -> Life:
        world = b.clean()
        act(world, b.T0 + 6)
        life = look(world)[1]["c1"]
        assert life.died
        assert not life.planned
        return life

    def says(*args: Any, **kw: Any) -> Any:
        return lambda w, t: w.control("c1", t, "down", *args, **kw)

    assert after(says("StopCCN")).end.cause is Cause.STOP_CCN
    assert after(says("CDN")).end.cause is Cause.CDN
    assert after(lambda w, t: w.link("c1", t, "down", "LCP", "Terminate-Request")).end.cause is Cause.LCP_TERMINATE
    assert after(
        lambda w, t: w.ike("c1", t, "down", "INFO", deletes=[{"protocol": "esp", "spis": [w.spi_out("c1")]}])
    ).end.cause is (Cause.GATEWAY_DELETE)


def test_a_farewell_meant_for_the_victim_does_not_end_the_killer() -> None:
    world = b.eviction("user")
    world.control("c1", b.T0 + 12, "down", "StopCCN", on="c2")
    found = look(world)[1]
    assert not found["c2"].died
    assert found["c1"].died


def test_a_delete_of_what_a_rekey_replaced_ends_nothing() -> None:
    world = b.clean()
    t = b.T0 + 6
    new = "e0000001"
    world.packet("c1", t - 0.5, "up", 4500, FrameKind.ESP, "new", esp={"spi": new, "sequence": 1, "icv_ok": True},
                 inner=world.find("mark", "c1")[0].inside.inner)  # fmt: skip
    world.ike("c1", t, "down", "INFO", deletes=[{"protocol": "esp", "spis": [world.spi_out("c1")]}])
    evidence = world.evidence()
    one = evidence.identities[0]
    rekeyed = replace(evidence, identities=(replace(one, spis_out=(*one.spis_out, new)), *evidence.identities[1:]))
    assert not lives(Reading(rekeyed))["c1"].died
    assert lives(Reading(replace(evidence, identities=(replace(one, spis_out=(new, *one.spis_out)), *evidence.identities[1:]))))[
        "c1"
    ].died


def test_a_step_excuses_an_end_only_once_it_has_begun() -> None:
    found = look(b.endings())[1]
    assert {c: life.end.cause for c, life in found.items()} == {
        "c1": Cause.GATEWAY_DELETE, "c2": Cause.STOP_CCN, "c3": Cause.CLIENT_CLOSED, "c4": Cause.VANISHED,
        "c5": Cause.CLIENT_CLOSED,
    }  # fmt: skip
    assert not any(life.died for life in found.values())
    assert [c for c, life in found.items() if life.planned] == ["c1", "c2", "c3", "c4"]
    world = b.endings()
    world.control("c2", b.T0 + 3, "down", "StopCCN")
    assert look(world)[1]["c2"].died


def test_a_client_that_never_comes_up_names_its_stage() -> None:
    for until, stage in (("MM4", "main mode"), ("QM2", "quick mode"), ("SCCRQ", "L2TP tunnel"), ("ICRQ", "L2TP session")):
        world = b.World(1)
        world.connect("c1", b.T0, until=until)
        end = look(world)[1]["c1"].end
        assert end.cause is Cause.NEVER_UP
        assert end.stage is not None
        assert end.stage.value == stage
        assert end.reason == "no answer"
        assert any("client 1 never came up" in line or "nothing can be said" in line for line in tell(world.evidence()))
    assert look(b.eviction("kernel"))[1]["c2"].end.stage.value == "LCP"  # type: ignore[union-attr]


def unheard(world: Any, t: float, client: str = "c1") -> None:
    """An answer that the client has no record of."""
    gone, world.gone = world.gone, world.gone - {client}
    world.mark(client, t)
    world.gone = gone
    assert world.records.pop().kind is RecordKind.MARK_ANSWERED


def test_disagreement_between_client_and_wire_is_a_finding() -> None:
    def says(change: Any) -> str:
        world = b.clean()
        change(world)
        return " ".join(look(world)[1]["c1"].disagreements)

    def drop(w: Any, kind: RecordKind) -> None:
        w.records = [r for r in w.records if not (r.client == "c1" and r.kind is kind)]

    assert says(lambda w: None) == ""
    assert "its own account does not" in says(lambda w: drop(w, RecordKind.PPP_UP))
    assert "has no record of them" in says(lambda w: drop(w, RecordKind.MARK_ANSWERED))
    assert "no answer that reached it" in says(lambda w: w.record(b.T0 + 5, "c1", RecordKind.MARK_ANSWERED, sequence=999))
    assert "wire does not show them" in says(lambda w: w.record(b.T0 + 5, "c1", RecordKind.MARK_SENT, sequence=999, size=64))
    closing = max(p.inside.t for p in b.clean().find("CDN", "c1"))
    assert says(lambda w: (unheard(w, closing - 0.05))) == ""  # it came as the client was leaving
    assert "has no record of them" in says(lambda w: unheard(w, closing - 0.5))
    moved = lambda w: (drop(w, RecordKind.PPP_UP), w.record(b.T0 + 4, "c1", RecordKind.PPP_UP))  # noqa: E731
    assert "says it was up at" in says(moved)
    world = b.eviction("kernel")
    world.record(b.T0 + 8, "c2", RecordKind.PPP_UP)
    assert "the wire shows that it did not" in " ".join(look(world)[1]["c2"].disagreements)


# -- who killed whom -----------------------------------------------------------------------------------------------------------


def test_the_newcomer_is_certain_where_its_sa_carries_the_victims_words() -> None:
    for mode in ("user", "kernel"):
        reading, found, dead = look(b.eviction(mode))
        death = dead[0]
        assert (death.victim, death.killer, death.strength.value, death.name, death.spi) == (
            "c1",
            "c2",
            "certain",
            "QM3",
            "c0000002",
        )
        assert death.blow is not None
        last, first = found["c1"].last_answered, found["c1"].first_unanswered
        assert last is not None
        assert first is not None
        assert last.answer is not None
        assert last.answer.t < death.blow.t < first.question.t
        assert reading.ike_owner(death.blow) == "c2"
        assert death.blow.side is Side.OUTSIDE
        assert death.blame.box == "gateway"
        assert matrix(reading.clients, dead)["c1"]["c2"] == "certain"


def test_the_newcomer_is_suspected_where_only_the_moment_speaks() -> None:
    death = only_death(b.eviction("mute"))
    assert (death.killer, death.strength.value, death.name, death.proof) == ("c2", "suspected", "QM3", ())


def test_nobody_is_named_where_nobody_did_anything() -> None:
    world = b.clean(hold=12.0)
    gone = [p for p in world.find("answer", "c1") if p.inside.t > b.T0 + 8]
    world.packets = [p for p in world.packets if p not in gone]
    death = only_death(world)
    assert (death.killer, death.strength.value, death.suspects, death.blow) == (None, "none", (), None)
    assert death.blame.box == "gateway"  # it fell silent on questions that reached it


def test_a_keepalive_of_any_layer_makes_no_suspect() -> None:
    world = b.clean(hold=12.0)
    gone = [p for p in world.find("answer", "c1") if p.inside.t > b.T0 + 8]
    t = gone[0].inside.t - 0.1
    world.packets = [p for p in world.packets if p not in gone]
    world.control("c2", t, "up", "Hello")
    world.control("c2", t, "down", "ZLB")
    world.link("c2", t, "up", "LCP", "Echo-Request")
    world.ike("c2", t, "up", "INFO", notifies=[{"type": 36136, "name": "R-U-THERE"}])
    world.ike("c2", t, "up", "QM3", retransmission=True)
    world.packet("c2", t, "up", 4500, FrameKind.KEEPALIVE, "keepalive")
    assert only_death(world).suspects == ()
    world.ike("c2", t, "up", "INFO", deletes=[{"protocol": "esp", "spis": ["01020304"]}])
    death = only_death(world)
    assert (death.suspects, death.killer, death.name) == (("c2",), "c2", "IKE Delete")


def test_each_of_many_victims_has_its_own_killer() -> None:
    reading, _, dead = look(b.eviction("user", 4, order=("c3", "c1", "c4", "c2")))
    assert [(d.victim, d.killer) for d in dead] == [("c3", "c1"), ("c1", "c4"), ("c4", "c2")]
    cells = matrix(reading.clients, dead)
    assert {(v, k) for v in cells for k in cells[v] if cells[v][k] == "certain"} == {("c3", "c1"), ("c1", "c4"), ("c4", "c2")}


def test_words_at_the_killers_nat_port_are_proof_too() -> None:
    world = b.eviction("mute")
    packet = world.link("c1", b.T0 + 10, "down", "LCP", "Echo-Request")
    packet.outside = replace(packet.outside, dport=world.outer("c2", 4500))
    packet.inside = None
    death = only_death(world)
    assert (death.killer, death.strength.value) == ("c2", "certain")


def test_of_several_suspects_the_one_that_installed_an_sa_is_named_first() -> None:
    world = b.eviction("mute", 3)
    world.packets = [p for p in world.packets if p.inside.t < b.T0 + 13.5]
    t = world.find("QM3", "c2")[0].inside.t
    world.link("c3", t, "up", "LCP", "Configure-Request")
    death = next(d for d in look(world)[2] if d.victim == "c1")
    assert set(death.suspects) == {"c2", "c3"}
    assert (death.killer, death.strength.value) == ("c2", "suspected")
    world.ike("c3", t, "up", "QM3")
    death = next(d for d in look(world)[2] if d.victim == "c1")
    assert (death.killer, death.strength.value) == (None, "suspected")


# -- whose fault ---------------------------------------------------------------------------------------------------------------


def faults(world: Any) -> str:
    return "; ".join(f.why for f in nat_faults(Reading(world.evidence())))


def test_a_nat_that_behaves_has_no_faults() -> None:
    for world in (b.clean(), b.eviction(), b.endings(), b.together()):
        assert faults(world) == ""


def test_each_fault_of_the_nat_is_named() -> None:
    world = b.clean()
    p = world.find("mark", "c1")[3]
    p.outside, p.paired = replace(p.outside, payload_digest="x"), False
    assert faults(world) == "the NAT changed 1 payloads of c1"
    world = b.clean()
    world.alter("MM1", lambda o: replace(o, src="10.0.0.2"), client="c1", sides="outside")
    assert "inside address through" in faults(world)
    world = b.clean()
    world.alter("mark", lambda o: replace(o, sport=40_001), sides="outside")
    assert faults(world) == "the NAT gave c1 and c2 the same port 40001"
    world = b.clean()
    world.alter("answer", lambda o: replace(o, dst="10.0.0.3"), client="c1", sides="inside")
    assert "packets to another client" in faults(world)


def test_a_port_used_by_one_client_after_the_other_is_no_collision() -> None:
    world = b.clean()
    world.alter("MM1", lambda o: replace(o, sport=20_001), sides="outside")
    assert faults(world) == ""


def test_a_packet_that_the_gateway_misaddressed_is_not_the_nats_fault() -> None:
    world = b.eviction("mute")
    packet = world.link("c1", b.T0 + 10, "down", "LCP", "Echo-Request")
    packet.outside, packet.inside = replace(packet.outside, dport=40_002), replace(packet.inside, dst="10.0.0.3")
    assert faults(world) == ""


def silent(world: Any, after: float = 8.0) -> list[Any]:
    gone = [p for p in world.find("answer", "c1") if p.inside.t > b.T0 + after]
    world.records = [r for r in world.records if r.kind is not RecordKind.MARK_ANSWERED or r.client != "c1" or r.t < b.T0 + after]
    return gone


def test_what_the_nat_swallowed_is_the_nats_fault() -> None:
    world = b.clean(hold=12.0)
    gone = silent(world)
    world.packets = [p for p in world.packets if p not in gone]
    for p in world.find("mark", "c1"):
        if p.inside.t > b.T0 + 8:
            p.outside = None
    assert only_death(world).blame.box == "nat"
    world = b.clean(hold=12.0)
    for p in silent(world):
        p.inside = None
    death = only_death(world)
    assert death.blame.box == "nat"
    assert "did not come out" in death.blame.why


def test_the_nats_fault_comes_first_and_only_for_those_it_hit() -> None:
    world = b.eviction("user")
    p = world.find("mark", "c1")[3]
    p.outside, p.paired = replace(p.outside, payload_digest="x"), False
    assert only_death(world).blame.box == "nat"
    world = b.eviction("user")
    p = world.find("mark", "c2")[3]
    p.outside, p.paired = replace(p.outside, payload_digest="x"), False
    assert only_death(world).blame.box == "gateway"


def test_a_client_that_ended_itself_is_to_blame_and_one_that_lives_on_nobody_for() -> None:
    reading, found, _ = look(b.endings())
    assert blame(reading, found["c3"]).box == "client"
    assert blame(reading, found["c4"]).box == "client"
    assert blame(reading, found["c2"]).box == "gateway"
    world = b.clean()
    world.packets = [p for p in world.packets if p.inside.t < b.T0 + 10]
    reading, found, _ = look(world)
    assert found["c1"].end.cause is Cause.RUN_OVER
    assert blame(reading, found["c1"]).box is None


# -- confusion -----------------------------------------------------------------------------------------------------------------


def test_confusion_of_a_clean_run_is_the_identity() -> None:
    for matrix_of in (towards_clients, towards_far_end):
        found = matrix_of(Reading(b.clean(3).evidence()))
        assert found.identity
        assert all(count == 0 for c in found.cells for r, count in found.cells[c].items() if c != r)
        assert all(found.cells[c][c] > 0 for c in ("c1", "c2", "c3"))
        assert found.lost == {"c1": 0, "c2": 0, "c3": 0}


def test_confusion_of_the_user_space_eviction_has_the_victims_words_at_the_killer() -> None:
    found = towards_clients(Reading(b.eviction().evidence()))
    assert not found.identity
    assert found.cells["c1"]["c2"] == 33
    assert found.cells["c2"]["c1"] == 0
    assert towards_far_end(Reading(b.eviction().evidence())).identity


def test_an_address_given_out_twice_is_no_confusion() -> None:
    evidence = b.clean().evidence()
    one, two = evidence.identities
    shared = replace(evidence, identities=(one, replace(two, ppp_address=one.ppp_address)))
    found = towards_far_end(Reading(shared))
    assert found.cells["c1"]["c1"] > 0
    assert found.cells["c1"]["c2"] == 0


def test_an_owner_nobody_knows_is_a_stray() -> None:
    world = b.clean()
    world.far(b.T0 + 5, "172.16.1.10", b.FAR, b.Mark(77, 1, False))
    found = towards_far_end(Reading(world.evidence()))
    assert found.cells["nobody"]["c1"] == 1
    assert not found.identity


def test_what_did_not_arrive_is_counted_as_lost() -> None:
    world = b.clean()
    world.lone = [
        o for o in world.lone if not (o.side is Side.FAR_END and o.mark and o.mark.owner == 1 and o.mark.sequence in (5, 6))
    ]
    assert towards_far_end(Reading(world.evidence())).lost == {"c1": 2, "c2": 0}


# -- the story ------------------------------------------------------------------------------------------------------------------


def test_the_story_names_killer_frame_message_and_time() -> None:
    plain = b.eviction("user").evidence(variant="plain")
    line = tell(plain)[0]
    frame = deaths(Reading(plain), lives(Reading(plain)))[0].blow
    assert frame is not None
    assert line.startswith(
        f"With the plain gateway, client 2 killed client 1 at outside.pcap frame {frame.frame} (QM3 of 10.0.0.3, 22:13:26."
    )
    assert "mark 30 was the last answered, none of the 33 from mark 31 on was" in line
    assert "33 of its packets left on SPI c0000002 of client 2" in line
    assert line.endswith("To blame: the gateway (the gateway put c1's traffic into another client's SA).")
    assert tell(plain)[1] == "With the plain gateway, client 2 lives; 0 of 30 marks lost."


def test_the_story_says_how_sure_it_is() -> None:
    assert "probably killed" in tell(b.eviction("mute").evidence())[0]


def test_the_story_of_the_cure() -> None:
    assert tell(b.clean().evidence()) == ("With the demux gateway, both live, on ports 1024 and 1025; 0 of 90 marks lost.",)
    assert tell(b.clean(6).evidence())[0].startswith(
        "With the demux gateway, all 6 live, on ports 1024, 1025, 1026, 1027, 1028 and 1029;"
    )
    assert tell(b.clean(1).evidence())[0].startswith("With the demux gateway, client 1 lives, on port 1024;")


@pytest.mark.parametrize(
    ("ports", "words"),
    [
        ([1024], "port 1024"),
        ([1024, 1026], "ports 1024 and 1026"),
        (list(range(1024, 1524)), "ports 1024 to 1523"),
        ([*range(1024, 1100), 2000, 2001, 2005], "ports 1024 to 1099, 2000, 2001 and 2005"),
    ],
)
def test_hundreds_of_ports_are_a_range(ports: list[int], words: str) -> None:
    assert ports_in_words(ports) == words



def test_the_story_says_nothing_on_evidence_it_cannot_trust() -> None:
    found = tell(b.eviction().evidence(trouble=("the guest's console fell silent",)))
    assert found == ("With the user gateway, nothing can be said: the guest's console fell silent.",)


def test_ends_that_the_scenario_brought_about_are_told_as_such() -> None:
    *_, last = tell(b.endings().evidence())
    assert last == (
        "The scenario itself ended client 4 (vanish), client 1 (delete-ipsec), client 2 (gateway-close), client 3 (client-close)."
    )


def test_hanging_up_at_the_end_is_nothing_to_tell_of() -> None:
    assert not any("scenario itself" in line for line in tell(b.clean().evidence()))
