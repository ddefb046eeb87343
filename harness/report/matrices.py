"""Facts of verdicts that are tables → Matrix values.

A fact {row: {column: cell}} is a table. One whose cells are strengths of suspicion says who killed whom (rows are victims); one
that stands as `cells` beside `towards` says where marked packets arrived (rows are owners). Both are coloured by that meaning; any
other is shown as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.model import Verdict
from harness.report.story import Cell, Matrix

NONE = "none"
STRENGTHS = frozenset({"certain", "suspected", NONE})
NOBODY = "nobody"
"""The row and column of what belongs to no client; left out where it is empty."""


def matrices(verdicts: Mapping[str, Verdict]) -> tuple[Matrix, ...]:
    """Every table among the verdicts' facts, each once, in the order of the verdicts."""
    found: dict[Matrix, None] = {}
    for verdict in verdicts.values():
        for drawn in _search("", verdict.facts):
            found.setdefault(drawn)
    return tuple(found)


def _search(name: str, value: Any) -> Iterator[Matrix]:
    if not isinstance(value, Mapping):
        return
    if "towards" in value and is_table(value.get("cells")):
        yield confusion(str(value["towards"]), value["cells"])
    elif is_table(value):
        cells = {str(cell) for row in value.values() for cell in row.values()}
        yield kills(value) if cells <= STRENGTHS else plain(name.replace("_", " "), value)
    else:
        for key, item in value.items():
            yield from _search(str(key), item)


def kills(cells: Mapping[str, Mapping[str, Any]]) -> Matrix:
    """Victim by killer; "none" becomes a dot, so that an accusation stands out."""
    rows, columns, grid = _grid(cells)
    accused = tuple((r, c) for r, row in enumerate(grid) for c, cell in enumerate(row) if str(cell) != NONE)
    shown = tuple(tuple("·" if str(cell) == NONE else cell for cell in row) for row in grid)
    reading = "A row is a client that may have lost its session, a column the client whose arrival or departure took it away."
    return Matrix("Who killed whom", reading, rows, columns, shown, (), accused)


def confusion(towards: str, cells: Mapping[str, Mapping[str, Any]]) -> Matrix:
    """Owner by receiver; whatever lies off the diagonal reached the wrong one."""
    used = {
        owner: {receiver: n for receiver, n in row.items() if receiver != NOBODY or _carries(cells, receiver)}
        for owner, row in cells.items()
        if owner != NOBODY or any(row.values())
    }
    rows, columns, grid = _grid(used)
    filled = [(r, c) for r, row in enumerate(grid) for c, cell in enumerate(row) if cell not in (None, 0)]
    good = tuple((r, c) for r, c in filled if rows[r] == columns[c])
    bad = tuple((r, c) for r, c in filled if rows[r] != columns[c])
    reading = "A row is the client that a marked packet belongs to, a column the one that received it. All is well on the diagonal."
    return Matrix(f"Where marked packets towards {towards} arrived", reading, rows, columns, grid, good, bad)


def plain(title: str, cells: Mapping[str, Mapping[str, Any]]) -> Matrix:
    rows, columns, grid = _grid(cells)
    return Matrix(title, "", rows, columns, grid)


def is_table(value: Any) -> bool:
    """Whether every row is a mapping of single values, and all rows have the same columns."""
    if not isinstance(value, Mapping) or not value or not all(isinstance(row, Mapping) and row for row in value.values()):
        return False
    if len({frozenset(map(str, row)) for row in value.values()}) != 1:
        return False
    return all(item is None or isinstance(item, str | int | float) for row in value.values() for item in row.values())


def _carries(cells: Mapping[str, Mapping[str, Any]], receiver: str) -> bool:
    return any(row.get(receiver) for row in cells.values())


def _grid(cells: Mapping[str, Mapping[str, Any]]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[Cell, ...], ...]]:
    """Rows and columns in natural order, c2 before c10."""
    rows = sorted(cells, key=_natural)
    columns = sorted({column for row in cells.values() for column in row}, key=_natural)
    grid = tuple(tuple(_cell(cells[row].get(column)) for column in columns) for row in rows)
    return tuple(map(str, rows)), tuple(map(str, columns)), grid


def _cell(value: Any) -> Cell:
    return ("yes" if value else "no") if isinstance(value, bool) else value


def _natural(name: object) -> tuple[bool, str, int]:
    whole = str(name)
    head = whole.rstrip("0123456789")
    digits = whole[len(head) :]
    return whole == NOBODY, head, int(digits) if digits else -1
