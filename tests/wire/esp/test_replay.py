"""The replay window against a model that remembers everything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ProtocolError
from harness.wire.esp.replay import SIZE, ReplayWindow


def accepts(window: ReplayWindow, sequence: int) -> bool:
    try:
        window.check(sequence)
    except ProtocolError:
        return False
    window.mark(sequence)
    return True


@given(st.lists(st.one_of(st.integers(0, 200), st.integers(0, 2**32 - 1)), max_size=60))
def test_the_window_is_the_set_of_the_last_64(sequences: list[int]) -> None:
    window, seen = ReplayWindow(), set[int]()
    for sequence in sequences:
        wanted = sequence > 0 and sequence not in seen and sequence > max(seen, default=0) - SIZE
        assert accepts(window, sequence) == wanted
        if wanted:
            seen.add(sequence)


@pytest.mark.parametrize(("sequence", "wanted"), [(100, False), (99, True), (37, True), (36, False), (101, True), (0, False)])
def test_the_edges_of_the_window(sequence: int, wanted: bool) -> None:
    window = ReplayWindow()
    assert accepts(window, 100)
    assert accepts(window, sequence) == wanted


def test_a_check_alone_changes_nothing() -> None:
    window = ReplayWindow()
    window.check(5)
    window.check(5)
    assert window.highest == 0
