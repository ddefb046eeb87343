"""Storms, in virtual time: what the scenario leaves behind, what the verdict says of it, and the search for a rate."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness import cli
from harness.model import Evidence, Outcome, RecordKind
from harness.model.steps import StepBus, StepChange, StepEvent
from harness.scenario.play import Play
from harness.scenario.runner import Runner
from harness.scenario.script import Script
from harness.scenario.storms import Storm, climb, storm
from harness.storm.ramp import Outcome as Step
from harness.storm.ramp import Tried, found
from harness.storm.shape import Kind, Shape
from harness.testbed import check
from harness.verdict.checks import CHECKS

TESTBED = Path(__file__).resolve().parents[2] / "testbeds" / "virtual.yaml"
FIFTY = 50


def played(
    folder: Path, clients: int, shape: Shape, variant: str = "demux", hold_s: float = 12.0
) -> tuple[Evidence, Storm, list[StepEvent]]:
    stormed: list[Storm] = []

    async def arrive(play: Play) -> None:
        stormed.append(await storm(play, shape, hold_s))

    bus, events = StepBus(time.time), list[StepEvent]()
    bus.subscribe(events.append)
    script = Script("storm", str(shape), clients, arrive, marks_per_s=0.5)
    with Runner(check(TESTBED), folder, bus) as runner:
        return runner.play(script, variant, folder=folder / "storm", time="virtual"), stormed[0], events


@pytest.fixture(scope="module")
def fifty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evidence, Storm, list[StepEvent]]:
    return played(tmp_path_factory.mktemp("fifty"), FIFTY, Shape(Kind.POISSON, rate=15))


def test_fifty_clients_arrive_by_chance_and_all_survive(fifty: tuple[Evidence, Storm, list[StepEvent]]) -> None:
    evidence, told, _ = fifty
    assert (told.measured.arrivals, told.measured.up, told.alive, told.measured.lost) == (FIFTY, FIFTY, FIFTY, ())
    verdict = CHECKS["DMX-75"](evidence)
    assert verdict.outcome is Outcome.PASS, verdict.because
    assert verdict.facts["survival"] == 1.0


def test_the_step_says_what_the_verdict_wants_to_know(fifty: tuple[Evidence, Storm, list[StepEvent]]) -> None:
    evidence, _, _ = fifty
    step = next(step for step in evidence.steps if step.name == "storm")
    assert {key: step.detail[key] for key in ("arrivals", "rate", "up", "failed", "late")} == {
        "arrivals": FIFTY,
        "rate": 15,
        "up": FIFTY,
        "failed": {},
        "late": 0,
    }


def test_every_client_has_its_step_and_none_is_told_of_alone(fifty: tuple[Evidence, Storm, list[StepEvent]]) -> None:
    evidence, _, events = fifty
    assert {step.name for step in evidence.steps} >= {f"connect:c{number}" for number in range(1, FIFTY + 1)}
    assert not any(event.name.startswith("connect") for event in events)
    assert any(event.change is StepChange.NOTED and "on their way" in event.name for event in events)


def test_the_clients_come_when_the_plan_says(fifty: tuple[Evidence, Storm, list[StepEvent]]) -> None:
    evidence, told, _ = fifty
    began = [record.t for record in evidence.records if record.kind is RecordKind.STARTED]
    planned = Shape(Kind.POISSON, rate=15).times(FIFTY)
    assert [at - began[0] for at in began] == pytest.approx([at - planned[0] for at in planned], abs=1e-3)
    assert told.driven.worst_s == pytest.approx(0.0, abs=1e-6)


def test_a_gateway_that_takes_all_for_one_loses_the_established(tmp_path: Path) -> None:
    evidence, told, _ = played(tmp_path, 6, Shape(rate=2), variant="plain")
    verdict = CHECKS["DMX-75"](evidence)
    assert verdict.outcome is Outcome.FAIL, verdict.because
    assert told.alive < told.measured.up


def test_a_burst_comes_in_one_moment(tmp_path: Path) -> None:
    evidence, told, _ = played(tmp_path, 10, Shape(Kind.BURST), hold_s=8.0)
    began = [record.t for record in evidence.records if record.kind is RecordKind.STARTED]
    assert max(began) - min(began) < 1e-3
    assert told.measured.up == 10
    assert CHECKS["DMX-75"](evidence).outcome is Outcome.PASS


def test_a_gateway_that_is_quick_without_end_is_climbed_to_the_top(tmp_path: Path) -> None:
    steps: list[Tried] = []

    async def search(play: Play) -> None:
        await climb(play, 10.0, 30.0, steps.append)

    script = Script("ramp", "the highest rate", 30, search, marks_per_s=0.5, overrun_s=1800)
    with Runner(check(TESTBED), tmp_path, StepBus(time.time)) as runner:
        gathered = runner.rehearse(script, "demux", folder=tmp_path / "ramp", time="virtual")
    assert [(one.rate, one.outcome) for one in steps] == [(10.0, Step.SUSTAINED), (20.0, Step.SUSTAINED), (30.0, Step.SUSTAINED)]
    assert found(tuple(steps)).limit is None
    assert gathered.trouble == []
    assert sum(record.kind is RecordKind.STARTED for record in gathered.records) == 90
    assert all(record.data["by"] == "client" for record in gathered.records if record.kind is RecordKind.ENDED)


def test_a_gateway_that_takes_all_for_one_sustains_no_rate(tmp_path: Path) -> None:
    steps: list[Tried] = []

    async def search(play: Play) -> None:
        await climb(play, 2.0, 2.0, steps.append)

    script = Script("ramp", "the highest rate", 4, search, marks_per_s=0.5, overrun_s=3600)
    with Runner(check(TESTBED), tmp_path, StepBus(time.time)) as runner:
        runner.rehearse(script, "plain", folder=tmp_path / "ramp", time="virtual")
    assert {one.outcome for one in steps} == {Step.OVERLOADED}
    assert "are not alive" in steps[0].because
    assert found(tuple(steps)).rate is None


# The command


def natstorm(*words: str) -> int:
    return cli.main(["storm", *words])


def test_the_command_plays_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, kept = tmp_path / "storm.json", tmp_path / "kept"
    words = ["--clients=6", "--rate=4", "--hold=8", "--time=virtual", f"--json={out}", f"--keep={kept}"]
    assert natstorm(*words) == 0
    printed = capsys.readouterr().out
    assert "6 arrived, 6 came up; 0 were lost, 6 are alive at the end" in printed
    assert "PASS: 6 of 6 came up and all survived" in printed
    told: dict[str, Any] = json.loads(out.read_text())
    assert [told[key] for key in ("version", "testbed", "variant", "time", "clients")] == [1, "virtual", "demux", "virtual", 6]
    assert [told[key] for key in ("shape", "rate", "arrivals", "up", "alive", "outcome")] == ["steady", 4.0, 6, 6, 6, "pass"]
    assert told["survival"] == 1.0
    assert (kept / "inside.pcap").exists()


def test_a_loss_is_status_1(tmp_path: Path) -> None:
    assert natstorm("--clients=4", "--rate=1", "--hold=12", "--time=virtual", "--variant=plain") == 1


def test_a_client_that_never_came_up_is_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    testbed, out = tmp_path / "crowded.yaml", tmp_path / "storm.json"
    line = "      outside_ports: 1024-65535\n"
    text = TESTBED.read_text()
    assert line in text
    testbed.write_text(text.replace(line, "      personality: small-table\n"))
    words = ["--clients=10", "--rate=5", "--hold=12", "--time=virtual", f"--testbed={testbed}", f"--json={out}"]
    assert natstorm(*words) == 1
    told = json.loads(out.read_text())
    assert 2 <= told["up"] < 10
    assert told["lost"] == []  # so that the behaviour itself has nothing to say
    assert told["outcome"] == "fail"
    said = f"{10 - told['up']} of 10 clients did not come up; {told['up']} of 10 came up and all survived"
    assert told["because"].startswith(said)
    assert f"FAIL: {said}" in capsys.readouterr().out


def test_a_client_that_is_up_and_not_alive_falls_short(fifty: tuple[Evidence, Storm, list[StepEvent]]) -> None:
    _, told, _ = fifty
    assert told.shortfall(FIFTY) == ""
    assert replace(told, alive=FIFTY - 1).shortfall(FIFTY) == f"1 of {FIFTY} clients were not alive at the end"


def test_the_ramp_is_told_and_the_storm_is_played_at_its_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "storm.json"
    assert natstorm("--clients=12", "--ramp", "--rate=6", "--hold=8", "--time=virtual", f"--json={out}") == 0
    told = json.loads(out.read_text())
    assert [step["rate"] for step in told["ramp"]["steps"]] == [6.0, 12.0]
    assert (told["ramp"]["rate"], told["ramp"]["limit"], told["rate"]) == (12.0, None, 12.0)
    assert "sustained: 12.0 a second, and more was not asked for" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--clients=0"], "0 clients: it takes 2 at least, and there are prefix"),
        (["--clients=1"], "cure: --clients 2 to 1000"),
        (["--clients=1001"], "virtual.yaml: 1001 clients"),
        (["--clients=5", "--rate=0"], "a rate of 0 arrivals a second is not possible"),
        (["--clients=5", "--variant=plan"], "cure: one of demux, plain"),
        (["--clients=5", "--hold=-1"], "--hold -1 is not possible"),
        (["--clients=5", "--marks=0"], "--marks 0 is not possible"),
        (["--clients=5", "--hold=7"], "cure: --hold 8 or longer"),
        (["--clients=5", "--hold=4", "--marks=1"], "cure: --hold 5 or longer"),
        (["--clients=5", "--shape=burst", "--ramp"], "a burst has no rate"),
        (["--clients=5", "--shape=burst", "--rate=3"], "a burst has no rate"),
        (["--clients=5", "--json=/nowhere/at/all.json"], "cure: mkdir -p /nowhere/at"),
        (["--clients=5", f"--json={TESTBED.parent}"], "this is a folder, and --json takes a file"),
        (["--clients=5", f"--keep={TESTBED}"], "this is a file, and --keep takes a folder"),
        (["--clients=5", "--rate=1e-9"], "5 clients would take 4e+09 s to arrive"),
        (["--clients=5", "--rate=1e-9", "--ramp"], "5 clients would take 4e+09 s to arrive"),
        (["--clients=5", "--testbed=testbeds/none.yaml"], "testbeds/none.yaml"),
        (["--clients=5", "--time=virtual", f"--testbed={TESTBED.with_name('linux.yaml')}"], "a clock of its own"),
    ],
)
def test_mistakes_are_status_2_and_say_the_cure(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert natstorm(*words) == 2
    assert said in capsys.readouterr().err
