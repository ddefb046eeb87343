"""What the core's parts work on: the table, the timers, the outside address, and the moment; and how they refuse a packet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from harness.nat.table import Session, Table
from harness.nat.timers import Timers


class Dropped(Exception):
    """The packet at hand goes nowhere; `reason` is what it is counted under."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Translating(Protocol):
    table: Table
    timers: Timers


class HasTranslator(Protocol):
    @property
    def translator(self) -> Translating | None: ...


@dataclass(slots=True)
class _Router:
    """What stands for a translator where nothing is translated."""

    table: Table = field(default_factory=lambda: Table(0))
    timers: Timers = field(default_factory=Timers)


@dataclass(slots=True)
class State:
    """Table and timers are looked up among the parts each time: a fault may have put others there."""

    parts: HasTranslator
    outside: bytes
    now: float = 0.0
    _router: _Router = field(default_factory=_Router)

    @property
    def table(self) -> Table:
        return (self.parts.translator or self._router).table

    @property
    def timers(self) -> Timers:
        return (self.parts.translator or self._router).timers

    def establish(self, protocol: int, leaving: bytes, coming: bytes | None, port: int, remote_port: int) -> Session:
        """A binding of its own for packets of the key `leaving` (inside and remote address first), which keeps its port; answers
        come with the key `coming`. For helpers: the ordinary way is the core's."""
        if self.table.full(self.now):
            raise Dropped("table full")
        inside, remote = leaving[:4], leaving[4:8]
        expires = self.now + self.timers.lifetime(protocol, False)
        binding = self.table.bind((protocol, leaving), protocol, inside, port, self.outside, port, expires)
        binding.created = binding.used = self.now
        return self.table.join(binding, remote, remote_port, leaving, coming)
