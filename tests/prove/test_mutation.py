"""Which mutants a seed chooses, and what is made of one that a test notices and of one that none does: on a tiny project."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from harness.errors import LabError
from harness.prove.mutants import Records, told
from harness.prove.mutation import Mutant, name_of, sample, shares
from harness.prove.trial import TIME_OUT, Copy, Stage, Trial

SOURCE = '''\
"""Two functions."""

LIMIT = 10


class Gate:
    def open(self, count: int) -> bool:
        return count < LIMIT

    def said(self, count: int) -> str:
        return f"{count} are " + "there"
'''
TEST = """\
from gate import Gate

def test_gate():
    assert Gate().open(9)
    assert not Gate().open(10)
"""
CONFTEST = """\
def pytest_addoption(parser):
    parser.addoption("--no-html", action="store_true")
    parser.addoption("--reports")
"""
WORDS = "tests/test_words.py"
UNIT = Stage("the unit tests", "tests/test_gate.py")


def mutant(before: str, after: str) -> Mutant:
    assert SOURCE.count(before) == 1
    mutated = SOURCE.replace(before, after)
    return Mutant(name_of("gate.py", SOURCE, mutated), "gate.py", mutated)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {
        "harness/gate.py": SOURCE,
        "tests/test_gate.py": TEST,
        "tests/conftest.py": "import sys, pathlib\nsys.path.insert(0, str(pathlib.Path(__file__).parents[1] / 'harness'))\n",
        "conftest.py": CONFTEST,
        "pyproject.toml": '[tool.pytest.ini_options]\n[tool.mutmut]\nsource_paths = ["harness"]\n',
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_same_seed_chooses_the_same_and_another_does_not(project: Path) -> None:
    chosen = sample(project / "harness", 5, 1, configured=project)
    assert len({one.name for one in chosen}) == 5
    assert sample(project / "harness", 5, 1, configured=project) == chosen
    assert sample(project / "harness", 5, 2, configured=project) != chosen


def test_each_is_the_module_with_one_change_that_means_something(project: Path) -> None:
    chosen = sample(project / "harness", 1000, 1, configured=project)
    texts = {one.source for one in chosen}
    assert len(texts) == len(chosen) < 1000
    assert SOURCE.replace("LIMIT = 10", "LIMIT = 11") in texts  # outside all functions, too
    assert SOURCE.replace("<", "<=") in texts
    for one in chosen:
        assert ast.dump(ast.parse(one.source)) != ast.dump(ast.parse(SOURCE))
        assert one.source.startswith('"""Two functions."""')


def test_a_mutant_is_named_by_what_it_says() -> None:
    one = mutant("count < LIMIT", "count <= LIMIT")
    assert one.name == "gate.py: Gate.open: `return count < LIMIT` → `return count <= LIMIT`"
    assert mutant("LIMIT = 10", "LIMIT = 11").name == "gate.py: `LIMIT = 10` → `LIMIT = 11`"
    twice = "def a():\n    x()\n    x()\n"
    assert name_of("m.py", twice, "def a():\n    x()\n    y()\n").endswith("`x()` → `y()` (occurrence 2)")


def test_the_sample_is_spread_by_size() -> None:
    assert shares({"a": 300, "b": 100, "c": 1}, 4) == {"a": 3, "b": 1, "c": 0}
    dealt = shares(dict(zip("abcdefg", (1, 7, 13, 29, 31, 57, 3), strict=True)), 50)
    assert sum(dealt.values()) == 50
    assert shares({}, 10) == {}


def test_one_is_noticed_and_one_is_not(project: Path) -> None:
    copy = Copy(project, "harness", [UNIT])
    try:
        noticed = copy.try_out(mutant("count < LIMIT", "count <= LIMIT"))
        survivor = copy.try_out(mutant('"there"', '"THERE"'))
        again = copy.try_out(mutant("count < LIMIT", "count <= LIMIT"), suspect="tests/test_gate.py::test_gate")
        unjustly = copy.try_out(mutant('"there"', '"THERE"'), suspect="tests/test_gate.py::test_gone")
        assert (copy.folder / "gate.py").read_text() == SOURCE
    finally:
        copy.close()
    assert (noticed.by, survivor.by) == ("tests/test_gate.py::test_gate", "")
    assert survivor.survived
    assert not noticed.survived
    assert again.by == noticed.by
    assert unjustly.survived
    assert not copy.root.exists()
    assert {path.name for path in project.rglob("*") if path.is_file()} == {
        "gate.py", "test_gate.py", "conftest.py", "pyproject.toml"
    }  # fmt: skip


def test_what_never_ends_is_noticed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.prove.trial.GRACE_S", 0.5)
    copy = Copy(project, "harness", [UNIT])
    try:
        trial = copy.try_out(Mutant("endless", "gate.py", SOURCE.replace("return count < LIMIT", "while True: pass")))
    finally:
        copy.close()
    assert trial.by == f"{TIME_OUT}: {UNIT.name}"


def test_a_stage_runs_for_its_modules_and_after_the_one_before(project: Path) -> None:
    harmless = mutant('"there"', '"THERE"')
    (project / WORDS).write_text(
        "from gate import Gate\n\ndef test_words():\n    assert Gate().said(1) == '1 are there'\n"
    )
    for runs, by in ((lambda file: file == "gate.py", "tests/test_words.py::test_words"), (lambda file: False, "")):
        copy = Copy(project, "harness", [UNIT, Stage("the words", WORDS, runs=runs)])
        try:
            assert copy.try_out(harmless).by == by
        finally:
            copy.close()


def test_a_failure_against_the_machines_clock_counts_if_it_comes_again(project: Path) -> None:
    (project / WORDS).write_text(
        "import pathlib\nfrom gate import Gate\n\n"
        "def test_once():\n"
        "    seen = pathlib.Path(__file__).with_name('seen')\n"
        "    if 'THERE' in Gate().said(1) and not seen.exists():\n"
        "        seen.touch()\n"
        "        assert False\n"
    )
    for timed, survived in ((True, True), (False, False)):
        copy = Copy(project, "harness", [Stage("the words", WORDS, timed=timed)])
        try:
            assert copy.try_out(mutant('"there"', '"THERE"')).survived is survived
        finally:
            copy.close()


def test_tests_that_fail_without_a_mutant_prove_nothing(project: Path) -> None:
    (project / "tests" / "test_gate.py").write_text("def test_gate():\n    assert False\n")
    with pytest.raises(LabError, match="without a mutant"):
        Copy(project, "harness", [UNIT])


def test_what_setup_has_unpacked_is_there_and_stays(project: Path) -> None:
    (project / ".cache").mkdir()
    (project / ".cache" / "program").write_text("of somebody else's")
    (project / WORDS).write_text("import pathlib\n\ndef test_words():\n    assert pathlib.Path('.cache/program').read_text()\n")
    Copy(project, "harness", [Stage("the words", WORDS)]).close()
    assert (project / ".cache" / "program").exists()


def test_what_was_tried_counts_as_long_as_what_decided_it(tmp_path: Path) -> None:
    code, tests = tmp_path / "harness/virtual/a.py", tmp_path / "tests/virtual"
    first, second = tests / "test_a.py", tests / "test_b.py"
    for path in (code, first):
        path.parent.mkdir(parents=True)
        path.write_text("before")
    file = tmp_path / "mutants.jsonl"
    records = Records(file, tmp_path)
    records.add(Trial("noticed", "tests/virtual/test_a.py::test_x", 1.0))
    records.add(Trial("survivor", "", 1.0))
    with file.open("a") as kept:
        kept.write('{"mutant": "half a li')
    assert Records(file, tmp_path).tried == {"noticed": "tests/virtual/test_a.py::test_x", "survivor": ""}
    assert told(records.tried).survived == {"survivor": ""}
    assert len(file.read_text().splitlines()) == 2
    second.write_text("another test might notice the survivor")
    assert Records(file, tmp_path).tried == {"noticed": "tests/virtual/test_a.py::test_x"}
    assert Records(file, tmp_path).standing == {"noticed": "tests/virtual/test_a.py::test_x", "survivor": ""}
    first.write_text("this test no longer notices")
    assert Records(file, tmp_path).tried == {}
    assert Records(file, tmp_path).standing == {"survivor": ""}
    Records(file, tmp_path).add(Trial("survivor", "tests/virtual/test_b.py::test_y", 1.0))
    assert Records(file, tmp_path).standing == {"survivor": "tests/virtual/test_b.py::test_y"}
    first.write_text("before")
    code.write_text("after")
    assert Records(file, tmp_path).tried == Records(file, tmp_path).standing == {}
    assert Records(file, tmp_path).suspects == {
        "noticed": "tests/virtual/test_a.py::test_x", "survivor": "tests/virtual/test_b.py::test_y"
    }  # fmt: skip
