"""The catalogue of behaviours: read from YAML, strictly.

Every mistake (an unknown, missing or repeated key, a value not allowed, an ID given twice) is a UsageError with
the file and line where it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from harness.errors import UsageError
from harness.model.behaviour import Behaviour

SUITES = Path(__file__).resolve().parents[1] / "suites"
"""The suites of this checkout; their catalogue is in the folder `behaviours` below."""

TIMES = ("wall", "virtual")
EVIDENCE = ("wire", "far-end", "peer", "cli-only")
KINDS = ("S", "D", "?")

_RANGES = {
    "DMX": ((1, 36), (40, 46), (50, 78)),
    "SEC": ((1, 17), (20, 27), (30, 45), (50, 65), (70, 87), (90, 99), (110, 122), (130, 137)),
    "NTT": ((1, 35),),
    "ESN": ((1, 18), (20, 27), (30, 41), (50, 65), (70, 74)),
}
DOCUMENTED = {
    prefix: tuple(f"{prefix}-{number:02}" for first, last in ranges for number in range(first, last + 1))
    for prefix, ranges in _RANGES.items()
}
"""Every behaviour that the documents hold, by the document's prefix, whether or not a file describes it yet."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where PyYAML was built with it: the catalogue is read at every start, and takes a third of a second otherwise."""

_ID = re.compile(r"[A-Z][A-Z0-9]*-[0-9]{2,}")
_SOURCE_KEYS = ("seed", "document")
_ROW_KEYS = ("id", "title", "section", "kind", "time", "evidence", "proved_by")
_OPTIONAL = ("clear", "excluded", "left_to_hardware")


def load_catalogue(folder: Path) -> dict[str, Behaviour]:
    """All behaviours of a folder's *.yaml files by ID, in the order of files and rows. Raises UsageError."""
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise UsageError("no catalogue of behaviours was found", file=str(folder), cure="name a folder that holds *.yaml files")
    return load_files(files)


def load_files(files: Iterable[Path]) -> dict[str, Behaviour]:
    """As `load_catalogue`, for these files."""
    found: dict[str, Behaviour] = {}
    places: dict[str, str] = {}
    for file in files:
        for behaviour, line in _read(file):
            if behaviour.id in found:
                raise UsageError(f"{behaviour.id} is already in {places[behaviour.id]}", file=str(file), line=line)
            found[behaviour.id] = behaviour
            places[behaviour.id] = f"{file}:{line}"
    return found


class _File:
    """Reads nodes of one YAML file and complains with its name and the node's line."""

    def __init__(self, file: Path) -> None:
        self.file = str(file)

    def error(self, node: yaml.Node, problem: str, cure: str | None = None) -> UsageError:
        return UsageError(problem, file=self.file, line=self.line(node), cure=cure)

    @staticmethod
    def line(node: yaml.Node) -> int:
        return int(node.start_mark.line) + 1

    def mapping(
        self, node: yaml.Node, what: str, required: tuple[str, ...], optional: tuple[str, ...] = ()
    ) -> Mapping[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise self.error(node, f"{what} has to be a mapping")
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value)
            if name not in (*required, *optional):
                raise self.error(key, f"{what} has no key {name!r}", f"the keys are {', '.join((*required, *optional))}")
            if name in found:
                raise self.error(key, f"{what} has the key {name!r} twice")
            found[name] = value
        missing = [key for key in required if key not in found]
        if missing:
            raise self.error(node, f"{what} lacks {', '.join(missing)}")
        return found

    def text(self, node: yaml.Node, what: str) -> str:
        if not isinstance(node, yaml.ScalarNode) or node.tag != "tag:yaml.org,2002:str" or not node.value.strip():
            raise self.error(node, f"{what} has to be text", "put it in quotes")
        return str(node.value)

    def one_of(self, node: yaml.Node, what: str, allowed: tuple[str, ...]) -> str:
        value = self.text(node, what)
        if value not in allowed:
            raise self.error(node, f"{what} is {value!r}", f"it is one of {', '.join(allowed)}")
        return value


def _read(file: Path) -> list[tuple[Behaviour, int]]:
    reader = _File(file)
    try:
        root = yaml.compose(file.read_text(encoding="utf-8"), Loader=LOADER)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", file=str(file)) from error
    except UnicodeDecodeError as error:
        raise UsageError("is not UTF-8 text", file=str(file)) from error
    except yaml.MarkedYAMLError as error:
        line = None if error.problem_mark is None else error.problem_mark.line + 1
        raise UsageError(f"is not YAML: {error.problem}", file=str(file), line=line) from error
    except yaml.YAMLError as error:
        raise UsageError(f"is not YAML: {error}", file=str(file)) from error
    if root is None:
        raise UsageError("is empty", file=str(file))
    top = reader.mapping(root, "the catalogue", ("source", "behaviours"))
    source = reader.mapping(top["source"], "source", _SOURCE_KEYS)
    seed, document = (reader.text(source[key], key) for key in _SOURCE_KEYS)
    rows = top["behaviours"]
    if not isinstance(rows, yaml.SequenceNode):
        raise reader.error(rows, "behaviours has to be a list")
    return [(_behaviour(reader, row, seed, document), reader.line(row)) for row in rows.value]


def _behaviour(reader: _File, node: yaml.Node, seed: str, document: str) -> Behaviour:
    row = reader.mapping(node, "a behaviour", _ROW_KEYS, _OPTIONAL)
    name = reader.text(row["id"], "id")
    if not _ID.fullmatch(name):
        raise reader.error(row["id"], f"{name!r} is no ID", "an ID is capital letters, a hyphen and two digits or more: DMX-01")
    kinds = tuple(reader.text(row["kind"], "kind").split("/"))
    if not set(kinds) <= set(KINDS) or len(set(kinds)) != len(kinds):
        raise reader.error(row["kind"], f"kind is {'/'.join(kinds)!r}", "it is S, D or ?, or several of them joined by /")
    if "clear" in row:
        reader.one_of(row["clear"], "clear", ("expected",))
    if "excluded" in row and "left_to_hardware" in row:
        problem = "a row that is excluded leaves all of itself to hardware, and no part"
        raise reader.error(row["left_to_hardware"], problem, "keep one of excluded and left_to_hardware")
    why = {key: reader.text(row[key], key) for key in ("excluded", "left_to_hardware") if key in row}
    return Behaviour(
        id=name,
        title=reader.text(row["title"], "title"),
        seed=seed,
        document=document,
        section=reader.text(row["section"], "section"),
        kinds=kinds,
        time=reader.one_of(row["time"], "time", TIMES),
        evidence=reader.one_of(row["evidence"], "evidence", EVIDENCE),
        proved_by=reader.text(row["proved_by"], "proved_by"),
        clear_expected="clear" in row,
        **why,
    )
