"""`show ip local pool [NAME]`."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.virtual.ios.grammar import Match
from harness.virtual.ios.shows.vpdn import interface_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.virtual.ios.router import IosRouter

HEADING = " Pool                     Begin           End             Free  In use"


def pools(router: IosRouter, match: Match) -> list[str]:
    wanted = match.get("pool", "")
    lines = [HEADING]
    for entry in router.state.configuration.tree.find("ip local pool"):
        name, first, last = entry.words[3], entry.words[4], entry.words[-1]
        if wanted not in ("", name):
            continue
        known = router.core.pools.get((first, last))
        taken = [] if known is None else list(known.taken)
        every = [str(ipaddress.IPv4Address(n)) for n in range(_number(first), _number(last) + 1)]
        lines.append(f" {name:<24} {first:<15} {last:<15} {len(every) - len(taken):>4}  {len(taken):>6}")
        if wanted:
            free = [one for one in every if one not in set(taken)]
            lines += ["Available addresses:", *(f"  {one}" for one in free)]
            lines += ["Inuse addresses:", *(_in_use(router, one) for one in taken)]
    return lines if len(lines) > 1 else ["%IP local address pools not defined"]


SHOWS: Mapping[str, Callable[[IosRouter, Match], list[str]]] = {"show ip local pool [WORD:pool]": pools}


def _number(address: str) -> int:
    return int(ipaddress.IPv4Address(address))


def _in_use(router: IosRouter, address: str) -> str:
    link = router.core.links.by_address.get(address)
    if link is None:
        return f"  {address}"
    return f"  {address}\t  {interface_of(link.interface):<20} {link.login.user or ''}".rstrip()
