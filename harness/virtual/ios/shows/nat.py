"""`show ip nat translations`: entries → the lines that IOS prints.

The columns are those of IOS 12 (after the protocol they begin at 4, 23, 42 and 61 characters), and move to the right where an entry
needs more room, one space apart at least. Verbose lines have two layouts, both in the samples of the source (NAT Support for IPsec
ESP, phase II): one line that ends with the flags; and, of the release that knows ESP entries, three that end with counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.model.nat_entries import NatEntry, Place

HEADER = "Pro Inside global      Inside local       Outside local      Outside global"
KEYWORDS = ("esp", "icmp", "pptp", "tcp", "udp")
"""By which entries can be chosen (ESN-54)."""
NOTHING = "---"


def translations(
    entries: Iterable[NatEntry],
    *,
    protocols: Sequence[str] = (),
    verbose: bool = False,
    vrf: str | None = None,
    tables: Sequence[str] | None = None,
    numbered: bool | None = None,
) -> list[str]:
    """The lines of `show ip nat translations [esp] [icmp] [pptp] [tcp] [udp] [verbose] [vrf NAME]`.

    `protocols` chooses; none given is all. `vrf` shows that VRF's entries alone. The source's sample of it has two tables, each
    with a header of its own, and does not say what makes them two: `tables` names the tables (by `NatEntry.vrf`) to be shown for
    the VRF, in that order; by default its own alone. A table without entries prints nothing, no header either. `numbered` chooses
    the verbose layout; None: ESP entries have the one with counts, all others the short one, as in the source.
    """
    chosen = [one for one in entries if not protocols or one.protocol in protocols]
    groups = [chosen] if vrf is None else [[one for one in chosen if one.vrf == name] for name in tables or (vrf,)]
    lines = []
    for group in groups:
        if group:
            lines.append(HEADER)
        for one in group:
            lines.append(row(one))
            if verbose:
                lines += detail(one, one.protocol == "esp" if numbered is None else numbered)
    return lines


def row(entry: NatEntry) -> str:
    places = (entry.inside_local, entry.outside_local, entry.outside_global)
    first = f"{entry.protocol} {place(entry.inside_global)}"
    return " ".join([first.ljust(22), *(place(one).ljust(18) for one in places)]).rstrip()


def place(one: Place | None) -> str:
    """An address, with its port, or its SPI in eight hexadecimal digits."""
    if one is None:
        return NOTHING
    if one.spi is not None:
        return f"{one.address}:{one.spi:08X}"
    return one.address if one.port is None else f"{one.address}:{one.port}"


def detail(entry: NatEntry, numbered: bool) -> list[str]:
    """What `verbose` adds below a row."""
    flags = ", ".join(entry.flags)
    times = f"    create {clock(entry.created_s)}, use {clock(entry.used_s)},"
    if not numbered:
        return [f"{times} flags: {flags}"]
    if entry.left_s is not None:
        times += f" left {clock(entry.left_s)},"
    if entry.map_id is not None:
        times += f" Map-Id(In):{entry.map_id},"
    counts = f"use_count:{entry.use_count}, entry-id:{entry.entry_id}, lc_entries:{entry.lc_entries}"
    return [times, "    flags:", f"{flags}, {counts}"]


def clock(seconds: int) -> str:
    """Hours, minutes and seconds, as IOS counts ages of less than a day; days in hours beyond that."""
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
