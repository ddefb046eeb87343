"""Predictions against what was seen: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.prove.ledger import Played

GREEN, RED, DOUBTFUL = "green", "red", "inconclusive"
BOXES = ("nat", "gateway", "client")
NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Prediction:
    """What somebody who had not seen the run expected of one fault. `red` and `doubtful` are behaviours' IDs; all others stay
    green. `why` says how the broken mechanism shows."""

    fault: str
    red: frozenset[str]
    doubtful: frozenset[str] = frozenset()
    why: str = ""

    def of(self, behaviour: str) -> str:
        return RED if behaviour in self.red else DOUBTFUL if behaviour in self.doubtful else GREEN


@dataclass(frozen=True, slots=True)
class Misprediction:
    fault: str
    behaviour: str
    predicted: str
    seen: str
    why: str = ""  # "" while nobody has explained it


def seen(outcomes: Mapping[str, str]) -> dict[str, str]:
    """Behaviour → RED where any of its cases failed, else DOUBTFUL where any was inconclusive, else GREEN. Recorded and skipped
    cases judge nothing."""
    found: dict[str, str] = {}
    rank = (GREEN, DOUBTFUL, RED)
    colours = {"passed": GREEN, "inconclusive": DOUBTFUL, "failed": RED}
    for case, outcome in outcomes.items():
        if outcome in colours:
            behaviour = case.partition(" ")[0]
            found[behaviour] = max(found.get(behaviour, GREEN), colours[outcome], key=rank.index)
    return found


def compare(prediction: Prediction, played: Played, explained: Mapping[tuple[str, str], str]) -> tuple[Misprediction, ...]:
    """Where prediction and result differ, in the order of the behaviours' IDs."""
    result = seen(played.outcomes)
    behaviours = sorted(set(result) | prediction.red | prediction.doubtful)
    return tuple(
        Misprediction(played.fault, one, prediction.of(one), result.get(one, "not played"), explained.get((played.fault, one), ""))
        for one in behaviours
        if prediction.of(one) != result.get(one, "not played")
    )


def noticed(played: Played) -> bool:
    """Whether any behaviour failed. One that is merely inconclusive says that the evidence is bad, not that the device is."""
    return RED in seen(played.outcomes).values()


def false_alarms(clean: Iterable[Played]) -> tuple[tuple[int, str, str], ...]:
    """(seed, case, outcome) of everything that was not green though nothing was broken, the headlines of scenarios among it."""
    return tuple(
        (played.seed, case, outcome)
        for played in clean
        for case, outcome in (*played.outcomes.items(), *((f"headline [{one}]", "inconclusive") for one in played.undecided))
        if outcome in ("failed", "inconclusive")
    )


def blamed(played: Played, clean: Played | None) -> str:
    """The box that the verdicts blame for a fault: the one named most often where something failed that fails on no sound device.

    A known-bad control blames its gateway though nothing was broken: scenarios in which the clean run blames somebody count only
    where no other one failed.
    """
    failed, sound = _failed(played, clean)
    count = Counter(box for scenario in sorted(sound or failed) for box in played.blamed.get(scenario, ())[:1])
    return count.most_common(1)[0][0] if count else NOBODY


def strays(played: Played, box: str, clean: Played | None) -> dict[str, str]:
    """Scenario → box blamed first, where something failed that fails on no sound device and another box than `box` is blamed."""
    named = {scenario: played.blamed.get(scenario, ())[:1] for scenario in sorted(_failed(played, clean)[1])}
    return {scenario: boxes[0] for scenario, boxes in named.items() if boxes and boxes[0] != box}


def _failed(played: Played, clean: Played | None) -> tuple[set[str], set[str]]:
    """The scenarios in which something failed, and of these the ones in which a clean run blames nobody."""
    failed = {case.partition(" [")[2].rstrip("]") for case, outcome in played.outcomes.items() if outcome == "failed"}
    return failed, {scenario for scenario in failed if clean is None or not clean.blamed.get(scenario)}


def blame_table(rows: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """From (broken box, blamed box) of each fault: broken box → blamed box or NOBODY → how many."""
    table = {box: dict.fromkeys((*BOXES, NOBODY), 0) for box in BOXES}
    for broken, box in rows:
        table[broken][box] += 1
    return table
