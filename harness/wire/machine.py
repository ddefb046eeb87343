"""State machines as tables.

A table maps (state, event) to (actions, next state), for either role: the same file serves initiator and responder, LAC and
LNS. A pair that is absent is a protocol error, so that what is not foreseen is never silently accepted; `Table.unlisted()`
lists those pairs for the test that enumerates them and for the diagrams in docs/.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from harness.errors import ProtocolError

S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)
A = TypeVar("A", bound=Enum)


@dataclass(frozen=True, slots=True)
class Table(Generic[S, E, A]):
    """`rows` maps (state, event) to (actions in order, next state)."""

    name: str
    states: type[S]
    events: type[E]
    initial: S
    rows: Mapping[tuple[S, E], tuple[tuple[A, ...], S]]

    def unlisted(self) -> tuple[tuple[S, E], ...]:
        return tuple((s, e) for s in self.states for e in self.events if (s, e) not in self.rows)


class Machine(Generic[S, E, A]):
    """One running instance of a table. `fire` moves it and returns the actions; the owner carries them out in order."""

    __slots__ = ("state", "table")

    def __init__(self, table: Table[S, E, A]) -> None:
        self.table = table
        self.state: S = table.initial

    def fire(self, event: E) -> tuple[A, ...]:
        """Raises ProtocolError, and leaves the state as it was, where the table has no row."""
        row = self.table.rows.get((self.state, event))
        if row is None:
            raise ProtocolError(self.table.name, f"{event.name} is not expected in state {self.state.name}")
        actions, self.state = row
        return actions
