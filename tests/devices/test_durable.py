"""JSON lines that outlive their writer, and the moment at which it is killed."""

from __future__ import annotations

import os

import pytest

from harness.devices import durable


def test_lines_are_whole_and_come_back_in_order(tmp_path):
    file = tmp_path / "deep" / "book.jsonl"
    for value in ({"n": 1}, {"n": 2, "name": "a\nb ü"}):
        durable.append_to(file, value)
    assert list(durable.lines(file)) == [(1, {"n": 1}), (2, {"n": 2, "name": "a\nb ü"})]
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(durable.lines(tmp_path / "none")) == []


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_torn_line_is_passed_over_and_ends_before_the_next(tmp_path, cut):
    file = tmp_path / "book.jsonl"
    durable.append_to(file, {"n": 1})
    durable.append_to(file, {"n": 2})
    whole = file.stat().st_size
    os.truncate(file, whole - cut)
    durable.append_to(file, {"n": 3})
    kept = [1, 2, 3] if cut == 1 else [1, 3]  # of the last line its end alone was missing
    assert [value["n"] for _, value in durable.lines(file)] == kept


def test_a_line_is_on_the_disk_when_append_returns_and_a_new_files_name_too(tmp_path, monkeypatch):
    synced, real = [], os.fsync

    def fsync(handle):
        synced.append(os.path.realpath(f"/proc/self/fd/{handle}"))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    file = tmp_path / "book.jsonl"
    durable.append_to(file, 1)
    assert synced == [str(file), str(tmp_path)]
    durable.append_to(file, 2)
    assert synced[2:] == [str(file)]


def test_a_line_that_does_not_fit_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "write", lambda handle, data: len(data) - 1)
    with pytest.raises(OSError, match="No space left"):
        durable.append_to(tmp_path / "book.jsonl", {"n": 1})
