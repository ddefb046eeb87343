"""NAT without overload: an outside address of its own for each inside host, whatever protocol it speaks (ESN-01, ESN-55).

Ports, identifiers and SPIs stay, so that ESP passes without anybody knowing of it. A host has its address by a static translation,
or gets the first of the pool that is free and keeps it until the entry's time is up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.nat.ios.access_list import AccessList
from harness.nat.ios.timers import NEVER
from harness.nat.state import Dropped, State
from harness.nat.table import ADDRESS, Session

_ANYBODY = bytes(4)


class OneToOne:
    """`pool` is None for the NAT's own outside address alone. `permitted`: who may have one of the pool; None for everybody."""

    def __init__(
        self,
        pool: Sequence[bytes] | None = None,
        permitted: AccessList | None = None,
        statics: Mapping[bytes, bytes] | None = None,
    ) -> None:
        self.pool = pool
        self.permitted = permitted
        self.statics = dict(statics or {})
        """inside address → outside address"""

    def outward(self, state: State, packet: bytes) -> Session | None:
        """None where this host has no address of its own and can get none."""
        inside = packet[12:16]
        found = state.table.find_leaving(state.now, ADDRESS, inside)
        if found is not None:
            return found
        if (outside := self.statics.get(inside)) is not None:
            return self._bind(state, inside, outside, static=True)
        if self.permitted is not None and not self.permitted.permits(inside, packet[16:20]):
            return None
        taken = set(self.statics.values())
        for outside in self._pool(state):
            if outside not in taken and state.table.find_coming(state.now, ADDRESS, outside) is None:
                return self._bind(state, inside, outside, static=False)
        return None

    def inward(self, state: State, packet: bytes) -> Session | None:
        """None where nobody has this address."""
        outside = packet[16:20]
        found = state.table.find_coming(state.now, ADDRESS, outside)
        if found is None:
            for inside, own in self.statics.items():
                if own == outside:
                    return self._bind(state, inside, own, static=True)
        return found

    def install(self, state: State) -> None:
        """Puts the static translations into the table, where they are shown from the first moment on."""
        for inside, outside in self.statics.items():
            if state.table.find_leaving(state.now, ADDRESS, inside) is None:
                self._bind(state, inside, outside, static=True)

    def outsides(self) -> tuple[bytes, ...]:
        """The addresses that are not the NAT's own interface's."""
        return (*self.statics.values(), *(self.pool or ()))

    def _pool(self, state: State) -> Sequence[bytes]:
        return (state.outside,) if self.pool is None else self.pool

    def _bind(self, state: State, inside: bytes, outside: bytes, *, static: bool) -> Session:
        if not static and state.table.full(state.now):
            raise Dropped("table full")
        life = NEVER if static else state.timers.lifetime(ADDRESS, False)
        binding = state.table.bind((ADDRESS, inside), ADDRESS, inside, 0, outside, 0, state.now + life)
        binding.created = binding.used = state.now
        binding.static = static
        return state.table.join(binding, _ANYBODY, 0, inside, outside)
