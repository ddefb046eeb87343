"""What the clients' own account of a storm amounts to, in numbers: pure, from records."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.model import Record, RecordKind, Stage

PERCENTILES = (50, 90, 99, 100)
STAGES = tuple(stage.value for stage in Stage if stage is not Stage.UP)
TOTAL = "all of it"
"""From the first datagram until the client is up."""

OWN = ("client", "run")
"""Whose ending of a connection takes nothing from its survival: its own, and the run's."""


@dataclass(frozen=True, slots=True)
class Second:
    """What happened in the second that begins `at` seconds after the first arrival; `established` is how many are, at its end."""

    at: int
    arrivals: int
    up: int
    failed: int
    lost: int
    left: int
    established: int


@dataclass(frozen=True, slots=True)
class Measured:
    """`failed` counts set-ups that came to nothing, by the stage that did not complete, `waiting` those that were not decided by
    the end. `lost` names the clients whose established connection ended, and neither they nor the run had ended it. `took_s` holds
    the percentiles of each stage's duration in seconds, over those who completed it."""

    arrivals: int
    up: int
    waiting: int
    failed: Mapping[str, int]
    lost: tuple[str, ...]
    took_s: Mapping[str, Mapping[int, float]]
    seconds: tuple[Second, ...]

    @property
    def survival(self) -> float | None:
        """The share of established connections that were not lost; None where there was none."""
        return 1.0 - len(self.lost) / self.up if self.up else None

    @property
    def slowest_s(self) -> float | None:
        """The longest that a set-up took which came up."""
        return self.took_s[TOTAL][100] if TOTAL in self.took_s else None

    def to_dict(self) -> dict[str, Any]:
        percentiles = {
            stage: {"max" if of == 100 else f"p{of}": round(value, 6) for of, value in found.items()}
            for stage, found in self.took_s.items()
        }
        return {
            "arrivals": self.arrivals,
            "up": self.up,
            "waiting": self.waiting,
            "failed": dict(self.failed),
            "lost": list(self.lost),
            "survival": self.survival,
            "took_s": percentiles,
            "seconds": [asdict(second) for second in self.seconds],
        }


def measure(records: Iterable[Record]) -> Measured:
    """Of a storm's records, in the order in which they were made."""
    arrived: list[float] = []
    state: dict[str, bool] = {}  # of connections that have not ended: whether they are established
    failed: Counter[str] = Counter()
    lost: list[str] = []
    took: dict[str, list[float]] = {}
    counts: dict[str, Counter[int]] = {name: Counter() for name in ("arrivals", "up", "failed", "lost", "left")}

    def count(what: str, t: float) -> None:
        counts[what][int(t - arrived[0])] += 1

    for record in records:
        t, client, data = record.t, record.client, record.data
        match record.kind:
            case RecordKind.STARTED:
                arrived.append(t)
                state[client] = False
                count("arrivals", t)
            case RecordKind.STAGE if client in state:
                if data["stage"] == Stage.UP:
                    state[client] = True
                    took.setdefault(TOTAL, []).append(data["total"])
                    count("up", t)
                else:
                    took.setdefault(data["stage"], []).append(data["took"])
            case RecordKind.FAILED if client in state:
                del state[client]
                failed[str(data["stage"])] += 1
                count("failed", t)
            case RecordKind.ENDED if state.get(client):
                del state[client]
                by_itself = data["by"] in OWN
                if not by_itself:
                    lost.append(client)
                count("left" if by_itself else "lost", t)
    return Measured(
        arrivals=len(arrived),
        up=len(took.get(TOTAL, ())),
        waiting=sum(not up for up in state.values()),
        failed=dict(failed.most_common()),
        lost=tuple(lost),
        took_s={stage: percentiles(took[stage]) for stage in (*STAGES, TOTAL) if stage in took},
        seconds=_seconds(counts),
    )


def percentiles(values: Sequence[float]) -> dict[int, float]:
    """By nearest rank: the p-th is the smallest value that at least p per cent do not exceed."""
    found = sorted(values)
    return {p: found[max(0, math.ceil(p / 100 * len(found)) - 1)] for p in PERCENTILES}


def _seconds(counts: Mapping[str, Counter[int]]) -> tuple[Second, ...]:
    """Up to the last in which something happened."""
    seconds: list[Second] = []
    established = 0
    for at in range(max((at for counter in counts.values() for at in counter), default=-1) + 1):
        now = {name: counter[at] for name, counter in counts.items()}
        established += now["up"] - now["lost"] - now["left"]
        seconds.append(Second(at, established=established, **now))
    return tuple(seconds)


def table(measured: Measured) -> list[str]:
    """For a terminal, a line each: the seconds in which something happened, then the stages."""
    lines = [f"{'second':>6}{'arrived':>9}{'up':>6}{'failed':>8}{'lost':>6}{'left':>6}{'established':>13}"]
    for s in measured.seconds:
        if s.arrivals or s.up or s.failed or s.lost or s.left:
            lines.append(f"{s.at:6}{s.arrivals:9}{s.up:6}{s.failed:8}{s.lost:6}{s.left:6}{s.established:13}")
    if measured.took_s:
        lines += ["", f"{'took, s':20}{'half':>9}{'90 %':>9}{'99 %':>9}{'all':>9}"]
        lines += [f"{stage:20}" + "".join(f"{found[p]:9.3f}" for p in PERCENTILES) for stage, found in measured.took_s.items()]
    return lines
