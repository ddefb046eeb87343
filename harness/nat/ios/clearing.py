"""`clear ip nat translation` in all its forms, as typed calls; reading the command's words is the CLI's (ESN-59…63)."""

from __future__ import annotations

from dataclasses import dataclass

from harness.model.nat_entries import NatEntry, Place
from harness.nat.core import NatCore
from harness.nat.ios.entries import of_binding


@dataclass(frozen=True, slots=True)
class Clearing:
    """What is cleared. All None is `*`: every dynamic entry. `inside` is (global, local), `outside` (local, global), as they stand
    in the command. A place without a port is all of its address's; an ESP entry's is its SPI, or 0. `protocol` as it is shown."""

    protocol: str | None = None
    inside: tuple[Place, Place] | None = None
    outside: tuple[Place, Place] | None = None

    def names(self, entry: NatEntry) -> bool:
        return (
            self.protocol in (None, entry.protocol)
            and (self.inside is None or _both(self.inside, entry.inside_global, entry.inside_local))
            and (self.outside is None or _both(self.outside, entry.outside_local, entry.outside_global))
        )


EVERYTHING = Clearing()


def clear(core: NatCore, now: float, what: Clearing = EVERYTHING) -> int:
    """Removes the entries that `what` names, and for ESP the other half with them, however much time they have left; how many went.
    Static translations stay. Packets that waited for one of them are tried anew."""
    core.tick(now)
    how = core.parts.translator
    if how is None:
        return 0
    gone = 0
    for binding in how.table.live(now):
        entries = of_binding(core, binding)
        if not binding.static and any(map(what.names, entries)):
            gone += len(entries)
            how.table.remove(binding)
    core.retry()
    return gone


def _both(wanted: tuple[Place, Place], first: Place | None, second: Place | None) -> bool:
    return _is(wanted[0], first) and _is(wanted[1], second)


def _is(wanted: Place, place: Place | None) -> bool:
    if place is None or wanted.address != place.address:
        return False
    if wanted.spi is not None:
        return wanted.spi == place.spi
    return wanted.port in (None, place.port, place.spi) or (wanted.port == 0 and place.port is None)
