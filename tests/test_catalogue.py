"""The catalogue loads, is complete for the suites of this stage, and every kind of mistake in it is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.catalogue import load_catalogue, load_files
from harness.errors import UsageError
from harness.model import Behaviour
from harness.verdict.checks import CHECKS

FOLDER = Path(__file__).parents[1] / "suites" / "behaviours"

GOOD = """\
source:
  seed: "000"
  document: "A document"
behaviours:
  - id: ABC-01
    title: "A title"
    section: "A section"
    kind: "S/?"
    time: wall
    evidence: wire
    proved_by: "A fault turns it red."
    clear: expected
  - id: ABC-02
    title: "Another"
    section: "A section"
    kind: "?"
    time: virtual
    evidence: cli-only
    proved_by: "A fault turns it red."
"""


def load(tmp_path: Path, text: str) -> dict[str, object]:
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    return dict(load_catalogue(tmp_path))


def load_catalogue_of(tmp_path: Path, text: str) -> tuple[Behaviour, ...]:
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    return tuple(load_catalogue(tmp_path).values())


def test_rows_become_behaviours(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(GOOD, encoding="utf-8")
    first, second = load_catalogue(tmp_path).values()
    assert (first.id, first.kinds, first.time, first.evidence, first.clear_expected) == ("ABC-01", ("S", "?"), "wall", "wire", True)
    assert first.source == "seed 000, A document: A section"
    assert not first.recorded_only
    assert second.recorded_only
    assert not second.clear_expected
    assert (first.excluded, second.excluded) == (None, None)


def test_a_row_may_say_why_it_has_no_test(tmp_path: Path) -> None:
    first, second = load_catalogue_of(tmp_path, GOOD + '    excluded: "Another protocol."\n')
    assert (first.excluded, second.excluded) == (None, "Another protocol.")


def test_a_row_may_say_what_of_it_is_left_to_hardware(tmp_path: Path) -> None:
    first, second = load_catalogue_of(tmp_path, GOOD + '    left_to_hardware: "Its MIB."\n')
    assert (first.left_to_hardware, second.left_to_hardware, second.excluded) == (None, "Its MIB.", None)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ('    kind: "S/?"', '    knid: "S"', 8, "no key 'knid'"),
        ("    time: wall", '    kind: "S"', 9, "'kind' twice"),
        ("    time: wall\n", "", 5, "lacks time"),
        ("time: wall", "time: never", 9, "time is 'never'"),
        ("evidence: wire", "evidence: rumour", 10, "evidence is 'rumour'"),
        ('kind: "S/?"', 'kind: "X"', 8, "kind is 'X'"),
        ('kind: "S/?"', 'kind: "S/S"', 8, "kind is 'S/S'"),
        ("ABC-02", "ABC-01", 13, "ABC-01 is already in"),
        ("ABC-01", "abc1", 5, "is no ID"),
        ('"A title"', "7", 6, "title has to be text"),
        ('"A title"', '" "', 6, "title has to be text"),
        ("clear: expected", "clear: maybe", 12, "clear is 'maybe'"),
        ("clear: expected", "excluded: 7", 12, "excluded has to be text"),
        ("clear: expected", "left_to_hardware: 7", 12, "left_to_hardware has to be text"),
        ("clear: expected", 'left_to_hardware: " "', 12, "left_to_hardware has to be text"),
        ("clear: expected", 'left_to_hardware: "a"\n    excluded: "b"', 12, "leaves all of itself to hardware, and no part"),
        ('  seed: "000"', '  sed: "000"', 2, "no key 'sed'"),
        ('"A title"', '"A title', 7, "is not YAML"),
        ("behaviours:", "behaviors:", 4, "no key 'behaviors'"),
    ],
)
def test_mistakes_are_named_with_file_and_line(tmp_path: Path, old: str, new: str, line: int, words: str) -> None:
    assert old in GOOD
    with pytest.raises(UsageError) as caught:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert words in str(caught.value)
    assert caught.value.file == str(tmp_path / "x.yaml")
    assert caught.value.line == line


@pytest.mark.parametrize(
    "text", ["", "just text", "source: 1\nbehaviours: []\n", "source: {seed: '0', document: 'x'}\nbehaviours: 3\n"]
)
def test_what_is_no_catalogue_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError):
        load(tmp_path, text)


def test_no_file_unreadable_file_and_binary_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no catalogue"):
        load_catalogue(tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        load_files([tmp_path / "absent.yaml"])
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="UTF-8"):
        load_catalogue(tmp_path)


def test_the_same_id_in_two_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "b.yaml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(UsageError, match=r"ABC-01 is already in .*a\.yaml:5"):
        load_catalogue(tmp_path)


def test_the_projects_own_catalogue_holds_all_rows_of_both_sources() -> None:
    found = load_catalogue(FOLDER)
    demux = [*range(1, 10), *range(10, 30), *range(30, 37), *range(40, 47), *range(50, 70), *range(70, 79)]
    expected = {f"DMX-{n:02}" for n in demux} | {f"NTT-{n:02}" for n in range(1, 36)}
    assert {i for i in found if i[:3] in ("DMX", "NTT")} == expected


def test_every_check_judges_a_row_of_the_catalogue_that_is_to_be_judged() -> None:
    found = load_catalogue(FOLDER)
    for row in CHECKS:
        assert not found[row].recorded_only
        assert found[row].excluded is None
