"""Connections that an application gateway has announced: from outside, towards an inside endpoint that was named in a payload."""

from __future__ import annotations

from harness.nat.allocator import Allocator
from harness.nat.state import Dropped, State
from harness.nat.table import Binding, Session

KEY = "expected"


class Expectations:
    """An expected endpoint is a binding without a session: it has its outside port from the moment at which that is told to the
    other end, and gets its first session from there. It ends as entries of its protocol do."""

    def __init__(self, allocator: Allocator) -> None:
        self.allocator = allocator

    def expect(self, state: State, protocol: int, inside: bytes, port: int, remote: bytes | None) -> int:
        """The outside port for packets from `remote` (None: from anywhere) to the inside endpoint. `Dropped` where none is left."""
        table = state.table
        key = (KEY, protocol, inside, port, remote)
        known = table.binding(state.now, key)
        if known is not None:
            return known.outside_port
        if table.full(state.now) or sum(1 for one in table.live(state.now) if is_expected(one)) >= table.limit:
            raise Dropped("table full")

        def free(outside_port: int) -> bool:
            return all((one.inside, one.inside_port) == (inside, port) for one in table.on_port(state.now, protocol, outside_port))

        siblings = (one.outside_port for one in table.of_inside(protocol, inside, port))
        chosen = self.allocator.choose(port, siblings, free)
        if chosen is None:
            raise Dropped("no port")
        expires = state.now + state.timers.lifetime(protocol, False)
        made = table.bind(key, protocol, inside, port, state.outside, chosen, expires)
        made.created = made.used = state.now
        made.number = table.next_number()
        return chosen

    def admit(self, state: State, protocol: int, key: bytes, outside_port: int) -> Session | None:
        """A session for a packet of the key `key` that comes in at an expected endpoint, or None."""
        table = state.table
        for binding in table.on_port(state.now, protocol, outside_port):
            if is_expected(binding) and binding.key[4] in (None, key[:4]):  # type: ignore[index]
                if table.full(state.now):
                    raise Dropped("table full")
                leaving = binding.inside + key[:4] + binding.inside_port.to_bytes(2) + key[8:10]
                return table.join(binding, key[:4], int.from_bytes(key[8:10]), leaving, key)
        return None


def is_expected(binding: Binding) -> bool:
    return isinstance(binding.key, tuple) and binding.key[:1] == (KEY,)
