"""Which outside port a new binding gets (RFC 4787 §4.2): the choice, from a range, of one that `free` says can be had."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from harness.nat.draws import Draws

Free = Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class PortRange:
    """The outside ports from `first` to `last`, both included. `low_stay_low` is what masquerade does where it is given no range:
    ports below 512 are mapped to 1…511, those below 1024 to 600…1023 (net/netfilter/nf_nat_core.c, nf_nat_l4proto_unique_tuple)."""

    first: int
    last: int
    low_stay_low: bool = False

    def of(self, port: int) -> range:
        """Where the outside port for this inside port may lie."""
        if self.low_stay_low and port < 512:
            return range(1, 512)
        if self.low_stay_low and port < 1024:
            return range(600, 1024)
        return range(self.first, self.last + 1)


class Allocator(Protocol):
    ports: PortRange

    def choose(self, port: int, siblings: Iterable[int], free: Free) -> int | None:
        """An outside port for inside port `port`; None where there is none. `siblings`: those that this endpoint has already."""

    def reset(self) -> None:
        """Begin anew, as after a reboot."""


def _from(ports: range, start: int) -> Iterator[int]:
    """Every port of the range, from index `start` on and around."""
    yield from ports[start:]
    yield from ports[:start]


class Sequential:
    """The next free one after the last that was given, from the first on."""

    def __init__(self, ports: PortRange) -> None:
        self.ports = ports
        self.reset()

    def reset(self) -> None:
        self._next: dict[int, int] = {}  # by the first port of the range

    def choose(self, port: int, siblings: Iterable[int], free: Free) -> int | None:
        ports = self.ports.of(port)
        start = self._next.get(ports.start, 0)
        chosen = next(filter(free, _from(ports, start % len(ports))), None)
        if chosen is not None:
            self._next[ports.start] = chosen - ports.start + 1
        return chosen


class Preserving:
    """The inside port itself; where it is taken, the next free one above it. A port outside the range is kept too where it is free:
    that is what preserving means for 500."""

    def __init__(self, ports: PortRange) -> None:
        self.ports = ports

    def reset(self) -> None:
        """Nothing is remembered."""

    def choose(self, port: int, siblings: Iterable[int], free: Free) -> int | None:
        if free(port):
            return port
        ports = self.ports.of(port)
        return next(filter(free, _from(ports, port - ports.start if port in ports else 0)), None)


class Random:
    """A free one by chance."""

    def __init__(self, ports: PortRange, draws: Draws) -> None:
        self.ports = ports
        self._draws = draws

    def reset(self) -> None:
        """Nothing is remembered but where in its numbers it is."""

    def choose(self, port: int, siblings: Iterable[int], free: Free) -> int | None:
        ports = self.ports.of(port)
        return next(filter(free, _from(ports, self._draws.below(len(ports)))), None)


class Kernel(Random):
    """What conntrack does: the port that this endpoint has already towards another remote end, else its own, where they lie in the
    range and are free; else one by chance (nf_nat_core.c, get_unique_tuple)."""

    def choose(self, port: int, siblings: Iterable[int], free: Free) -> int | None:
        ports = self.ports.of(port)
        kept = next((one for one in (*siblings, port) if one in ports and free(one)), None)
        return super().choose(port, (), free) if kept is None else kept


class PortGroups:
    """What IOS does: the port that this endpoint has already, else its own; where that is taken, the first free one of its group,
    counted from the group's beginning: 1 to 511, 512 to 1023, or 1024 and above (Cisco, NAT frequently asked questions)."""

    GROUPS = (range(1, 512), range(512, 1024), range(1024, 65536))

    def __init__(self, ports: PortRange) -> None:
        self.ports = ports

    def reset(self) -> None:
        """Nothing is remembered."""

    def choose(self, port: int, siblings: Iterable[int], free: Free) -> int | None:
        allowed = range(self.ports.first, self.ports.last + 1)
        kept = next((one for one in (*siblings, port) if one in allowed and free(one)), None)
        if kept is not None:
            return kept
        group = next((one for one in self.GROUPS if port in one), self.GROUPS[0])
        within = range(max(group.start, allowed.start), min(group.stop, allowed.stop))
        return next(filter(free, within or allowed), None)


KINDS = ("kernel", "preserving", "sequential", "random", "port-groups")


def allocator(kind: str, ports: PortRange, draws: Draws) -> Allocator:
    """The allocator called `kind`, one of KINDS."""
    if kind == "kernel":
        return Kernel(ports, draws)
    if kind == "port-groups":
        return PortGroups(ports)
    if kind == "random":
        return Random(ports, draws)
    return Preserving(ports) if kind == "preserving" else Sequential(ports)
