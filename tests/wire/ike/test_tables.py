"""Every (state, event) pair of both tables: what happens, or that it is an error which leaves the state alone."""

from __future__ import annotations

from enum import Enum
from itertools import product
from typing import Any

import pytest

from harness.errors import ProtocolError
from harness.wire.ike import aggressive_mode_table, main_mode_table, quick_mode_table
from harness.wire.ike.aggressive_mode import _ACTIONS as AGGRESSIVE_ACTIONS
from harness.wire.ike.main_mode import _ACTIONS as MAIN_ACTIONS
from harness.wire.ike.quick_mode import _ACTIONS as QUICK_ACTIONS
from harness.wire.machine import Machine, Table

# (state, event) → next state, written down by hand from RFC 2409 §5.4 and §5.5; whatever is not here is an error.
MAIN = {
    "IDLE": {"START": "WAIT_MM2", "MM1": "WAIT_MM3"},
    "WAIT_MM2": {"MM2": "WAIT_MM4", "SILENCE": "ENDED", "REFUSAL": "ENDED", "CLOSE": "ENDED"},
    "WAIT_MM3": {"MM3": "WAIT_MM5", "SILENCE": "ENDED", "REFUSAL": "ENDED", "CLOSE": "ENDED"},
    "WAIT_MM4": {"MM4": "WAIT_MM6", "SILENCE": "ENDED", "REFUSAL": "ENDED", "CLOSE": "ENDED"},
    "WAIT_MM5": {"MM5": "ESTABLISHED", "SILENCE": "ENDED", "REFUSAL": "ENDED", "CLOSE": "ENDED"},
    "WAIT_MM6": {"MM6": "ESTABLISHED", "SILENCE": "ENDED", "REFUSAL": "ENDED", "CLOSE": "ENDED"},
    "ESTABLISHED": {"CLOSE": "ENDED", "DELETED": "ENDED"},
    "ENDED": {},
}
AGGRESSIVE = {
    "IDLE": {"START": "WAIT_AM2", "AM1": "WAIT_AM3"},
    "WAIT_AM2": {"AM2": "ESTABLISHED", "SILENCE": "ENDED", "REFUSAL": "ENDED", "CLOSE": "ENDED"},
    "WAIT_AM3": {"AM3": "ESTABLISHED", "SILENCE": "ENDED", "REFUSAL": "ENDED", "CLOSE": "ENDED"},
    "ESTABLISHED": {"CLOSE": "ENDED", "DELETED": "ENDED"},
    "ENDED": {},
}
QUICK = {
    "IDLE": {"START": "WAIT_QM2", "QM1": "WAIT_QM3"},
    "WAIT_QM2": {"QM2": "INSTALLED", "SILENCE": "ENDED", "REFUSAL": "ENDED", "CLOSE": "ENDED"},
    "WAIT_QM3": {"QM3": "INSTALLED", "SILENCE": "ENDED", "REFUSAL": "ENDED", "CLOSE": "ENDED"},
    "INSTALLED": {"CLOSE": "ENDED"},
    "ENDED": {},
}
Rows = dict[str, dict[str, str]]
TABLES: list[tuple[Table[Any, Any, Any], Rows]] = [
    (main_mode_table.TABLE, MAIN),
    (aggressive_mode_table.TABLE, AGGRESSIVE),
    (quick_mode_table.TABLE, QUICK),
]
PAIRS = [
    pytest.param(table, expected, state, event, id=f"{table.name}: {state.value} + {event.value}")
    for table, expected in TABLES
    for state, event in product(table.states, table.events)
]


@pytest.mark.parametrize(("table", "expected", "state", "event"), PAIRS)
def test_every_pair(table: Table[Any, Any, Any], expected: dict[str, dict[str, str]], state: Enum, event: Enum) -> None:
    machine: Machine[Any, Any, Any] = Machine(table)
    machine.state = state
    following = expected[state.name].get(event.name)
    if following is None:
        with pytest.raises(ProtocolError):
            machine.fire(event)
        assert machine.state is state
        assert (state, event) in table.unlisted()
    else:
        machine.fire(event)
        assert machine.state.name == following


@pytest.mark.parametrize(("table", "expected"), TABLES)
def test_the_machine_starts_idle(table: Table[Any, Any, Any], expected: dict[str, dict[str, str]]) -> None:
    assert Machine(table).state.name == "IDLE"
    assert expected.keys() == {state.name for state in table.states}


def test_every_action_can_be_carried_out_and_every_action_is_used() -> None:
    every_table: list[tuple[Table[Any, Any, Any], set[Any]]] = [
        (main_mode_table.TABLE, set(MAIN_ACTIONS)),
        (aggressive_mode_table.TABLE, set(AGGRESSIVE_ACTIONS)),
        (quick_mode_table.TABLE, set(QUICK_ACTIONS)),
    ]
    for table, carried_out in every_table:
        used = {action for actions, _ in table.rows.values() for action in actions}
        assert used == carried_out
