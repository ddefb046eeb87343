"""Mutants that nobody chose: a seeded sample of small changes to a folder's modules, each as its module's whole text.

The changes are mutmut's (`mutmut.mutation`): a number plus one, `<` for `<=`, `and` for `or`, an argument left out or None, a
string in other letters, … Of mutmut only these are used: its runner lets functions choose at run time which mutant they are, so it
leaves out what stands in modules and classes themselves (a dataclass's defaults, tables), knows no seed, and runs one session of
pytest, not cheap tests first. What mutmut never touches stays untouched here, too: docstrings, annotations, enumerations, and
functions with a decorator other than staticmethod or classmethod.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError

if TYPE_CHECKING:  # only developers have it
    import libcst as cst


@dataclass(frozen=True, slots=True)
class Mutant:
    """`file` is relative to the folder that was sampled, `source` that file's whole text with one change."""

    name: str
    file: str
    source: str


def sample(folder: Path, wanted: int, seed: int, *, configured: Path) -> tuple[Mutant, ...]:
    """As many mutants of the modules below `folder`, spread over them by their lines. The same seed and code give the same ones.

    Fewer where there are no more. `configured` is the folder of the pyproject.toml in which mutmut looks for its configuration.
    """
    sources = {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))}
    with contextlib.chdir(configured):
        found: dict[str, list[Mutant]] = {}
        for file, count in shares({file: len(text.splitlines()) for file, text in sources.items()}, wanted).items():
            found[file] = _some(file, sources[file], count, random.Random(f"{seed} {file}"))
    return tuple(mutant for mutants in found.values() for mutant in mutants)


def shares(sizes: Mapping[str, int], wanted: int) -> dict[str, int]:
    """`wanted` dealt out in proportion to the sizes: what is left over by rounding goes to the largest remainders."""
    total = sum(sizes.values())
    if not total:
        return {}
    dealt = {name: wanted * size // total for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: (-(wanted * sizes[name] % total), name))
    for name in by_remainder[: wanted - sum(dealt.values())]:
        dealt[name] += 1
    return dealt


def _some(file: str, source: str, count: int, chance: random.Random) -> list[Mutant]:
    found: dict[str, Mutant] = {}
    if count:
        changes = _changes(file, source)
        chance.shuffle(changes)
        for mutant in _distinct(file, source, changes):
            found.setdefault(mutant.name, mutant)
            if len(found) == count:
                break
    return list(found.values())


def _changes(file: str, source: str) -> list[_Change]:
    try:
        from mutmut.mutation.file_mutation import create_mutations
    except ImportError as error:
        raise UsageError("mutants need mutmut, which is not installed", cure="pip install -e '.[dev]'") from error
    module, mutations, *_ = create_mutations(file, source)
    return [_Change(module, one.original_node, one.mutated_node) for one in mutations]


@dataclass(frozen=True, slots=True)
class _Change:
    """Of libcst's tree of a module: one node in place of another."""

    module: cst.Module
    before: cst.CSTNode
    after: cst.CSTNode

    def made(self) -> str:
        """The module's text with it."""
        import libcst
        from mutmut.mutation.file_mutation import deep_replace

        return libcst.ensure_type(deep_replace(self.module, self.before, self.after), libcst.Module).code


def _distinct(file: str, source: str, changes: Sequence[_Change]) -> Iterator[Mutant]:
    """Without those that are no Python (killed by nothing but the compiler) and those that say the same as the original."""
    original = ast.dump(ast.parse(source))
    for change in changes:
        mutated = change.made()
        try:
            meaning = ast.dump(ast.parse(mutated))
            compile(mutated, file, "exec", dont_inherit=True)
        except SyntaxError:
            continue
        if meaning != original:
            yield Mutant(name_of(file, source, mutated), file, mutated)


def name_of(file: str, source: str, mutated: str) -> str:
    """"demux.py: Demux.give: `return port` → `return None`": by what it says, not by its line, which moves."""
    before, after = source.splitlines(), mutated.splitlines()
    removed, added, first = [], [], 0
    for kind, start, end, its_start, its_end in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            first = first or start + 1
            removed += before[start:end]
            added += after[its_start:its_end]
    same = [number for number, line in enumerate(before, 1) if line == before[first - 1]]
    which = f" (occurrence {same.index(first) + 1})" if len(same) > 1 else ""
    where = ": ".join([file, *filter(None, [_scope(source, first)])])
    return f"{where}: `{_flat(removed)}` → `{_flat(added)}`{which}"


def _flat(lines: Sequence[str]) -> str:
    return " ".join(line.strip() for line in lines)


def _scope(source: str, line: int) -> str:
    """The dotted name of the innermost class or function that the line stands in, "" for the module's own."""
    found = ""
    nodes: list[tuple[ast.AST, str]] = [(ast.parse(source), "")]
    while nodes:
        node, name = nodes.pop()
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if child.lineno <= line <= (child.end_lineno or child.lineno):
                found = f"{name}.{child.name}" if name else child.name
                nodes.append((child, found))
    return found
