"""What a scenario's headline says: whom it blames, and that what is not to be trusted blames nobody."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness.model import Evidence, Outcome
from harness.model.steps import StepBus
from harness.report.story import Tone
from harness.scenario.outcome import sum_up
from harness.scenario.runner import Runner
from harness.testbed.load import check

TESTBED = Path(__file__).resolve().parents[2] / "testbeds" / "virtual.yaml"


def pair(folder: Path, variant: str, fault: str | None = None) -> Evidence:
    with Runner(check(TESTBED), folder, StepBus(time.time), fault=fault) as runner:
        return runner.play("pair", variant, folder=folder / "pair", time="virtual")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return pair(tmp_path_factory.mktemp("plain"), "plain")


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """A gateway that says nothing of the NAT, so that both clients ask for what it refuses."""
    return pair(tmp_path_factory.mktemp("refused"), "demux", "no-nat-d")


def stepped(evidence: Evidence) -> Evidence:
    """The same, but that the clients' clock is a second off the captures'."""
    return replace(evidence, records=tuple(replace(record, t=record.t + 1.0) for record in evidence.records))


def test_a_loss_is_blamed_on_the_gateway_unless_the_evidence_is_not_to_be_trusted(plain: Evidence) -> None:
    _, head = sum_up(plain)
    assert (head.tone, head.blame, head.victims) == (Tone.LOST, ("gateway",), ("c1",))
    verdicts, head = sum_up(stepped(plain))
    assert verdicts["survival"].outcome is Outcome.INCONCLUSIVE
    assert (head.tone, head.blame, head.kills, head.never_up) == (Tone.UNTRUSTED, (), (), ())
    assert "To blame" not in head.sentence


def test_that_nobody_came_up_can_be_said_without_any_traffic(refused: Evidence) -> None:
    verdicts, head = sum_up(refused)
    assert verdicts["survival"].outcome is Outcome.FAIL
    assert (head.tone, head.blame, head.never_up) == (Tone.LOST, ("gateway",), ("c1", "c2"))
    stopped = "client 1 (quick mode did not complete), client 2 (quick mode did not complete)"
    assert head.sentence == f"With the demux gateway, nobody came up: {stopped}."


def test_unless_the_captures_are_not_whole(refused: Evidence) -> None:
    lossy = replace(refused, captures=tuple(replace(facts, dropped=1) for facts in refused.captures))
    for doubtful in (lossy, stepped(refused)):
        verdicts, head = sum_up(doubtful)
        assert verdicts["survival"].outcome is Outcome.INCONCLUSIVE
        assert (head.tone, head.blame, head.never_up) == (Tone.UNTRUSTED, (), ())


def test_who_left_unasked_leaves_survival_open_and_the_one_to_blame_known(tmp_path: Path) -> None:
    """The gateway refuses every rekey, and both clients give up: their survival cannot be judged, the captures are sound."""
    with Runner(check(TESTBED), tmp_path, StepBus(time.time), fault="rekey-refused") as runner:
        evidence = runner.play("rekey", "demux", folder=tmp_path / "rekey", time="virtual")
    verdicts, head = sum_up(evidence)
    assert verdicts["survival"].outcome is Outcome.INCONCLUSIVE
    assert (head.tone, head.blame) == (Tone.UNDECIDED, ("gateway",))
    assert head.sentence.startswith("c1 ended its own connection unasked, so its survival cannot be judged")
    assert "client 1 ended its own session unasked" in head.sentence
    assert "live" not in head.sentence
    lossy = replace(evidence, captures=tuple(replace(facts, dropped=1) for facts in evidence.captures))
    _, head = sum_up(lossy)
    assert (head.tone, head.blame) == (Tone.UNTRUSTED, ())


ELSEWHERE = [("mixed", "demux"), ("two-nats", "demux"), ("no-nat", "plain"), ("no-natt", "demux"), ("clear", "clear")]
ELSEWHERE += [("churn", "demux")]


@pytest.mark.parametrize(("scenario", "variant"), ELSEWHERE)
def test_clients_of_an_unusual_lab_that_all_live_are_said_to_live(scenario: str, variant: str, tmp_path: Path) -> None:
    with Runner(check(TESTBED), tmp_path, StepBus(time.time)) as runner:
        evidence = runner.play(scenario, variant, folder=tmp_path / scenario, time="virtual", clear_expected=variant == "clear")
    verdicts, head = sum_up(evidence)
    assert {subject: verdict.outcome for subject, verdict in verdicts.items()} == dict.fromkeys(verdicts, Outcome.PASS)
    assert (head.tone, head.blame) == (Tone.SURVIVED, ())
