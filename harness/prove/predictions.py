"""What was predicted of each fault before it was run, and what was said afterwards of predictions that did not come true.

    predictions/*.yaml   predictions: [{fault, red: [IDs], doubtful: [IDs], why}], a file for each box
    explanations.yaml    explanations: [{fault, behaviours: [IDs], why}]
    survivors.yaml       survivors: [{mutant, why}]
    unbroken.yaml        unbroken: [{behaviour, why}]
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from harness.prove.matrix import Prediction
from harness.strict_yaml import At, read

HERE = Path(__file__).parent
PREDICTIONS = HERE / "predictions"
EXPLANATIONS = HERE / "explanations.yaml"
SURVIVORS = HERE / "survivors.yaml"
UNBROKEN = HERE / "unbroken.yaml"


def predictions(faults: Collection[str], behaviours: Collection[str], folder: Path = PREDICTIONS) -> dict[str, Prediction]:
    """By fault. UsageError for a name that is no fault or no behaviour, and for a fault predicted twice."""
    found: dict[str, Prediction] = {}
    for at in (row for file in sorted(folder.glob("*.yaml")) for row in _rows(file, "predictions")):
        row = at.mapping("fault", "red", "doubtful", "why")
        fault = _one_of(row["fault"], faults, "fault")
        if fault in found:
            raise row["fault"].wrong(f"{fault} is predicted a second time")
        red, doubtful = (frozenset(_one_of(one, behaviours, "behaviour") for one in _list(row[key])) for key in ("red", "doubtful"))
        found[fault] = Prediction(fault, red, doubtful, row["why"].text())
    return found


def explanations(faults: Collection[str], behaviours: Collection[str], file: Path = EXPLANATIONS) -> dict[tuple[str, str], str]:
    """(fault, behaviour) → why the prediction was wrong. UsageError as for predictions, and for what is explained twice."""
    found: dict[tuple[str, str], str] = {}
    for row in (at.mapping("fault", "behaviours", "why") for at in _rows(file, "explanations")):
        fault = _one_of(row["fault"], faults, "fault")
        for at in row["behaviours"].items(lambda item: item):
            behaviour = _one_of(at, behaviours, "behaviour")
            if (fault, behaviour) in found:
                raise at.wrong(f"{fault}: {behaviour} is explained a second time")
            found[fault, behaviour] = row["why"].text()
    return found


def unbroken(behaviours: Collection[str], file: Path = UNBROKEN) -> dict[str, str]:
    """Behaviour → why no fault can turn it red."""
    rows = (at.mapping("behaviour", "why") for at in _rows(file, "unbroken"))
    return {_one_of(row["behaviour"], behaviours, "behaviour"): row["why"].text() for row in rows}


def survivors(file: Path = SURVIVORS) -> dict[str, str]:
    """Mutant → why no test needs to notice it."""
    rows = (at.mapping("mutant", "why") for at in _rows(file, "survivors"))
    return {row["mutant"].text(): row["why"].text() for row in rows}


def _rows(file: Path, key: str) -> tuple[At, ...]:
    """The entries of the file's one list; a file that is not there has none."""
    return _list(read(file).mapping(key)[key]) if file.exists() else ()


def _list(at: At) -> tuple[At, ...]:
    """The items of a list, which may be empty."""
    return () if at.node.value == [] else at.items(lambda item: item)


def _one_of(at: At, known: Collection[str], what: str) -> str:
    name = at.text()
    if name not in known:
        cure = "natstorm prove --list names them" if what == "fault" else "see suites/behaviours"
        raise at.wrong(f"there is no {what} {name!r}", cure)
    return name
