"""From a testbed file to the model, in two steps: read with lines and judged strictly, then loaded by pyATS and compared.

The first step is ours because pyATS lets too much pass (unset variables, misspelt keys, a device defined twice) and does not say
where a mistake is. The second makes sure that what is run is what any pyATS tool reads from the same file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.model.router_lab import RouterLab
from harness.model.testbed import Testbed
from harness.testbed import marks, router_definition, router_lab
from harness.testbed.build import build
from harness.testbed.by_pyats import agree
from harness.testbed.definition import FILE
from harness.testbed.marks import Marked
from harness.testbed.mistakes import Mistake, Mistakes
from harness.testbed.reading import Reading
from harness.testbed.walk import judged, settled


@dataclass(frozen=True, slots=True)
class Examined:
    """What a file gives: its testbed, or its mistakes by line."""

    file: str
    testbed: Testbed | RouterLab | None
    mistakes: tuple[Mistake, ...]


def examine(path: Path | str) -> Examined:
    """Reads a file without pyATS, and tells every mistake in it. Raises nothing of its own.

    Secrets that are to be typed are not asked for: in the testbed they stand as secrets that ask when they are revealed.
    """
    mistakes = Mistakes(str(path))
    testbed, _ = _read(Path(path), mistakes)
    return Examined(mistakes.file, testbed, mistakes.all())


def check(path: Path | str) -> Testbed:
    """The testbed, without pyATS: strict, and quick. Raises UsageError with file, line and cure for the first mistake, and says how
    many more there are; also where it has no gateway."""
    return _with_gateway(check_any(path), path)


def check_any(path: Path | str) -> Testbed | RouterLab:
    """The same of a testbed of either kind."""
    mistakes = Mistakes(str(path))
    testbed, _ = _read(Path(path), mistakes)
    if testbed is None:
        raise mistakes.error()
    return testbed


def load(path: Path | str) -> Testbed:
    """The same for a run: what pyATS reads must be the same, and secrets that are to be typed are asked for now, once.

    pyATS costs 0.7 s and 70 MiB to import: this is called when a test first needs a testbed, and not before.
    """
    return _with_gateway(load_any(path), path)


def load_any(path: Path | str) -> Testbed | RouterLab:
    """The same of a testbed of either kind."""
    mistakes = Mistakes(str(path))
    testbed, trees = _read(Path(path), mistakes)
    if testbed is None or trees is None:
        raise mistakes.error()
    agree(*trees, file=mistakes.file, shown=mistakes.without_variables)
    reading = Reading(settled(trees[1]), mistakes)
    loaded = _built(reading, testbed.name, testbed.world if isinstance(testbed, RouterLab) else None)
    assert loaded is not None
    return loaded


def _with_gateway(testbed: Testbed | RouterLab, path: Path | str) -> Testbed:
    if isinstance(testbed, RouterLab):
        cure = "natstorm qualify plays it; name a testbed with clients, a NAT and a gateway"
        raise UsageError("it is a testbed of routers, without a gateway that is judged", file=str(path), cure=cure)
    return testbed


def _read(path: Path, mistakes: Mistakes) -> tuple[Testbed | RouterLab | None, tuple[Marked, Marked] | None]:
    """The testbed, and the file's tree as it was read and as it was judged."""
    root = marks.read(path, mistakes)
    if root is None:
        return None, None
    world = router_lab.world_of(Reading(root, mistakes).keys("devices"))
    tree = judged(root, FILE if world is None else router_definition.FILES[world], mistakes)
    reading = Reading(tree, mistakes)
    return _built(reading, reading.value("testbed", "name") or path.stem, world), (root, tree)


def _built(reading: Reading, name: str, world: str | None) -> Testbed | RouterLab | None:
    return build(reading, name) if world is None else router_lab.build(reading, name, world)
