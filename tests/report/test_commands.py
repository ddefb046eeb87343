from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.report.commands import add_commands, chosen
from harness.report.result import Case, CaseOutcome, CaseResult
from harness.report.run import Run, State


def natstorm(*words: str) -> int:
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers(required=True))
    arguments = parser.parse_args(words)
    status: int = arguments.run(arguments)
    return status


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("PATH", str(tmp_path))  # no Node: the page of our own is enough here
    made = Run.create(tmp_path / "reports")
    made.add(CaseResult(Case("DMX-07", "x::a"), CaseOutcome.FAILED, "c1 is dead"))
    made.finish(State.INTERRUPTED, why="Ctrl-C")
    return made


def test_a_run_is_told_again_by_name_by_path_and_as_the_newest(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    root = str(run.folder.parent)
    for words in ((), (run.id,), (str(run.folder),), ("latest",)):
        assert natstorm("report", "--reports", root, *words) == 1
        lines = capsys.readouterr().out.splitlines()
        assert lines[-1].endswith("/summary.html")
        assert "this run is interrupted (Ctrl-C)" in lines
        assert "FAILED DMX-07: c1 is dead" in lines
    assert (run.folder / "summary.json").is_file()


def test_json_is_the_summary_alone(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    natstorm("report", "--reports", str(run.folder.parent), "--json")
    assert json.loads(capsys.readouterr().out)["failed"] == 1


def test_no_run_and_a_wrong_name_are_mistakes_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no run yet"):
        chosen(tmp_path, None)
    with pytest.raises(UsageError, match="not the folder of a run"):
        natstorm("report", "--reports", str(tmp_path), "nonsense")


def test_a_live_run_is_looked_at_and_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    live = Run.create(tmp_path)
    assert natstorm("report", "--reports", str(tmp_path)) == 2
    assert "this run is running" in capsys.readouterr().out
    assert not (live.folder / "summary.json").exists()
