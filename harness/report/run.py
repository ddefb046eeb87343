"""The archive: one folder a run, written as the run goes, so that a crash loses nothing that was known.

    reports/
      latest -> 20260102T030405Z-1a2b     switched when a run has been finished or interrupted
      20260102T030405Z-1a2b/
        run.json        state, start, end, what was asked for
        planned.jsonl   the cases that were selected, one a line
        results.jsonl   one finished case a line, flushed as it happens
        scenarios/      one folder a scenario
        junit.xml summary.json summary.html report.html allure-results/

A live run holds a lock on its folder. A folder whose run.json says "running" and whose lock is free belongs to a run that was
killed: nothing has to be written at the moment of death, and process numbers (which differ between namespaces) are not needed.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.report.result import Case, CaseOutcome, CaseResult, read_results

LATEST = "latest"


class State(StrEnum):
    RUNNING = "running"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"  # Ctrl-C or an error of pytest's own: finished in order, but not all of it ran
    KILLED = "killed"  # never written: read from a free lock


class Run:
    """The run in progress. Single writer; create() makes the folder, finish() closes it."""

    def __init__(self, folder: Path, began: datetime, about: Mapping[str, Any], lock: int) -> None:
        self.folder = folder
        self.began = began
        self.about = dict(about)
        self.results: list[CaseResult] = []
        self.state = State.RUNNING
        self._lock: int | None = lock
        self._lines = (folder / "results.jsonl").open("a", encoding="utf-8")

    @classmethod
    def create(cls, root: Path, *, now: datetime | None = None, about: Mapping[str, Any] | None = None) -> Run:
        """Make reports/<UTC start>-<suffix>/ below `root`. `about` (JSON types) is kept in run.json: command line, testbeds …

        UsageError where the folder cannot be made.
        """
        began = (now or datetime.now(UTC)).astimezone(UTC)
        folder = _make_folder(root.resolve(), began)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX)
        run = cls(folder, began, about or {}, lock)
        run._write_state(None, "")
        return run

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def allure_results(self) -> Path:
        return self.folder / "allure-results"

    @property
    def junit(self) -> Path:
        return self.folder / "junit.xml"

    def scenario_folder(self, name: str) -> Path:
        """reports/<run>/scenarios/<name>/, made if need be. `name` is "<variant>-<scenario>"."""
        if not name or name in (".", "..") or "/" in name or "\0" in name:
            raise UsageError(f"a scenario cannot be called {name!r}: it names a folder")
        folder = self.folder / "scenarios" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def plan(self, cases: Iterable[Case]) -> None:
        """What was selected, so that what did not come to run can be named even after a kill."""
        lines = "".join(CaseResult(case, CaseOutcome.SKIPPED).to_json() + "\n" for case in cases)
        write_whole(self.folder / "planned.jsonl", lines)

    def add(self, result: CaseResult) -> None:
        """Keep one result: on disk before this returns."""
        self.results.append(result)
        self._lines.write(result.to_json() + "\n")
        self._lines.flush()

    def finish(self, state: State, *, now: datetime | None = None, why: str = "") -> None:
        """Write the end into run.json and let go of the lock. A second call changes nothing."""
        if self._lock is None:
            return
        self.state = state
        self._write_state((now or datetime.now(UTC)).astimezone(UTC), why)
        self._lines.close()
        os.close(self._lock)
        self._lock = None

    def discard(self) -> None:
        """The run was none: nothing of it stays."""
        if self._lock is None:
            return
        self._lines.close()
        shutil.rmtree(self.folder)
        os.close(self._lock)
        self._lock = None

    def _write_state(self, ended: datetime | None, why: str) -> None:
        content = {
            "run": self.id,
            "state": self.state.value,
            "began": self.began.isoformat(),
            "ended": None if ended is None else ended.isoformat(),
            "why": why,
            "about": self.about,
        }
        write_whole(self.folder / "run.json", json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")


@dataclass(frozen=True, slots=True)
class Archive:
    """A run as its folder tells it, whoever wrote it and however it ended.

    `torn` is true where the last result was being written when the run was killed. `not_run` are cases that were selected
    and have no result.
    """

    folder: Path
    state: State
    began: datetime
    ended: datetime | None
    why: str
    about: Mapping[str, Any]
    results: tuple[CaseResult, ...]
    not_run: tuple[Case, ...]
    torn: bool

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def duration_s(self) -> float:
        """To its end, or for a killed run to the end of its last result; seconds."""
        if self.ended is not None:
            return max(0.0, (self.ended - self.began).total_seconds())
        last = max((r.started + r.duration_s for r in self.results), default=self.began.timestamp())
        return max(0.0, last - self.began.timestamp())


def load(folder: Path) -> Archive:
    """Read a run's folder, which may be named by way of `latest`. UsageError where it is none."""
    folder = folder.resolve()
    try:
        content = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise UsageError(f"not the folder of a run: {error}", file=str(folder), cure="name a folder below reports/") from error
    state = State(content["state"])
    if state is State.RUNNING and _lock_is_free(folder):
        state = State.KILLED
    results, torn = read_results(folder / "results.jsonl")
    planned, _ = read_results(folder / "planned.jsonl")
    done = {r.case.nodeid for r in results}
    return Archive(
        folder=folder,
        state=state,
        began=datetime.fromisoformat(content["began"]),
        ended=None if content["ended"] is None else datetime.fromisoformat(content["ended"]),
        why=content["why"],
        about=content["about"],
        results=results,
        not_run=tuple(p.case for p in planned if p.case.nodeid not in done),
        torn=torn,
    )


def archived(root: Path) -> tuple[Path, ...]:
    """The folders of all runs below `root`, oldest first."""
    return tuple(sorted(path.parent for path in root.glob("*/run.json") if not path.parent.is_symlink()))


def point_latest(folder: Path) -> None:
    """Make `latest` beside `folder` point at it, in one step, unless it already points at a run that began later."""
    folder = folder.resolve()
    link = folder.parent / LATEST
    if link.is_dir() and not link.is_symlink():
        raise UsageError("should be a link to the newest run and is a folder", file=str(link), cure=f"move {link} away")
    guard = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if link.exists() and os.readlink(link) > folder.name:
            return
        fresh = folder.parent / f".{LATEST}-{folder.name}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(folder.name)
        os.replace(fresh, link)
    finally:
        os.close(guard)


def write_whole(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Replace a file in one step: a reader sees the old content or the new, never a part."""
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    os.replace(fresh, path)


def _make_folder(root: Path, began: datetime) -> Path:
    stamp = began.strftime("%Y%m%dT%H%M%SZ")
    try:
        root.mkdir(parents=True, exist_ok=True)
        while True:
            folder = root / f"{stamp}-{secrets.token_hex(2)}"
            try:
                folder.mkdir()
            except FileExistsError:
                continue  # another run of this very second drew the same suffix
            (folder / "scenarios").mkdir()
            (folder / "allure-results").mkdir()
            return folder
    except OSError as error:
        raise UsageError(f"the report cannot be written: {error}", file=str(root), cure="make the folder writable") from error


def _lock_is_free(folder: Path) -> bool:
    probe = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(probe)
    return True
