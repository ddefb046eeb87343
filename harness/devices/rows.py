"""What was read of a device's output: rows, and each line that was not understood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Rows(Generic[Row]):
    """`rows` in their order; `unread`, word for word, the lines that no rule knows or that belong to a row which is not whole;
    `cut` says in a sentence why the text is held to have been cut off, and is empty where nothing speaks for it. `numbers` are
    those of the unread lines in the text, from 1 on; empty where the parser does not tell them."""

    rows: tuple[Row, ...]
    unread: tuple[str, ...] = ()
    cut: str = ""
    numbers: tuple[int, ...] = ()
