"""What a proof comes to: from the ledger, the faults and the predictions to one account, as JSON and as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.prove import matrix
from harness.prove.ledger import GATEWAY, Ledger, Played
from harness.prove.matrix import DOUBTFUL, GREEN, RED, Misprediction, Prediction
from harness.prove.worlds import ROUTERS, Broken, world_of, worlds_of

VERSION = 1
CLEAN_RUNS = 20
"""As many runs with nothing broken in each world, each with a seed of its own, must be free of false alarms."""

MUTANTS_LEFT = 0.15
"""The greatest share of mutants that may survive."""

LEAST_FAULTS = {GATEWAY: 60, ROUTERS: 40}
LEAST_MUTANTS = 100
"""Fewer prove too little; faults by worlds."""


@dataclass(frozen=True, slots=True)
class Mutants:
    """Mutants of harness/virtual that were tried, and those that no test noticed: name → explanation ("" where there is none)."""

    tried: int = 0
    survived: Mapping[str, str] | None = None

    @property
    def left(self) -> int:
        return len(self.survived or {})


@dataclass(frozen=True, slots=True)
class Account:
    faults: tuple[Broken, ...]
    broken: Mapping[str, Played]  # by fault
    clean: tuple[Played, ...]
    mispredicted: tuple[Misprediction, ...]
    stale: tuple[tuple[str, str], ...]  # (fault, behaviour) that are explained, and came out as predicted
    blamed: Mapping[str, str]  # fault → box
    unpredicted: tuple[str, ...]  # faults without a prediction
    mutants: Mutants
    strays: Mapping[str, Mapping[str, str]]  # fault → scenario → another box that is blamed there
    whole: bool = True  # False: of some faults only
    unbroken: Mapping[str, str] = field(default_factory=dict)  # behaviours that no fault can turn red, and why

    @property
    def unnoticed(self) -> tuple[str, ...]:
        return tuple(f.name for f in self.faults if f.name in self.broken and not matrix.noticed(self.broken[f.name]))

    @property
    def unplayed(self) -> tuple[str, ...]:
        return tuple(f.name for f in self.faults if f.name not in self.broken)

    @property
    def unreddened(self) -> tuple[str, ...]:
        """Behaviours that the clean runs judged, and no fault turned red, though one could."""
        judged = {row for played in self.clean for row in matrix.seen(played.outcomes)}
        red = {row for played in self.broken.values() for row, colour in matrix.seen(played.outcomes).items() if colour == RED}
        return tuple(sorted(judged - red - self.unbroken.keys()))

    @property
    def false_alarms(self) -> tuple[tuple[int, str, str], ...]:
        return matrix.false_alarms(self.clean)

    @property
    def misblamed(self) -> tuple[tuple[str, str, str], ...]:
        """(fault, broken box, blamed box)"""
        return tuple((f.name, f.box, self.blamed[f.name]) for f in self.faults if self.blamed.get(f.name, f.box) != f.box)

    @property
    def worlds(self) -> tuple[str, ...]:
        """Those that any of the faults is in."""
        return worlds_of(f.box for f in self.faults)

    def of(self, world: str) -> tuple[Broken, ...]:
        return tuple(f for f in self.faults if world_of(f.box) == world)

    def clean_of(self, world: str) -> tuple[Played, ...]:
        return tuple(played for played in self.clean if played.world == world)

    @property
    def table(self) -> dict[str, dict[str, int]]:
        return matrix.blame_table((f.box, self.blamed[f.name]) for f in self.faults if f.name in self.blamed)

    @property
    def gaps(self) -> tuple[str, ...]:
        """What the proof still lacks, a sentence each; () where it holds."""
        found = [f"{name} was not played" for name in self.unplayed]
        found += [f"{name} was noticed by no test" for name in self.unnoticed]
        found += [f"{name} has no prediction" for name in self.unpredicted]
        found += [f"{m.fault}: {m.behaviour} was to be {m.predicted} and was {m.seen}" for m in self.mispredicted if not m.why]
        found += [f"{fault}: {row} came out as predicted, and is explained: take it out" for fault, row in self.stale]
        found += [f"{name}, which breaks the {box}, is blamed on {blamed}" for name, box, blamed in self.misblamed]
        found += [
            f"{f.name}, which breaks the {f.box}, is blamed on the {box} in {scenario}"
            for f in self.faults
            for scenario, box in self.strays.get(f.name, {}).items()
        ]
        found += [f"seed {seed}: {case} was {outcome} though nothing was broken" for seed, case, outcome in self.false_alarms]
        for world in self.worlds:
            clean = self.clean_of(world)
            asked = max((len(played.outcomes) for played in clean), default=0)
            found += [f"seed {played.seed}: a clean run asked {len(played.outcomes)} of {asked} cases" for played in clean
                      if len(played.outcomes) < max(asked, 1)]  # fmt: skip
        if not self.whole:
            found.append("some faults only: a proof takes them all")
            return tuple(found)
        found += [f"{row}: no fault turns it red" for row in self.unreddened]
        for world, least in LEAST_FAULTS.items():
            where, runs, known = "" if world == GATEWAY else f" of {world}", len(self.clean_of(world)), len(self.of(world))
            if runs < CLEAN_RUNS:
                found.append(f"{runs} clean runs{where} of {CLEAN_RUNS}")
            if known < least:
                found.append(f"{known} faults{where}, {least} are needed")
        if self.mutants.tried < LEAST_MUTANTS:
            found.append(f"{self.mutants.tried} mutants were tried of this code, {LEAST_MUTANTS} are needed")
        found += [f"mutant {name} survived unexplained" for name, why in (self.mutants.survived or {}).items() if not why]
        if self.mutants.left > MUTANTS_LEFT * self.mutants.tried:
            found.append(f"{self.mutants.left} of {self.mutants.tried} mutants survived, more than {MUTANTS_LEFT:.0%}")
        return tuple(found)

    def _sums(self, world: str) -> dict[str, int]:
        faults = self.of(world)
        killed = sum(f.name in self.broken and f.name not in self.unnoticed for f in faults)
        return {"faults": len(faults), "killed": killed, "clean_runs": len(self.clean_of(world))}

    def to_dict(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "faults": len(self.faults),
            "killed": len(self.broken) - len(self.unnoticed),
            "unnoticed": list(self.unnoticed),
            "mispredicted": [
                {"fault": m.fault, "behaviour": m.behaviour, "predicted": m.predicted, "seen": m.seen, "why": m.why or None}
                for m in self.mispredicted
            ],
            "clean_runs": len(self.clean),
            "false_alarms": [{"seed": seed, "case": case, "seen": outcome} for seed, case, outcome in self.false_alarms],
            "mutants": self.mutants.tried,
            "mutants_survived": self.mutants.left,
            "worlds": {world: self._sums(world) for world in self.worlds},
            "blame": self.table,
            "gaps": list(self.gaps),
        }


def account(
    faults: Iterable[Broken],
    ledger: Ledger,
    predictions: Mapping[str, Prediction],
    explained: Mapping[tuple[str, str], str],
    mutants: Mutants,
    *,
    whole: bool = True,
    unbroken: Mapping[str, str] | None = None,
) -> Account:
    known = tuple(faults)
    broken = {one.fault: one for one in ledger.broken if one.fault in {f.name for f in known}}
    reference = next((one for one in ledger.clean if one.world == GATEWAY), None)
    boxed = {f.name: f.box for f in known if f.box in matrix.BOXES}  # scripts for routers name no box
    worlds = worlds_of(f.box for f in known)
    mispredicted = tuple(
        found
        for f in known
        if f.name in broken and f.name in predictions
        for found in matrix.compare(predictions[f.name], broken[f.name], explained)
    )
    otherwise = {(found.fault, found.behaviour) for found in mispredicted}
    return Account(
        faults=known,
        broken=broken,
        clean=tuple(one for one in ledger.clean if one.world in worlds),
        mispredicted=mispredicted,
        stale=tuple(one for one in explained if one[0] in broken and one not in otherwise),
        blamed={
            name: matrix.blamed(played, reference) for name, played in broken.items() if name in boxed and matrix.noticed(played)
        },
        unpredicted=tuple(f.name for f in known if f.name not in predictions),
        mutants=mutants,
        strays={name: matrix.strays(broken[name], box, reference) for name, box in boxed.items() if name in broken},
        whole=whole,
        unbroken=unbroken or {},
    )


def show(told: Account, predictions: Mapping[str, Prediction]) -> str:
    """The account for a reader: the matrix, the table of blame, and what is missing."""
    return "\n".join([*_matrix(told, predictions), "", *_blame(told), "", *_sums(told)]) + "\n"


def _matrix(told: Account, predictions: Mapping[str, Prediction]) -> Iterable[str]:
    """A row a fault; columns are the behaviours that any fault turns red or was to turn red."""
    results = {name: matrix.seen(played.outcomes) for name, played in told.broken.items()}
    told_of = _predicted(predictions[name] for name in results if name in predictions)
    shown = sorted({b for result in results.values() for b, colour in result.items() if colour != GREEN} | told_of)
    yield "Fault × behaviour.  ■ red as predicted  ! red, not predicted  □ predicted red, stayed green  ? inconclusive  · green"
    width = max((len(f.name) for f in told.faults), default=0)
    for family in sorted({b.partition("-")[0] for b in shown}):
        columns = [b for b in shown if b.startswith(f"{family}-")]
        yield ""
        yield f"{family:{width}}          " + " ".join(b.partition("-")[2] for b in columns)
        for f in told.faults:
            if f.name in results:
                cells = (_cell(predictions.get(f.name), b, results[f.name].get(b, GREEN)) for b in columns)
                yield f"{f.name:{width}} {f.box:8} " + " ".join(f"{cell:2}" for cell in cells).rstrip()


def _predicted(predictions: Iterable[Prediction]) -> set[str]:
    return {behaviour for one in predictions for behaviour in one.red}


def _cell(prediction: Prediction | None, behaviour: str, colour: str) -> str:
    predicted = GREEN if prediction is None else prediction.of(behaviour)
    if colour == RED:
        return "■" if predicted == RED else "!"
    if colour == DOUBTFUL:
        return "?"
    return "□" if predicted == RED else "·"


def _blame(told: Account) -> Iterable[str]:
    columns = (*matrix.BOXES, matrix.NOBODY)
    yield "Whom the verdicts blame (column) for a fault in a box (row)"
    if any(world != GATEWAY for world in told.worlds):
        yield "Faults of routers are not in it: scripts for routers name no box"
    yield f"{'':8}" + "".join(f"{column:>9}" for column in columns)
    for box, row in told.table.items():
        yield f"{box:8}" + "".join(f"{row[column]:9}" for column in columns)


def _sums(told: Account) -> Iterable[str]:
    unexplained = sum(not m.why for m in told.mispredicted)
    yield (
        f"{len(told.broken)} of {len(told.faults)} faults played, {len(told.broken) - len(told.unnoticed)} noticed; "
        f"{len(told.mispredicted)} mispredictions, {unexplained} unexplained; {len(told.clean)} clean runs, "
        f"{len(told.false_alarms)} false alarms; {told.mutants.tried} mutants, {told.mutants.left} survived"
    )
    for m in told.mispredicted:
        if m.why:
            yield f"explained: {m.fault}: {m.behaviour} was to be {m.predicted} and was {m.seen}: {m.why}"
    yield from (f"missing: {gap}" for gap in told.gaps) if told.gaps else ("the proof holds",)
