"""Scenarios in simulated time, judged by the checks that judge the wire; and the same seed twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.model import Evidence, Outcome, RecordKind, Side
from harness.model.steps import StepBus, StepChange
from harness.report.story import Tone
from harness.scenario.churn import Habits, churn
from harness.scenario.outcome import sum_up
from harness.scenario.play import Play
from harness.scenario.runner import Runner
from harness.scenario.script import Script
from harness.scenario.scripts import script
from harness.simulation.loop import EPOCH
from harness.testbed.load import check
from harness.verdict.checks import CHECKS

ROOT = Path(__file__).resolve().parents[2]
TESTBED = ROOT / "testbeds" / "virtual.yaml"


def rows(document: str, *numbers: int) -> list[str]:
    return [f"{document}-{number:02d}" for number in numbers]


ON_THE_WAY = rows("DMX", 30, 31, 32, 33, 34, 35) + rows("NTT", 1, 3, 4, 5, 6, 7, 10, 12, 13, 14, 15, 16, 17, 18, 25, 27)
"""What every pair shows, however the gateway tells clients apart."""

DEMUX = [*rows("DMX", 7, 10, 11, 12, 20, 21, 22, 24, 25, 44), "NTT-28"]
PLAIN = rows("DMX", 1, 2, 4)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with Runner(check(TESTBED), tmp_path_factory.mktemp("scratch"), StepBus(time.time)) as one:
        yield one


def play(runner: Runner, scenario: str | Script, variant: str, folder: Path) -> Evidence:
    folder.mkdir()
    evidence = runner.play(scenario, variant, folder=folder, time="virtual")
    assert evidence.trouble == ()
    assert evidence.time == "virtual"
    assert all(facts.complete and facts.frames for facts in evidence.captures)
    return evidence


@pytest.fixture(scope="module")
def pairs(runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Evidence]:
    return {variant: play(runner, "pair", variant, tmp_path_factory.mktemp("pair") / variant) for variant in ("demux", "plain")}


@pytest.mark.parametrize("variant", ["demux", "plain"])
@pytest.mark.parametrize("row", ON_THE_WAY)
def test_what_crosses_the_nat_is_as_documented(row: str, variant: str, pairs: dict[str, Evidence]) -> None:
    verdict = CHECKS[row](pairs[variant])
    assert verdict.outcome is Outcome.PASS, verdict.because


@pytest.mark.parametrize("row", DEMUX)
def test_with_demultiplexing_everybody_lives(row: str, pairs: dict[str, Evidence]) -> None:
    verdict = CHECKS[row](pairs["demux"])
    assert verdict.outcome is Outcome.PASS, verdict.because


@pytest.mark.parametrize("row", PLAIN)
def test_without_it_the_newcomer_kills(row: str, pairs: dict[str, Evidence]) -> None:
    verdict = CHECKS[row](pairs["plain"])
    assert verdict.outcome is Outcome.PASS, verdict.because


@pytest.mark.parametrize("row", ["DMX-07", "DMX-25", "NTT-28"])
def test_the_same_checks_see_the_loss(row: str, pairs: dict[str, Evidence]) -> None:
    assert CHECKS[row](pairs["plain"]).outcome is Outcome.FAIL


@pytest.mark.parametrize("row", PLAIN)
def test_the_known_bad_control_fails_on_a_good_gateway(row: str, pairs: dict[str, Evidence]) -> None:
    assert CHECKS[row](pairs["demux"]).outcome is Outcome.FAIL


def test_it_began_when_it_always_begins_and_nothing_was_late(pairs: dict[str, Evidence]) -> None:
    for evidence in pairs.values():
        assert evidence.steps[0].began == EPOCH
        assert {record.kind for record in evidence.records}.isdisjoint({RecordKind.IMPAIRED, RecordKind.GARBAGE})
        assert EPOCH < min(event.t for event in evidence.gateway_events) < evidence.gateway_views[-1].t < EPOCH + 60
        assert any(view.mappings for view in evidence.nat_views)


def test_every_way_in_which_a_session_ends(runner: Runner, tmp_path: Path) -> None:
    evidence = play(runner, "endings", "demux", tmp_path / "endings")
    for row in ("DMX-40", "DMX-43", "DMX-44", "DMX-45", "DMX-17"):
        verdict = CHECKS[row](evidence)
        assert verdict.outcome is Outcome.PASS, f"{row}: {verdict.because}"


def test_a_keepalive_after_twenty_idle_seconds(runner: Runner, tmp_path: Path) -> None:
    evidence = play(runner, "alone", "demux", tmp_path / "alone")
    for row in ("DMX-29", "NTT-08"):
        verdict = CHECKS[row](evidence)
        assert verdict.outcome is Outcome.PASS, f"{row}: {verdict.because}"


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(runner: Runner, tmp_path: Path) -> None:
    """Whatever was played before."""
    play(runner, "pair", "demux", tmp_path / "first")
    play(runner, "alone", "demux", tmp_path / "between")
    play(runner, "pair", "demux", tmp_path / "second")
    with Runner(check(TESTBED), tmp_path, StepBus(time.time), seed=2) as other:
        play(other, "pair", "demux", tmp_path / "other")
    names = ["inside.pcap", "outside.pcap", "far-end.pcap", "far-end.links", "translated.pcap", "records.jsonl", "keys.jsonl"]
    for name in names:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes(), name
    for name in names:
        if name != "far-end.links":
            assert (tmp_path / "first" / name).read_bytes() != (tmp_path / "other" / name).read_bytes(), name


def test_what_a_script_has_otherwise_is_noted(tmp_path: Path) -> None:
    bus = StepBus(time.time)
    noted: list[str] = []
    bus.subscribe(lambda event: noted.append(event.name) if event.change is StepChange.NOTED else None)
    with Runner(check(TESTBED), tmp_path, bus) as runner:
        play(runner, "checksum", "demux", tmp_path / "checksum")
    assert {"the gateway differs from its variant: checksum verify", "c1: brisk", "c2: zero-checksum"} <= set(noted)


@pytest.mark.parametrize(
    ("scenario", "tone", "blame"),
    [
        ("checksum", Tone.SURVIVED, ()),
        ("port-space", Tone.SURVIVED, ()),
        ("windows-98", Tone.SURVIVED, ()),
        ("windows-2000-unpatched", Tone.LOST, ("client",)),  # its ESP goes bare through a NAT, and that is its own doing
    ],
)
def test_whoever_is_not_to_come_up_is_not_the_gateways_fault(
    scenario: str, tone: Tone, blame: tuple[str, ...], runner: Runner, tmp_path: Path
) -> None:
    not_up = script(scenario).not_up
    evidence = runner.play(scenario, "demux", folder=tmp_path, time="virtual")
    verdicts, head = sum_up(evidence, not_up)
    assert verdicts["survival"].outcome is Outcome.PASS
    assert (head.tone, head.blame, head.never_up) == (tone, blame, tuple(sorted(not_up)))
    assert "did not come up is as it must be" in head.sentence
    # The same evidence where nobody was told so, or somebody else was.
    for wrong in (frozenset[str](), frozenset({"c9"})):
        assert sum_up(evidence, wrong)[1].tone is not Tone.SURVIVED


def test_who_comes_up_though_not_to_is_no_reason_to_overlook_a_loss(pairs: dict[str, Evidence]) -> None:
    _, head = sum_up(pairs["plain"], frozenset({"c1"}))
    assert (head.tone, head.blame) == (Tone.LOST, ("gateway",))


async def one_by_one(play: Play) -> None:
    for plan in play.plans:
        await play.connect(plan.name)
    await play.hold(3.0)


def test_two_sites_with_the_same_inside_address_and_a_client_in_the_open(runner: Runner, tmp_path: Path) -> None:
    places = {"c2": {"site": 2, "address": "10.0.0.2"}, "c3": {"site": 0, "address": "203.0.113.50"}}
    evidence = play(runner, Script("apart", "", 3, one_by_one, overrides=places), "demux", tmp_path / "apart")
    assert [step.detail["up"] for step in evidence.steps if step.name.startswith("connect")] == [True] * 3
    for name in ("c1", "c2", "c3"):
        kinds = [record.kind for record in evidence.records_of(name)]
        assert kinds.count(RecordKind.MARK_SENT) == kinds.count(RecordKind.MARK_ANSWERED) > 10
    last = evidence.gateway_views[-1]
    assert [sa.peer_address for sa in last.sas if sa.inbound] == ["203.0.113.232", "203.0.113.233", "203.0.113.50"]
    assert {facts.side for facts in evidence.captures} == {
        Side.INSIDE, Side.INSIDE_2, Side.OUTSIDE, Side.FAR_END, Side.TRANSLATED,
    }  # fmt: skip
    seen = [o for o in evidence.observations[Side.OUTSIDE] if o.src == "203.0.113.50"]
    assert {o.sport for o in seen if o.ike} == {500}  # no NAT, nothing floats
    assert {o.headers["protocol"] for o in seen if o.esp} == {50}


@pytest.mark.parametrize(
    ("scenario", "variant", "row"),
    [
        ("eviction", "plain", "DMX-03"),
        ("no-nat", "plain", "DMX-06"),
        ("demux-removed", "demux", "DMX-09"),
        ("return", "demux", "DMX-19"),
        ("floating-port", "demux", "DMX-26"),
        ("two-nats", "demux", "DMX-27"),
        ("mixed", "demux", "DMX-28"),
    ],
)
def test_a_row_of_its_own_scenario(scenario: str, variant: str, row: str, runner: Runner, tmp_path: Path) -> None:
    evidence = play(runner, scenario, variant, tmp_path / scenario)
    verdict = CHECKS[row](evidence)
    assert verdict.outcome is Outcome.PASS, verdict.because


async def comings_and_goings(play: Play) -> None:
    await churn(play, 1800.0, 1, Habits(stay_s=240.0, away_s=60.0, vanishing=0.4))


def test_half_an_hour_of_churn(runner: Runner, tmp_path: Path) -> None:
    """Most of those who vanish are told by the gateway, long after, that their SA has ended: that is no end of theirs."""
    script = Script(
        "coming-and-going", "", 8, comings_and_goings, gateway={"esp_lifetime_s": 200}, marks_per_s=0.1,
        captures="without-keepalives", overrun_s=3600.0,
    )  # fmt: skip
    evidence = play(runner, script, "demux", tmp_path / "churn")
    detail = evidence.step("churn").detail
    assert detail["joins"] > 30
    assert detail["vanishings"] > 5
    assert set(detail) == {"seconds", "seed", "joins", "leaves", "vanishings"}
    assert {facts.kept for facts in evidence.captures} == {"without-keepalives"}
    gone = [record.t for record in evidence.records if record.kind is RecordKind.ENDED and "vanished" in record.data["cause"]]
    deletes = [o.t for o in evidence.observations[Side.OUTSIDE] if o.src == "203.0.113.231" and o.ike and o.ike["deletes"]]
    assert any(30 < told - left < 200 for left in gone for told in deletes)
    for row in ("DMX-46", "DMX-76"):
        verdict = CHECKS[row](evidence)
        assert verdict.outcome is Outcome.PASS, f"{row}: {verdict.because}"


def test_a_nat_that_translates_nothing(runner: Runner, tmp_path: Path) -> None:
    evidence = play(runner, Script("routed", "", 2, one_by_one, nat="none"), "plain", tmp_path / "routed")
    assert {o.src for o in evidence.observations[Side.OUTSIDE]} == {"10.0.0.2", "10.0.0.3", "203.0.113.231"}
    esp = [o for o in evidence.observations[Side.OUTSIDE] if o.esp]
    assert esp
    assert all(o.headers["protocol"] == 50 for o in esp)
    kinds = [record.kind for record in evidence.records]
    assert kinds.count(RecordKind.MARK_SENT) == kinds.count(RecordKind.MARK_ANSWERED) > 20


async def renumbered(play: Play) -> None:
    await play.connect("c1")
    await play.hold(3.0)
    await play.nat_renumbers("203.0.113.240")
    await play.hold(6.0)


def test_a_nat_whose_address_changes(runner: Runner, tmp_path: Path) -> None:
    evidence = play(runner, Script("renumbered", "", 1, renumbered), "demux", tmp_path / "renumbered")
    moment = evidence.step("nat-renumbers").began
    before = {o.src for o in evidence.observations[Side.OUTSIDE] if o.t < moment} - {"203.0.113.231"}
    after = {o.src for o in evidence.observations[Side.OUTSIDE] if o.t > moment + 0.01} - {"203.0.113.231"}
    assert (before, after) == ({"203.0.113.232"}, {"203.0.113.240"})


async def rebooted(play: Play) -> None:
    await play.connect("c1")
    await play.hold(3.0)
    await play.nat_reboots()
    await play.hold(6.0)


def test_a_nat_that_reboots_gives_ports_anew(runner: Runner, tmp_path: Path) -> None:
    """The first port that it gives was IKE's on 500; after it what is used, on 4500, has it."""
    evidence = play(runner, Script("rebooted", "", 1, rebooted, nat="small-table"), "demux", tmp_path / "rebooted")
    moment = evidence.step("nat-reboots").began
    sent = [o for o in evidence.observations[Side.OUTSIDE] if o.dst == "203.0.113.231" and o.dport == 4500]
    (before,) = {o.sport for o in sent if o.t < moment}
    (after,) = {o.sport for o in sent if o.t > moment + 0.01}
    assert after == next(o.sport for o in evidence.observations[Side.OUTSIDE] if o.dport == 500) != before


async def killed(play: Play) -> None:
    await play.connect("c1")
    await play.gateway_killed()
    await play.hold(3.0)


def test_a_gateway_that_dies_is_a_result(runner: Runner, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    folder.mkdir()
    evidence = runner.play(Script("killed", "", 1, killed), "demux", folder=folder, time="virtual")
    assert any("switched off" in line for line in evidence.trouble)
    moment = evidence.step("gateway-killed").began
    assert not [o for o in evidence.observations[Side.OUTSIDE] if o.src == "203.0.113.231" and o.t > moment + 0.01]
    assert [o for o in evidence.observations[Side.OUTSIDE] if o.dst == "203.0.113.231" and o.t > moment + 1]


def test_two_sites_make_one_headline(runner: Runner, tmp_path: Path) -> None:
    """A client is known by its site and address: the namesake behind the other NAT is no reason to doubt the clocks."""
    evidence = play(runner, "two-nats", "demux", tmp_path / "two-nats")
    verdicts, head = sum_up(evidence)
    assert verdicts["survival"].outcome is Outcome.PASS, verdicts["survival"].because
    assert (head.tone, head.blame) == (Tone.SURVIVED, ())
    assert "both live, on ports 1024 and 1025" in head.sentence
