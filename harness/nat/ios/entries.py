"""The NAT's state as IOS shows it: `show ip nat translations`, as values. Nothing here changes anything.

ESP has two entries a tunnel, as in the source's sample: one with the outbound SPI at the outside global place, one with the inbound
SPI at the inside local place. The sample's first has a flag 0x100000, use_count 1 and no time left; its second has the time and the
mapping's number. Derived from that: the outbound entry has no timer of its own once the inbound one rests on it, and both end
together. One that is half open has the timer itself, and nothing rests on it.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.model.nat_entries import NatEntry, Place
from harness.nat.core import NatCore
from harness.nat.headers import ESP, ICMP, TCP, dotted
from harness.nat.ios.expectations import is_expected
from harness.nat.table import ADDRESS, NAMES, Binding, Phase, Session

EXTENDED, ESP_OUTBOUND, STATIC, TIMING_OUT = "extended", "0x100000", "static", "timing-out"
SIMPLE = "---"


def translations(core: NatCore, vrf: str = "") -> tuple[NatEntry, ...]:
    """All entries as of the last call that said what time it is, the newest first. Entries that would be shown alike, such as those
    of several cookies of one host, are one."""
    how = core.parts.translator
    if how is None:
        return ()
    shown: dict[tuple[object, ...], NatEntry] = {}
    for binding in how.table.live(core.now):
        for entry in _entries(binding, core.now, how.map_id, vrf):
            shown[entry.protocol, entry.inside_global, entry.inside_local, entry.outside_global] = entry
    return tuple(sorted(shown.values(), key=lambda one: -one.entry_id))


def of_binding(core: NatCore, binding: Binding) -> tuple[NatEntry, ...]:
    """The entries that end when this binding does."""
    how = core.parts.translator
    return tuple(_entries(binding, core.now, None if how is None else how.map_id, ""))


def _entries(binding: Binding, now: float, map_id: int | None, vrf: str) -> Iterator[NatEntry]:
    if binding.protocol == ADDRESS:
        yield from (_simple(one, now, map_id, vrf) for one in binding.sessions)
    elif binding.protocol == ESP:
        for one in binding.sessions:
            yield from _esp(one, now, map_id, vrf)
    elif binding.sessions:
        yield from (_extended(one, now, map_id, vrf) for one in binding.sessions)
    elif is_expected(binding):
        yield _awaited(binding, now, map_id, vrf)


def _extended(one: Session, now: float, map_id: int | None, vrf: str) -> NatEntry:
    binding = one.binding
    remote_port = binding.outside_port if binding.protocol == ICMP else one.remote_port
    remote = Place(dotted(one.remote), remote_port)
    closing = binding.protocol == TCP and binding.phase is Phase.CLOSING
    return NatEntry(
        NAMES.get(binding.protocol, str(binding.protocol)),
        Place(dotted(binding.outside), binding.outside_port),
        Place(dotted(binding.inside), binding.inside_port),
        Place(dotted(one.remote), binding.inside_port) if binding.protocol == ICMP else remote,
        remote,
        *_times(binding, now),
        map_id,
        (EXTENDED, TIMING_OUT) if closing else (EXTENDED,),
        0,
        one.number,
        vrf=vrf,
    )


def _awaited(binding: Binding, now: float, map_id: int | None, vrf: str) -> NatEntry:
    return NatEntry(
        NAMES.get(binding.protocol, str(binding.protocol)),
        Place(dotted(binding.outside), binding.outside_port),
        Place(dotted(binding.inside), binding.inside_port),
        None,
        None,
        *_times(binding, now),
        map_id,
        (EXTENDED,),
        0,
        binding.number,
        vrf=vrf,
    )


def _simple(one: Session, now: float, map_id: int | None, vrf: str) -> NatEntry:
    binding = one.binding
    return NatEntry(
        SIMPLE,
        Place(dotted(binding.outside)),
        Place(dotted(binding.inside)),
        None,
        None,
        *_times(binding, now),
        None if binding.static else map_id,
        (STATIC,) if binding.static else ("none",),
        0,
        one.number,
        vrf=vrf,
    )


def _esp(one: Session, now: float, map_id: int | None, vrf: str) -> Iterator[NatEntry]:
    binding, remote = one.binding, dotted(one.remote)
    outside, inside = Place(dotted(binding.outside), 0), dotted(binding.inside)
    created, used, left = _times(binding, now)
    whole = one.coming is not None and one.number_in > 0
    yield NatEntry(
        "esp",
        outside,
        Place(inside, 0),
        Place(remote, 0),
        Place(remote, spi=one.remote_port),
        created,
        used,
        None if whole else left,
        None if whole else map_id,
        (EXTENDED, ESP_OUTBOUND),
        int(whole),
        one.number,
        vrf=vrf,
    )
    if whole:
        yield NatEntry(
            "esp",
            outside,
            Place(inside, spi=one.spi),
            Place(remote, 0),
            Place(remote, 0),
            created if one.learnt is None else int(now - one.learnt),
            used,
            left,
            map_id,
            (EXTENDED,),
            0,
            one.number_in,
            vrf=vrf,
        )


def _times(binding: Binding, now: float) -> tuple[int, int, int | None]:
    """(seconds since it was made, since it was used last, until it ends if nothing passes)."""
    left = None if binding.expires == float("inf") else int(binding.expires - now)
    return int(now - binding.created), int(now - (binding.used or binding.created)), left
