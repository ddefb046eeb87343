"""What the report tells of one scenario: values made of JSON types only, kept in the scenario's folder as story.json.

The page and the Allure container are drawn from this and never from the evidence, so that a report can be drawn again from a
folder, and so that what they show is no more than what was kept.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from harness.report.run import write_whole

Cell = str | int | float | None


class Tone(StrEnum):
    LOST = "lost"  # somebody lost a session
    SURVIVED = "survived"
    UNTRUSTED = "untrusted"  # inconclusive: the evidence is bad
    UNDECIDED = "undecided"  # inconclusive: the evidence is sound, and survival cannot be judged by it
    PLAYED = "played"  # nothing was asked of survival: the rows alone judge it

    @property
    def open(self) -> bool:
        """Nothing is said of who survived."""
        return self in (Tone.UNTRUSTED, Tone.UNDECIDED)


@dataclass(frozen=True, slots=True)
class Kill:
    """Who took whose session. `killer` is "" where nobody can be named; `certain` where the captures prove it."""

    killer: str
    victims: tuple[str, ...]
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Headline:
    """The answer to "who lost their session, and which box is to blame?" in sentences and in parts.

    `blame` lists "gateway", "nat" or "client", empty where nobody is. `where` is the first deciding packet in words ("outside
    frame 143 (QM3)"), `t` its time in seconds since the epoch.
    """

    tone: Tone
    sentence: str
    kills: tuple[Kill, ...] = ()
    never_up: tuple[str, ...] = ()  # clients whose set-up did not complete
    ended: tuple[str, ...] = ()  # clients that the scenario itself ended, otherwise than by hanging up
    remark: str = ""  # what to know of this gateway: that a loss is expected of it, say
    blame: tuple[str, ...] = ()
    where: str = ""
    t: float | None = None

    @property
    def victims(self) -> tuple[str, ...]:
        return tuple(victim for kill in self.kills for victim in kill.victims)

    @property
    def killers(self) -> tuple[str, ...]:
        return tuple(kill.killer for kill in self.kills if kill.killer)


@dataclass(frozen=True, slots=True)
class Matrix:
    """A square or oblong table. `reading` says in a sentence how to read a row. `bad` and `good` list (row, column) numbers."""

    title: str
    reading: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]
    good: tuple[tuple[int, int], ...] = ()
    bad: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the sequence diagram: one packet, or all packets of one kind of one client between two deciding packets.

    `client` names the lane. `up` and `down` count packets towards the gateway and towards the client. `reach` says how far
    they were seen: "all" across both sides, "inside" only between client and NAT, "outside" only between NAT and gateway.
    `frames` are the first packet's numbers: inside, outside (0 where not seen).
    """

    t: float
    client: str
    label: str
    up: int
    down: int
    reach: str
    frames: tuple[int, int]
    deciding: bool = False
    wrong: bool = False


@dataclass(frozen=True, slots=True)
class StepLine:
    """One step or nested event, as a tree flattened: `depth` 0 is a step of the scenario itself."""

    depth: int
    name: str
    began: float
    ended: float
    problem: str = ""
    clients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileLink:
    """A file of the run, by its path relative to the run's folder. `bytes` is -1 where the file is missing."""

    title: str
    path: str
    bytes: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    scenario: str
    testbed: str
    variant: str
    began: float
    headline: Headline
    clients: tuple[str, ...]
    sentences: tuple[tuple[str, str, str], ...] = ()  # (subject, outcome, sentence) of each verdict
    trouble: tuple[str, ...] = ()
    matrices: tuple[Matrix, ...] = ()
    identity: tuple[tuple[str, ...], ...] = ()  # the first row is the heading
    sequence: tuple[Row, ...] = ()
    omitted: int = 0  # packets that the sequence leaves out
    steps: tuple[StepLine, ...] = ()
    files: tuple[FileLink, ...] = ()
    gateway: tuple[tuple[str, str], ...] = ()  # (title, text) of what the gateway said

    @property
    def name(self) -> str:
        return f"{self.variant}-{self.scenario}" if self.variant else self.scenario

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=True) + "\n"


def save(story: Story, folder: Path) -> None:
    write_whole(folder / "story.json", story.to_json())


def stories(run_folder: Path) -> tuple[Story, ...]:
    """All stories that the run has left so far, in the order in which the scenarios began."""
    found = [from_json(path.read_text(encoding="utf-8")) for path in run_folder.glob("scenarios/*/story.json")]
    return tuple(sorted(found, key=lambda story: (story.began, story.name)))


def from_json(content: str) -> Story:
    data: dict[str, Any] = _frozen(json.loads(content))
    headline = data.pop("headline")
    kills = tuple(Kill(**item) for item in headline.pop("kills"))
    return Story(
        headline=Headline(tone=Tone(headline.pop("tone")), kills=kills, **headline),
        matrices=tuple(Matrix(**item) for item in data.pop("matrices")),
        sequence=tuple(Row(**item) for item in data.pop("sequence")),
        steps=tuple(StepLine(**item) for item in data.pop("steps")),
        files=tuple(FileLink(**item) for item in data.pop("files")),
        **data,
    )


def _frozen(value: Any) -> Any:
    """JSON's lists as tuples, all the way down."""
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return value
