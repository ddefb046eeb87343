"""Whether any test notices a mutant: it is put into a copy of the project, and tests run there, the cheap ones first.

Nothing is ever written into the checkout. What runs too long, or dies, counts as noticed.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import LabError
from harness.prove.mutation import Mutant

COPIED = ("harness", "suites", "testbeds", "tests", "conftest.py", "pyproject.toml")
LINKED = ".cache"
"""What `natstorm setup` has unpacked: programs of others, which no mutant is of."""
PATIENCE, GRACE_S = 5.0, 20.0
"""A stage may take as many times what it took without a mutant, and so many seconds more: the machine may be busy."""

MEMORY = 8 << 30
"""Bytes of address space that a process of a trial may have: an endless loop that fills a list shall not take the machine down."""

TIME_OUT = "time-out"
_PASSED, _FAILED = 0, 1
_CULPRIT = re.compile(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Stage:
    """Some of the project's tests: a path, and pytest's options. `runs` says of a module (its file) whether they run any of it.

    What is `timed` runs on the machine's clock: a failure counts if the test that failed does so twice.
    """

    name: str
    path: str
    options: tuple[str, ...] = ()
    runs: Callable[[str], bool] = lambda file: True
    timed: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """`by` is the test that noticed (pytest's node ID), or "time-out: STAGE"; "" for a survivor. `took` is in seconds."""

    mutant: str
    by: str
    took: float

    @property
    def survived(self) -> bool:
        return not self.by


@dataclass(frozen=True, slots=True)
class _Outcome:
    status: int | None  # None: out of time
    said: str
    took: float

    @property
    def culprit(self) -> str:
        """The first test that failed; where none is named, what became of the whole."""
        found = _CULPRIT.search(self.said)
        return found.group(1) if found else f"status {self.status}"


class Copy:
    """A copy of the project in a temporary directory, with the stages' times without a mutant. To be closed."""

    def __init__(self, root: Path, folder: str, stages: Sequence[Stage]) -> None:
        """`folder` is the one that mutants are of, relative to `root`. LabError where a stage fails as it is."""
        self._scratch = tempfile.TemporaryDirectory(prefix="natstorm-mutants-")
        self.root = Path(self._scratch.name)
        self.folder = self.root / folder
        self.stages = tuple(stages)
        self.times: dict[str, float] = {}
        try:
            for name in COPIED:
                _copy(root / name, self.root / name)
            if (root / LINKED).exists():
                (self.root / LINKED).symlink_to((root / LINKED).resolve())
            for stage in stages:
                self.times[stage.name] = self._healthy(stage)
        except BaseException:
            self.close()
            raise
        # Python knows a compiled module by its source's second and size: a mutant of the same would not be read.
        for compiled in list(self.folder.rglob("__pycache__")):
            shutil.rmtree(compiled)

    def _healthy(self, stage: Stage) -> float:
        outcome = self._run(stage)
        if outcome.status != _PASSED:
            said = "\n".join(outcome.said.strip().splitlines()[-15:])
            raise LabError(f"run {stage.name} on a copy without a mutant", said or f"status {outcome.status}")
        return outcome.took

    def try_out(self, mutant: Mutant, *, suspect: str = "") -> Trial:
        """`suspect` is the test that noticed this mutant before: it is asked first."""
        began = time.monotonic()
        path = self.folder / mutant.file
        original = path.read_bytes()
        path.write_text(mutant.source, encoding="utf-8")
        try:
            by = self._noticed(mutant, suspect)
        finally:
            path.write_bytes(original)
        return Trial(mutant.name, by, round(time.monotonic() - began, 2))

    def _noticed(self, mutant: Mutant, suspect: str) -> str:
        for stage in self.stages:
            # It may be gone, or be called otherwise now: only a failure says anything.
            if suspect.startswith(stage.path) and self._run(stage, suspect).status == _FAILED:
                return suspect
        for stage in self.stages:
            if not stage.runs(mutant.file):
                continue
            outcome = self._run(stage)
            if outcome.status is None:
                return f"{TIME_OUT}: {stage.name}"
            if outcome.status != _PASSED and not (stage.timed and self._run(stage, outcome.culprit).status == _PASSED):
                return outcome.culprit
        return ""

    def _run(self, stage: Stage, only: str = "") -> _Outcome:
        """The stage, or only that test of it. Without a limit, and leaving compiled modules, until its usual time is known."""
        usual = self.times.get(stage.name)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        environment |= {"PYTHONPATH": str(self.root), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        if usual is not None:
            environment["PYTHONDONTWRITEBYTECODE"] = "1"
        command = [sys.executable, "-m", "pytest", only or stage.path, *stage.options, "-x", "-q", "--tb=no", "-rfE"]
        command += ["-p", "no:cacheprovider", f"--rootdir={self.root}", "--no-html", f"--reports={self.root / 'reports'}"]
        began = time.monotonic()
        process = subprocess.Popen(
            command, cwd=self.root, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True, text=True, errors="replace",
        )  # fmt: skip
        resource.prlimit(process.pid, resource.RLIMIT_AS, (MEMORY, MEMORY))
        try:
            said, _ = process.communicate(timeout=None if usual is None else PATIENCE * usual + GRACE_S)
        except subprocess.TimeoutExpired:
            return _Outcome(None, "", time.monotonic() - began)
        finally:
            _end(process)
            shutil.rmtree(self.root / "reports", ignore_errors=True)
        return _Outcome(process.returncode, said, time.monotonic() - began)

    def close(self) -> None:
        self._scratch.cleanup()


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    elif source.exists():
        shutil.copy2(source, target)


def _end(process: subprocess.Popen[str]) -> None:
    """The process and whatever it started in its session: a leader that is dead may have left others behind."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
