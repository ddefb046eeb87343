"""The same clients and the same sound gateway behind every NAT that there is: whoever loses a session by it is told of, and nobody
but the NAT is blamed; and a NAT that is merely another one is no reason for an alarm."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.model import Evidence, Outcome
from harness.model.steps import StepBus
from harness.report.story import Tone
from harness.scenario.outcome import sum_up
from harness.scenario.runner import Runner
from harness.scenario.scripts import script
from harness.testbed.load import check
from harness.verdict.checks import CHECKS

TESTBED = Path(__file__).resolve().parents[2] / "testbeds" / "virtual.yaml"
SOUND = ("endpoint-independent", "full-cone", "overloading", "masquerade-511", "slow", "narrow", "preserving", "symmetric")


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with Runner(check(TESTBED), tmp_path_factory.mktemp("scratch"), StepBus(time.time)) as one:
        yield one


def play(runner: Runner, scenario: str, nat: str | None, folder: Path, variant: str = "demux") -> Evidence:
    evidence = runner.play(replace(script(scenario), nat=nat), variant, folder=folder, time="virtual")
    assert evidence.trouble == ()
    return evidence


def failed(evidence: Evidence) -> set[str]:
    return {row for row, one in CHECKS.items() if one(evidence).outcome is Outcome.FAIL}


@pytest.fixture(scope="module")
def behind_pat(runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What fails behind the testbed's own NAT: controls that are to fail, and rows of another scenario."""
    return failed(play(runner, "together", None, tmp_path_factory.mktemp("pat")))


@pytest.mark.parametrize("nat", SOUND)
def test_a_sound_nat_of_another_kind_is_no_reason_for_an_alarm(
    nat: str, runner: Runner, tmp_path: Path, behind_pat: set[str]
) -> None:
    evidence = play(runner, "together", nat, tmp_path)
    _, head = sum_up(evidence)
    assert (head.tone, head.blame, head.never_up) == (Tone.SURVIVED, (), ())
    assert failed(evidence) - behind_pat == set()


@pytest.mark.parametrize(
    ("scenario", "nat", "never_up"),
    [
        ("pair", "lossy", ()),
        ("pair", "corrupting", ()),
        ("pair", "single-client-first", ("c2",)),
        ("together", "small-table", ("c3", "c4", "c5", "c6")),
    ],
)
def test_what_a_nat_costs_its_clients_is_the_nats_fault(
    scenario: str, nat: str, never_up: tuple[str, ...], runner: Runner, tmp_path: Path
) -> None:
    evidence = play(runner, scenario, nat, tmp_path)
    _, head = sum_up(evidence)
    assert (head.tone, head.blame, head.never_up) == (Tone.LOST, ("nat",), never_up)
    assert CHECKS["DMX-07"](evidence).outcome is Outcome.FAIL


def test_a_long_line_hides_no_loss_that_is_the_gateways(runner: Runner, tmp_path: Path) -> None:
    _, head = sum_up(play(runner, "pair", "slow", tmp_path, variant="plain"))
    assert (head.tone, head.blame) == (Tone.LOST, ("gateway",))
    assert [(kill.killer, kill.victims) for kill in head.kills] == [("c2", ("c1",))]
