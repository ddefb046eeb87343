from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.report.finish import look, write_reports
from harness.report.result import Case, CaseOutcome, CaseResult
from harness.report.run import Run, State, archived, load, point_latest

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def result(name: str, outcome: CaseOutcome = CaseOutcome.PASSED) -> CaseResult:
    return CaseResult(Case(name, f"test_x.py::{name}"), outcome, "because", {"ports": [1024]}, (("outside", 7),), None, 1.0, 0.5)


def test_the_folder_is_named_by_the_utc_start_and_two_runs_never_share_one(tmp_path: Path) -> None:
    runs = [Run.create(tmp_path, now=NOW.astimezone()) for _ in range(20)]
    assert len({run.folder for run in runs}) == 20
    assert all(run.id.startswith("20260102T030405Z-") for run in runs)


def test_a_result_survives_the_round_trip(tmp_path: Path) -> None:
    run = Run.create(tmp_path, now=NOW, about={"testbeds": ["linux"]})
    whole = CaseResult(
        Case("DMX-07", "n", "title", "src", "S", "linux", "plain", "two", "wall", (("doc", "https://example.org"),)),
        CaseOutcome.RECORDED,
        "schön — \ud800",
        {"a": [1, {"b": None}]},
        (("inside", 1),),
        {"port": 1026},
        12.5,
        0.25,
        "trace",
    )
    run.add(whole)
    run.finish(State.FINISHED, now=NOW + timedelta(seconds=9))
    archive = load(run.folder)
    assert archive.results == (whole,)
    assert archive.state is State.FINISHED
    assert archive.duration_s == 9
    assert archive.about == {"testbeds": ["linux"]}


def test_a_run_that_goes_on_is_running_and_a_dead_one_was_killed(tmp_path: Path) -> None:
    program = (
        "import os, sys, signal\n"
        "from pathlib import Path\n"
        "from harness.report.run import Run\n"
        "from harness.report.result import *\n"
        f"run = Run.create(Path({str(tmp_path)!r}))\n"
        "run.plan([Case('A', 'x::a'), Case('B', 'x::b')])\n"
        "run.add(CaseResult(Case('A', 'x::a'), CaseOutcome.PASSED))\n"
        "print(run.folder, flush=True)\n"
        "sys.stdin.read()\n"
    )
    root = Path(__file__).resolve().parents[2]
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root)
    assert child.stdout is not None
    folder = Path(child.stdout.readline().strip())
    assert load(folder).state is State.RUNNING
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    archive = load(folder)
    assert archive.state is State.KILLED
    assert [r.case.id for r in archive.results] == ["A"]
    assert [case.id for case in archive.not_run] == ["B"]
    with (folder / "results.jsonl").open("a") as file:
        file.write('{"id": "B", "nod')
    assert load(folder).torn
    told, _ = write_reports(folder, allure=False)
    assert told.summary.not_run == 1
    assert "This run was killed before it could end" in (folder / "summary.html").read_text()
    assert os.readlink(tmp_path / "latest") == folder.name


def test_latest_is_switched_only_once_the_summary_is_written_and_never_back(tmp_path: Path) -> None:
    older = Run.create(tmp_path, now=NOW)
    newer = Run.create(tmp_path, now=NOW + timedelta(hours=1))
    newer.finish(State.FINISHED)
    assert not (tmp_path / "latest").exists()
    write_reports(newer.folder, allure=False)
    assert os.readlink(tmp_path / "latest") == newer.id
    older.finish(State.INTERRUPTED, why="Ctrl-C")
    write_reports(older.folder, allure=False)
    assert os.readlink(tmp_path / "latest") == newer.id
    assert archived(tmp_path) == (older.folder, newer.folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([older.id, newer.id, "latest"])


def test_a_link_to_a_run_that_was_deleted_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to("99991231T000000Z-gone")
    run = Run.create(tmp_path, now=NOW)
    point_latest(run.folder)
    assert os.readlink(tmp_path / "latest") == run.id


def test_a_folder_called_latest_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    run = Run.create(tmp_path, now=NOW)
    with pytest.raises(UsageError, match="should be a link"):
        point_latest(run.folder)


def test_what_is_not_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not the folder of a run"):
        load(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        Run.create(tmp_path / "file")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b"])
def test_a_scenario_cannot_leave_its_run(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        Run.create(tmp_path).scenario_folder(name)


def test_finishing_twice_changes_nothing(tmp_path: Path) -> None:
    run = Run.create(tmp_path, now=NOW)
    run.finish(State.INTERRUPTED, now=NOW, why="Ctrl-C")
    before = (run.folder / "run.json").read_bytes()
    run.finish(State.FINISHED)
    assert (run.folder / "run.json").read_bytes() == before


def test_looking_at_a_live_run_writes_nothing(tmp_path: Path) -> None:
    run = Run.create(tmp_path, now=NOW)
    run.plan([Case("A", "x::a")])
    files = sorted(path.name for path in run.folder.rglob("*"))
    told = look(run.folder)
    assert told.archive.state is State.RUNNING
    assert told.summary.skipped == ()
    assert sorted(path.name for path in run.folder.rglob("*")) == files
    assert json.loads((run.folder / "run.json").read_text())["state"] == "running"
