"""What a configuration means for callers that come by Ethernet (PPPoE): on which interfaces, and what they are asked there. Pure.

A profile (`bba-group pppoe NAME`) is on the interfaces that have `pppoe enable group NAME`; `global` is the one of those that name
none. Before there were profiles a vpdn-group with `protocol pppoe` was for all interfaces with `pppoe enable`. By the Broadband
Access Aggregation and DSL Command Reference, whose default of 100 sessions from one hardware address is heeded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.virtual.aaa.settings import DEFAULT_LISTS, Lists
from harness.virtual.ios import meaning_aaa
from harness.virtual.ios.configuration import Entry

GLOBAL = "global"
MOST, PER_HOST = 65534, 100


@dataclass(frozen=True, slots=True)
class PppoeAccess:
    """`name` is the concentrator's. `authentication` is what callers are asked, as in a personality, `lists` those of AAA. `pool`,
    by its ends, is for callers who are not tunnelled (None: they get no address)."""

    interface: str
    name: str
    authentication: tuple[str, ...]
    lists: Lists = DEFAULT_LISTS
    most: int = MOST
    per_host: int = PER_HOST
    pool: tuple[str, str] | None = None


def accesses(tree: Entry, lacks: list[str]) -> tuple[PppoeAccess, ...]:
    """By interface. Adds to `lacks` those that serve nobody."""
    return tuple(_accesses(tree, lacks))


def _accesses(tree: Entry, lacks: list[str]) -> Iterator[PppoeAccess]:
    for interface in tree.find("interface"):
        enabled = interface.first("pppoe enable")
        if enabled is None or interface.has("shutdown"):
            continue
        named = enabled.words[3] if len(enabled.words) > 3 else GLOBAL
        where = interface.words[1]
        profile = tree.first(f"bba-group pppoe {named}") or (_old_group(tree) if named == GLOBAL else None)
        number = None if profile is None else profile.value("virtual-template")
        template = tree.first(f"interface Virtual-Template{number}") if number else None
        if profile is None:
            lacks.append(f"{where} takes calls by PPPoE, and there is no bba-group {named}")
        elif template is None:
            lacks.append(f"{where} takes calls by PPPoE, and its group has no virtual template, or the interface does not exist")
        else:
            most, per_host = (profile.value(f"sessions {limit} limit") for limit in ("max", "per-mac"))
            yield PppoeAccess(
                where,
                tree.value("hostname") or "Router",
                meaning_aaa.ppp_methods(template),
                meaning_aaa.ppp_lists(template),
                int(most or MOST),
                int(per_host or PER_HOST),
                _pool(tree, template),
            )


def _pool(tree: Entry, template: Entry) -> tuple[str, str] | None:
    named = template.value("peer default ip address pool")
    ends = (tree.value(f"ip local pool {named}") or "").split() if named else []
    return (ends[0], ends[-1]) if ends else None


def _old_group(tree: Entry) -> Entry | None:
    """The section of a vpdn-group for PPPoE."""
    if not tree.has("vpdn enable"):
        return None
    dialins = (group.first("accept-dialin") for group in tree.find("vpdn-group"))
    return next((one for one in dialins if one is not None and one.value("protocol") == "pppoe"), None)
