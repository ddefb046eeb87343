"""What every parser of IOS owes: all of a sample is read; whatever is cut off is told; nothing is lost; nothing raises."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ios_families import CASES, FAMILIES, SAMPLES, command

from harness.devices.ios import parse
from harness.devices.ios.commands import COMMANDS
from harness.devices.ios.reading import IN_A_LINE
from harness.devices.rows import Rows

each_sample = pytest.mark.parametrize(("family", "sample"), CASES, ids=lambda one: getattr(one, "stem", None) or one.folder)
each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda one: one.folder)


def told(found: Rows) -> bool:
    return bool(found.unread or found.cut)


def assert_they_are_lines_of(text, found):
    """Every line that was not read is where its number says, and none is told of twice."""
    lines = text.replace("\r", "").split("\n")
    assert list(found.numbers) == sorted(set(found.numbers))
    for number, line in zip(found.numbers, found.unread, strict=True):
        assert line in lines[number - 1]


def test_every_folder_of_samples_belongs_to_a_family():
    folders = {one.name for one in SAMPLES.iterdir() if one.is_dir()}
    assert folders == {family.folder for family in FAMILIES} | {"show_version"}
    assert all(family.samples() for family in FAMILIES)


@each_sample
def test_all_of_a_sample_is_read(family, sample):
    text = sample.read_text()
    found = parse(command(family, sample), text)
    assert not told(found)
    assert len(found.rows) == family.count(text) > 0
    assert parse(command(family, sample), text.replace("\n", "\r\n")) == found
    assert parse(command(family, sample), text + "Router#") == found


@each_sample
def test_wherever_a_sample_is_cut_rows_are_whole_or_told_of(family, sample):
    """The rows of a text that was cut are the first rows of the whole one; a row that had begun is there, or it is told of; a
    text that ends in a line says so."""
    text = sample.read_text()
    whole = [family.same(row) for row in parse(command(family, sample), text).rows]
    for end in range(len(text)):
        part = text[:end]
        found = parse(command(family, sample), part)
        assert [family.same(row) for row in found.rows] == whole[: len(found.rows)], part
        assert len(found.rows) + family.count("\n".join(found.unread)) >= family.count(part), part
        last = part.rpartition("\n")[2]
        if last.strip() and not last.rstrip().endswith("#"):  # that is a prompt
            assert last in found.unread, part
            assert found.cut == IN_A_LINE, part


@each_sample
def test_a_line_in_its_midst_that_nobody_knows_is_kept(family, sample):
    """As when the console's log comes between: it is told of with its number, and takes no row along that stood before it."""
    lines = sample.read_text().split("\n")
    strange = "%SYS-5-CONFIG_I: Configured from console by vty0"
    rows = len(parse(command(family, sample), "\n".join(lines)).rows)
    if family.folder == "running_config":
        return  # there any line without a blank before it begins a section, and is kept as one
    for at in range(1, len(lines)):
        text = "\n".join([*lines[:at], strange, *lines[at:]])
        found = parse(command(family, sample), text)
        assert (at + 1, strange) in zip(found.numbers, found.unread, strict=True)
        assert len(found.rows) >= rows - 1


@each_family
def test_nothing_is_no_rows_and_no_complaint(family):
    for text in ("", "\n", "\r\n\r\n", "Router#", *family.nothing):
        assert parse(family.command, text) == Rows(()), text


@each_family
def test_two_thousand_rows(family):
    text = family.long(2000)
    found = parse(family.command, text)
    assert not told(found)
    assert len(set(found.rows)) == 2000 == family.count(text)
    half = parse(family.command, text[: len(text) // 2])
    assert told(half)
    assert 900 < len(half.rows) < 1100
    assert len(half.rows) >= family.count(text[: len(text) // 2]) - 2


@each_family
def test_a_command_that_the_router_refused(family):
    text = "show cripto\n         ^\n% Invalid input detected at '^' marker.\n\n"
    found = parse(family.command, text)
    assert "% Invalid input detected at '^' marker." in found.unread or family.folder == "running_config"
    assert len(found.rows) == (1 if family.folder == "running_config" else 0)


@each_sample
def test_the_pager_leaves_no_trace(family, sample):
    """--More-- before any line, wiped away by blanks and backspaces, or by a carriage return."""
    lines = sample.read_text().split("\n")
    plain = parse(command(family, sample), "\n".join(lines))
    wipes = (" --More-- " + "\b" * 9 + " " * 8 + "\b" * 9, " --More--\r         \r")
    for at in range(2, len(lines) - 1, 5):
        for wipe in wipes:
            assert parse(command(family, sample), "\n".join([*lines[:at], wipe + lines[at], *lines[at + 1 :]])) == plain
    cut = parse(command(family, sample), "\n".join(lines[:3]) + "\n --More-- ")
    assert cut.cut == "the text ends at --More--"


fragments = st.sampled_from(sorted({line for _, sample in CASES for line in sample.read_text().split("\n")}))
texts = st.lists(fragments | st.text(max_size=40), max_size=25).map("\n".join) | st.text(max_size=200)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(texts)
@example("crypto isakmp policy " + "9" * 5000)
@example("esp 1.1.1.1:0 1.1.1.1:0 1.1.1.1:0 1.1.1.1:" + "F" * 5000 + "\n")
def test_no_parser_raises_and_no_line_is_made_up(text):
    for one in COMMANDS:
        found = one.parse(text)
        assert_they_are_lines_of(text, found)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(CASES), st.data())
def test_a_damaged_sample_raises_nowhere(case, data):
    family, sample = case
    text = sample.read_text()
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    damaged = text[:start] + data.draw(st.text(max_size=5)) + text[end:]
    found = parse(command(family, sample), damaged)
    assert_they_are_lines_of(damaged, found)
