"""Standard output that its reader may close, as `| head` does."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TextIO


class Outlet:
    """Stands in for a text stream. Once its reader is gone, what is written is dropped, and `on_closed` was called, once."""

    def __init__(self, stream: TextIO, on_closed: Callable[[], object]) -> None:
        self._stream = stream
        self._on_closed = on_closed
        self.closed_by_reader = False

    def write(self, text: str) -> int:
        if not self.closed_by_reader:
            try:
                return self._stream.write(text)
            except BrokenPipeError:
                self._lost()
        return len(text)

    def flush(self) -> None:
        if not self.closed_by_reader:
            try:
                self._stream.flush()
            except BrokenPipeError:
                self._lost()

    def _lost(self) -> None:
        self.closed_by_reader = True
        self._on_closed()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def drain(stream: TextIO) -> None:
    """Let go of what a stream still holds for a reader that is gone, so that nothing complains of it at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
    stream.flush()
