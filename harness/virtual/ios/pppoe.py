"""Callers that come to a virtual IOS router by Ethernet: PPPoE's sessions as lines of the router's, so that what becomes of a call
is decided where it is for every other line (`vpdn.lac`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from harness.errors import ProtocolError
from harness.virtual.ios.core import IosCore
from harness.virtual.ios.meaning_pppoe import PppoeAccess
from harness.virtual.links import Terms
from harness.wire.config import Entropy
from harness.wire.pppoe import Arrived, Closed, Concentrator, Opened

Frames = list[tuple[int, bytes | None]]
"""PPP frames by line; None: the line goes down."""


class PppoeLines:
    """`attach` says which of the router's interfaces there are, and their hardware addresses. `counters`: "malformed", "dropped"
    (PPP frames too long for Ethernet)."""

    def __init__(self, core: Callable[[], IosCore], entropy: Entropy) -> None:
        self.counters: Counter[str] = Counter()
        self._core = core
        self._entropy = entropy
        self._addresses: dict[str, bytes] = {}
        self._accesses: dict[str, PppoeAccess] = {}
        self._concentrators: dict[str, Concentrator] = {}
        self._lines: dict[int, tuple[str, int]] = {}  # line → interface and session
        self._frames: list[tuple[str, bytes]] = []

    def attach(self, interface: str, address: bytes) -> None:
        self._addresses[interface] = address
        self._build(interface)

    def configure(self, now: float, accesses: Iterable[PppoeAccess]) -> None:
        """An interface whose calls are taken otherwise from now on begins anew: those that are up there end."""
        wanted = {one.interface: one for one in accesses}
        changed = [name for name in {*wanted, *self._accesses} if wanted.get(name) != self._accesses.get(name)]
        for name in changed:
            for line, (interface, session) in tuple(self._lines.items()):
                if interface == name:
                    self._concentrators[name].end(session)
                    del self._lines[line]
                    self._core().lose_carrier(now, line)
            self._collect(name)
        self._accesses = wanted
        for name in changed:
            self._build(name)

    def forget(self) -> None:
        """The router is down: its sessions are gone, and nobody is told."""
        self._lines.clear()
        self._frames.clear()
        for name in self._addresses:
            self._build(name)

    def receive(self, now: float, interface: str, frame: bytes) -> None:
        """An Ethernet frame of PPPoE's."""
        concentrator = self._concentrators.get(interface)
        if concentrator is None:
            return
        try:
            concentrator.receive(frame)
        except ProtocolError:
            self.counters["malformed"] += 1
        for event in concentrator.take_events():
            match event:
                case Opened():
                    access = self._accesses[interface]
                    pool = None if access.pool is None else self._core().pool_between(*access.pool)
                    terms = Terms(access.authentication, pool=pool, lists=access.lists, ethernet=True)
                    self._lines[self._core().dial_in(now, terms)] = interface, event.session
                case Arrived():
                    if (line := self._line(interface, event.session)) is not None:
                        self._core().receive_line(now, line, event.frame)
                case Closed():
                    if (line := self._line(interface, event.session)) is not None:
                        del self._lines[line]
                        self._core().lose_carrier(now, line)
        self._collect(interface)

    def carry(self, frames: Frames) -> Frames:
        """Those for lines of its own go to their callers; the others are returned."""
        left: Frames = []
        for line, frame in frames:
            if line not in self._lines:
                left.append((line, frame))
                continue
            interface, session = self._lines[line]
            if frame is None:
                del self._lines[line]
                self._concentrators[interface].end(session)
            else:
                try:
                    self._concentrators[interface].send(session, frame)
                except ProtocolError:
                    self.counters["dropped"] += 1
            self._collect(interface)
        return left

    def take_frames(self) -> list[tuple[str, bytes]]:
        """Ethernet frames to send, by interface."""
        taken, self._frames = self._frames, []
        return taken

    # --- within ---

    def _build(self, interface: str) -> None:
        self._concentrators.pop(interface, None)
        access, address = self._accesses.get(interface), self._addresses.get(interface)
        if access is not None and address is not None:
            self._concentrators[interface] = Concentrator(
                access.name, address, self._entropy, most=access.most, per_host=access.per_host
            )

    def _line(self, interface: str, session: int) -> int | None:
        return next((line for line, where in self._lines.items() if where == (interface, session)), None)

    def _collect(self, interface: str) -> None:
        if (concentrator := self._concentrators.get(interface)) is not None:
            self._frames += ((interface, frame) for frame in concentrator.take_frames())
