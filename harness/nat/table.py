"""The NAT's table: bindings of an inside endpoint to an outside one, and below each the sessions with remote ends that use it.

Packets are found by 12 bytes as they stand in the header, no parsing between: source, destination and both ports of a packet that
leaves (`leaving`), or comes in (`coming`). Helpers put longer keys there. One timer a binding: RFC 4787 §4.3 speaks of mappings.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeVar

from harness.model import NatMapping
from harness.nat.headers import ESP, ICMP, TCP, UDP, change, dotted

K = TypeVar("K", bound=Hashable)
_NEVER = float("inf")
ADDRESS = 0
"""The "protocol" of a binding of addresses alone, whatever the packet's own."""
NAMES = {UDP: "udp", ICMP: "icmp", ESP: "esp", TCP: "tcp", ADDRESS: "ip"}


class Phase(IntEnum):
    """Of a TCP connection, as far as a NAT follows it (RFC 5382 §5)."""

    OPENING = 0
    ESTABLISHED = 1
    CLOSING = 2


@dataclass(frozen=True, slots=True)
class Mapping(NatMapping):
    """One row of a NAT's table: inside address and port seen outside as outside address and port, towards one remote end.

    `answered`: something came back; `expires_s`: seconds until it is forgotten if nothing more passes. The packet counts are None
    where the NAT keeps none.
    """

    answered: bool
    expires_s: int
    packets_up: int | None = None
    packets_down: int | None = None


@dataclass(slots=True, eq=False)
class Binding:
    """An inside endpoint and the outside port that stands for it. For protocols without ports both are 0, or an SPI.

    `created` and `used` are moments, the latter only where the timers keep it. `static`: nobody but its maker removes it."""

    key: Hashable
    protocol: int
    inside: bytes
    inside_port: int
    outside: bytes
    outside_port: int
    expires: float = 0.0
    answered: bool = False
    removed: bool = False
    created: float = 0.0
    used: float = 0.0
    number: int = 0  # of an entry without a session
    phase: Phase = Phase.OPENING
    static: bool = False
    sessions: list[Session] = field(default_factory=list)
    remotes: set[bytes] = field(default_factory=set)  # addresses that the inside has sent to


@dataclass(slots=True, eq=False)
class Session:
    """What one binding has with one remote end; with it what has to be written into its packets.

    `number` counts entries as they are made; `number_in` is that of the inbound half, where an ESP helper has two.

    `ip_change` and `port_change` are what an outward rewriting adds to the checksums of the IP header and of the ports.
    """

    binding: Binding
    remote: bytes
    remote_port: int
    leaving: bytes
    coming: bytes | None
    address_out: bytes
    port_out: bytes
    address_in: bytes
    port_in: bytes
    ip_change: int
    port_change: int
    spi: int = 0  # that of the packets which come in, where a helper keys by it
    up: int = 0
    down: int = 0
    number: int = 0
    number_in: int = 0
    learnt: float | None = None  # when a helper has learnt how answers come
    highest: int = 0  # of the ESP sequence numbers that came in
    received: int = 0  # bit n: the number `highest` - n came in


class Table:
    """At most `limit` sessions. A session is found by protocol and key; a fault replaces these methods."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.clear()

    def clear(self) -> None:
        self._leaving: dict[int, dict[bytes, Session]] = {}
        self._coming: dict[int, dict[bytes, Session]] = {}
        self._bindings: dict[Hashable, Binding] = {}
        self._by_port: dict[tuple[int, int], list[Binding]] = {}
        self._by_inside: dict[tuple[int, bytes, int], list[Binding]] = {}
        self._timers: list[tuple[float, int, Binding]] = []
        self._stale = 0  # of the timers, those whose binding is gone
        self._order = itertools.count()
        self._numbers = itertools.count(1)
        self.sessions = 0

    # --- finding ---

    def find_leaving(self, now: float, protocol: int, key: bytes) -> Session | None:
        return self._live(now, self._leaving.get(protocol, {}).get(key))

    def find_coming(self, now: float, protocol: int, key: bytes) -> Session | None:
        return self._live(now, self._coming.get(protocol, {}).get(key))

    def _live(self, now: float, session: Session | None) -> Session | None:
        if session is not None and session.binding.expires <= now:
            self.remove(session.binding)
            return None
        return session

    def binding(self, now: float, key: Hashable) -> Binding | None:
        found = self._bindings.get(key)
        if found is not None and found.expires <= now:
            self.remove(found)
            return None
        return found

    def on_port(self, now: float, protocol: int, port: int) -> list[Binding]:
        """The live bindings that have this outside port, oldest first."""
        return [one for one in self._by_port.get((protocol, port), ()) if one.expires > now]

    def of_inside(self, protocol: int, inside: bytes, port: int) -> list[Binding]:
        """The bindings of one inside endpoint, oldest first."""
        return self._by_inside.get((protocol, inside, port), [])

    def full(self, now: float) -> bool:
        if self.sessions >= self.limit:
            self.expire(now)
        return self.sessions >= self.limit

    # --- changing ---

    def bind(
        self, key: Hashable, protocol: int, inside: bytes, inside_port: int, outside: bytes, outside_port: int, expires: float
    ) -> Binding:
        """A new binding, in place of one of the same key."""
        if (old := self._bindings.get(key)) is not None:
            self.remove(old)
        made = Binding(key, protocol, inside, inside_port, outside, outside_port, expires)
        self._bindings[key] = made
        self._by_port.setdefault((protocol, outside_port), []).append(made)
        self._by_inside.setdefault((protocol, inside, inside_port), []).append(made)
        heapq.heappush(self._timers, (expires, next(self._order), made))
        return made

    def join(self, binding: Binding, remote: bytes, remote_port: int, leaving: bytes, coming: bytes | None) -> Session:
        """A new session of `binding`. Where another has `coming` already, answers go to the new one from now on."""
        port_out, port_in = ((port & 0xFFFF).to_bytes(2) for port in (binding.outside_port, binding.inside_port))
        made = Session(
            binding, remote, remote_port, leaving, coming, binding.outside, port_out, binding.inside, port_in,
            change(binding.inside, binding.outside), change(port_in, port_out),
        )  # fmt: skip
        if coming is not None and binding.protocol == ESP:
            made.number_in = next(self._numbers)
        made.number = next(self._numbers)
        binding.sessions.append(made)
        binding.remotes.add(remote)
        self._leaving.setdefault(binding.protocol, {})[leaving] = made
        if coming is not None:
            self._coming.setdefault(binding.protocol, {})[coming] = made
        self.sessions += 1
        return made

    def next_number(self) -> int:
        """For an entry without a session."""
        return next(self._numbers)

    def answer_to(self, session: Session, coming: bytes) -> None:
        """From now on packets of the key `coming` belong to `session`, and of no other (a helper has learnt it)."""
        known = self._coming.setdefault(session.binding.protocol, {})
        if session.coming is not None and known.get(session.coming) is session:
            del known[session.coming]
        session.coming = coming
        session.number_in = next(self._numbers)
        known[coming] = session

    def remove(self, binding: Binding) -> None:
        if binding.removed:
            return
        binding.removed = True
        leaving, coming = self._leaving.get(binding.protocol, {}), self._coming.get(binding.protocol, {})
        for session in binding.sessions:
            # Another may have taken the place: only one's own is taken away.
            if leaving.get(session.leaving) is session:
                del leaving[session.leaving]
            if session.coming is not None and coming.get(session.coming) is session:
                del coming[session.coming]
        self.sessions -= len(binding.sessions)
        if self._bindings.get(binding.key) is binding:
            del self._bindings[binding.key]
        _drop(self._by_port, (binding.protocol, binding.outside_port), binding)
        _drop(self._by_inside, (binding.protocol, binding.inside, binding.inside_port), binding)
        self._stale += 1
        if self._stale > 64 and self._stale > len(self._timers) // 2:
            self._timers = [entry for entry in self._timers if not entry[2].removed]
            heapq.heapify(self._timers)
            self._stale = 0

    def forget(self, inside: bytes | None) -> int:
        """Removes one client's bindings, or all; returns how many sessions that were."""
        before = self.sessions
        for binding in [one for one in self._bindings.values() if inside is None or one.inside == inside]:
            self.remove(binding)
        return before - self.sessions

    def expire(self, now: float) -> None:
        while self._timers and self._timers[0][0] <= now:
            _, _, binding = heapq.heappop(self._timers)
            if binding.removed:
                self._stale -= 1
            elif binding.expires <= now:
                self.remove(binding)
                self._stale -= 1
            else:
                heapq.heappush(self._timers, (binding.expires, next(self._order), binding))

    @property
    def deadline(self) -> float | None:
        """When to look for what has expired: not later than the first to expire, earlier where that one was used since."""
        while self._timers and self._timers[0][2].removed:
            heapq.heappop(self._timers)
            self._stale -= 1
        return self._timers[0][0] if self._timers and self._timers[0][0] != _NEVER else None

    # --- telling ---

    def live(self, now: float) -> list[Binding]:
        """The bindings that have not expired, oldest first."""
        return [one for one in self._bindings.values() if one.expires > now]

    def rows(self, now: float) -> tuple[Mapping, ...]:
        """All live sessions, by inside address and port."""
        return tuple(sorted(self._rows(now), key=_place))

    def _rows(self, now: float) -> Iterator[Mapping]:
        for binding in self._bindings.values():
            if binding.expires <= now:
                continue
            for one in binding.sessions:
                yield Mapping(
                    NAMES.get(binding.protocol, str(binding.protocol)),
                    dotted(binding.inside),
                    one.spi or binding.inside_port,
                    dotted(binding.outside),
                    one.spi or binding.outside_port,
                    dotted(one.remote),
                    one.remote_port,
                    one.down > 0,
                    _whole(binding.expires - now),
                    one.up,
                    one.down,
                )


def _whole(seconds: float) -> int:
    """What has no end is told as the most that 32 bits hold."""
    return int(min(seconds, 2**31 - 1))


def _drop(index: dict[K, list[Binding]], key: K, one: Binding) -> None:
    left = [other for other in index[key] if other is not one]
    if left:
        index[key] = left
    else:
        del index[key]


def _place(row: Mapping) -> tuple[tuple[int, ...], int, str, int]:
    return tuple(map(int, row.inside_address.split("."))), row.inside_port, row.remote_address, row.remote_port
