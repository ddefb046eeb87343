"""`natstorm prove` as a user calls it, on one test of the suites: the whole of them takes minutes a fault."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import cli
from harness.prove import commands, play
from harness.prove.account import CLEAN_RUNS
from harness.prove.mutants import Records
from harness.prove.worlds import Run

FAULT, SEES_IT = "nat-tos-set", "nat_traversal/test_mapping.py::test_nothing_else_changes"
SEES_A_ROUTER = "l2tp_security/test_protection.py::test_clear_request_is_ignored"


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this proof keeps what it played, with no mutant tried. Only one test of the suites is played."""
    monkeypatch.setattr(commands, "LEDGER", tmp_path / "ledger.jsonl")
    monkeypatch.setattr(commands, "Records", lambda: Records(tmp_path / "mutants.jsonl"))
    monkeypatch.setattr(play, "SUITES", play.SUITES / SEES_IT)
    return tmp_path


def prove(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any], str]:
    status = cli.main(["prove", "--json", "--jobs", "1", *words])
    said = capsys.readouterr()
    return status, json.loads(said.out), said.err


def test_a_fault_is_played_judged_and_kept(capsys: pytest.CaptureFixture[str], kept: Path) -> None:
    status, told, progress = prove(capsys, "--fault", FAULT)
    assert told == {
        "version": 1,
        "faults": 1,
        "killed": 1,
        "unnoticed": [],
        "mispredicted": [],
        "clean_runs": 1,
        "false_alarms": [],
        "mutants": 0,
        "mutants_survived": 0,
        "worlds": {"gateway": {"faults": 1, "killed": 1, "clean_runs": 1}},
        "blame": {
            "nat": {"nat": 1, "gateway": 0, "client": 0, "nobody": 0},
            "gateway": {"nat": 0, "gateway": 0, "client": 0, "nobody": 0},
            "client": {"nat": 0, "gateway": 0, "client": 0, "nobody": 0},
        },
        "gaps": ["some faults only: a proof takes them all"],
    }
    assert status == 1
    assert "2 runs to play, 0 are there already, 1 at once" in progress
    assert f"{FAULT}: NTT-16 (" in progress
    assert "clean, seed 1: all green" in progress
    assert len((kept / "ledger.jsonl").read_text().splitlines()) == 2

    again = prove(capsys, "--fault", FAULT)
    assert again[:2] == (status, told)
    assert "everything was played before" in again[2]


def test_suites_that_cannot_be_played_prove_nothing(
    capsys: pytest.CaptureFixture[str], kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(play, "SUITES", play.SUITES.with_name("test_that_is_not_there.py"))
    assert cli.main(["prove", "--fault", FAULT, "--clean", "0"]) == 3
    assert f"play the suites with {FAULT} broken" in capsys.readouterr().err
    assert not (kept / "ledger.jsonl").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fault=nat-tos"], "there is no fault nat-tos"),
        (["--jobs=0"], "--jobs takes a number from 1"),
        (["--clean=-1"], "--mutants one from 0"),
    ],
)
def test_mistakes(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["prove", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_whole_proof_says_first_that_it_wants_mutants(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_play_all", lambda wanted, *_rest: print(f"{len(wanted)} runs", file=sys.stderr))
    status, told, progress = prove(capsys)
    assert status == 1
    first, second, *_ = progress.splitlines()
    assert first.startswith("0 mutants were tried of this code, and a proof counts 100: ")
    assert first.endswith("prove --mutants 120")
    assert second == f"{2 * CLEAN_RUNS + told['faults']} runs"
    assert told["mispredicted"] == told["unnoticed"] == []


def test_one_world_alone_is_no_proof(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: list[Run] = []
    monkeypatch.setattr(commands, "_play_all", lambda runs, *_rest: wanted.extend(runs))
    status, told, _ = prove(capsys, "--world", "routers")
    assert status == 1
    assert {run.world for run in wanted} == {"routers"}
    assert len(wanted) == CLEAN_RUNS + told["faults"]
    assert "some faults only: a proof takes them all" in told["gaps"]
    assert cli.main(["prove", "--world", "routers", "--fault", FAULT]) == 2
    assert "none of these faults is of the world routers" in capsys.readouterr().err


def test_a_fault_of_a_router_is_played_by_scripts_for_routers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(play, "SUITES", commands.SUITES / SEES_A_ROUTER)
    status, told, progress = prove(capsys, "--fault", "clear-request-taken")
    assert status == 1
    assert "clear-request-taken: SEC-31 (" in progress
    assert "clean, seed 1, routers: all green" in progress
    assert told["worlds"] == {"routers": {"faults": 1, "killed": 1, "clean_runs": 1}}
    assert told["blame"]["gateway"] == {"nat": 0, "gateway": 0, "client": 0, "nobody": 0}
    assert told["false_alarms"] == []


def test_the_list_says_what_is_broken_and_predicted(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["prove", "--list"]) == 0
    told = f"{FAULT}  (nat)\n    The type of service is set to that of voice.\n    predicted red: NTT-16\n"
    assert told in capsys.readouterr().out
