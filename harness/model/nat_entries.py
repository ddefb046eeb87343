"""One line of a NAT's table as IOS shows it: what a NAT tells and what a router's show command prints."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """An address of an entry. `port` is None in a simple entry, which is about addresses alone; `spi` is set where an ESP entry
    knows one there."""

    address: str
    port: int | None = None
    spi: int | None = None


@dataclass(frozen=True, slots=True)
class NatEntry:
    """One entry. `protocol` is "---" for a simple one. Ages and what is left of its life in whole seconds; `left_s` and `map_id`
    (the dynamic mapping that made it) are None where the entry has no timer of its own. The outside places are None in a simple
    entry. `flags` as they are printed; `use_count` is how many other entries rest on this one."""

    protocol: str
    inside_global: Place
    inside_local: Place
    outside_local: Place | None
    outside_global: Place | None
    created_s: int
    used_s: int
    left_s: int | None
    map_id: int | None
    flags: tuple[str, ...]
    use_count: int
    entry_id: int
    lc_entries: int = 0
    vrf: str = ""
