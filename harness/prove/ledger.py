"""What has been played so far, a JSON line a run of the suites, so that a proof can be interrupted and goes on where it was.

A line counts for the code that it was played with: `fingerprint` is a digest of all that decides a run's outcome. What was played
with other code is kept in the file and passed over.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.errors import UsageError

GATEWAY = "gateway"
"""The world of a run that says nothing of it; what worlds there are is `worlds.py`'s."""

CLEAN = ""
"""The name of the fault of a run in which nothing is broken."""

DECIDING = ("harness", "suites", "testbeds")
"""Folders whose files decide what a run finds."""

_REPORT = (
    "allure_html", "allure_sink", "commands", "finish", "junit", "markup", "matrices", "outlet", "page", "screen", "sequence",
    "style", "summary", "svg", "terminal",
)  # fmt: skip
_PROVE = (
    "account.py", "explanations.yaml", "matrix.py", "mutants.py", "mutation.py", "predictions.py", "survivors.yaml", "trial.py",
    "unbroken.yaml",
)  # fmt: skip
PASSED_OVER = (
    *(f"harness/report/{module}.py" for module in _REPORT),
    *(f"harness/prove/{file}" for file in _PROVE),
    "harness/prove/predictions/",
)
"""Of these, what only tells of it: a report that is laid out anew makes no run worthless, nor does a prediction. By name, so that
what is new decides until somebody says that it does not: judge, blame and story belong to the report, and decide."""


@dataclass(frozen=True, slots=True)
class Played:
    """One run of the suites with one mechanism broken (`fault`), or none (CLEAN).

    `outcomes` maps a case, "DMX-07 [demux-pair]", to its outcome ("passed", "failed", "inconclusive", "recorded", "skipped");
    `blamed` a scenario, "demux-pair", to the boxes that its verdict blames. `undecided` are the scenarios whose headline does not
    say who survived. `took` is in seconds. `world` is where it was played.
    """

    fault: str
    seed: int
    fingerprint: str
    outcomes: Mapping[str, str]
    blamed: Mapping[str, tuple[str, ...]]
    took: float
    run: str = ""
    undecided: tuple[str, ...] = ()
    world: str = GATEWAY

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Ledger:
    """The file, and what of it counts for this code."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path = path
        self.fingerprint = fingerprint
        self.played: list[Played] = [one for one in _read(path) if one.fingerprint == fingerprint]

    def add(self, played: Played) -> None:
        """Keep one run: on disk before this returns."""
        append(self.path, played.to_json())
        self.played.append(played)

    def of(self, fault: str, seed: int, world: str = GATEWAY) -> Played | None:
        return next((one for one in self.played if (one.fault, one.seed, one.world) == (fault, seed, world)), None)

    @property
    def clean(self) -> tuple[Played, ...]:
        return tuple(one for one in self.played if one.fault == CLEAN)

    @property
    def broken(self) -> tuple[Played, ...]:
        """The runs with a fault, the latest of each."""
        return tuple({one.fault: one for one in self.played if one.fault != CLEAN}.values())


def fingerprint(root: Path, places: Iterable[str] = DECIDING) -> str:
    """A digest of these files, and of those in these folders, below `root`, save those PASSED_OVER: 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sorted(_deciding(root, places)):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _deciding(root: Path, places: Iterable[str]) -> Iterable[Path]:
    for place in places:
        for path in (root / place).rglob("*") if (root / place).is_dir() else (root / place,):
            name = path.relative_to(root).as_posix()
            over = any(name.startswith(one) if one.endswith("/") else name == one for one in PASSED_OVER)
            if path.suffix in (".py", ".yaml") and path.is_file() and not over:
                yield path


def whole_lines(path: Path) -> list[str]:
    """The lines of a file that only grows; none where there is no file. A last line without its end was torn by whoever killed its
    writer: it is cut off, or the next one would be written into it."""
    if not path.exists():
        return []
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    if end < len(data):
        os.truncate(path, end)
    return data[:end].decode("utf-8").split("\n")[:-1]


def append(path: Path, line: str) -> None:
    """On disk before this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def _read(path: Path) -> Iterable[Played]:
    """UsageError for a line that is no run."""
    for number, line in enumerate(whole_lines(path), 1):
        try:
            data = json.loads(line)
            data["blamed"] = {scenario: tuple(boxes) for scenario, boxes in data["blamed"].items()}
            data["undecided"] = tuple(data["undecided"])
            yield Played(**data)
        except (ValueError, TypeError, KeyError) as error:
            cure = "remove the line, or begin anew: natstorm prove --fresh"
            raise UsageError(f"not a run: {error}", file=str(path), line=number, cure=cure) from error
