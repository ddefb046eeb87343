"""The links of a software lab: what each joins, where it is cut, and how it is mended.

A link is cut at one end of it, chosen so that nobody notices but by what does not arrive. Where the end is a switch's port, it
leaves the switch: a tap that is down would answer what its guest sends with an error. Elsewhere the interface goes down, on the
side that no capture and no packet socket of ours is bound to, since both end with their interface; its static routes go with it,
and are put back. The other end loses its carrier and keeps its routes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import LabError
from harness.lab.namespaces import Netns


@dataclass(frozen=True, slots=True)
class Plug:
    """One end: an interface of a node. `netns` is None in a guest, whose own interface only the guest sees."""

    node: str
    interface: str
    netns: Netns | None


@dataclass(frozen=True, slots=True)
class Cable:
    """`cut_at` is the end that is cut: a port of `switch`, or (None) an interface that goes down and takes `routes` (as `ip route
    replace` takes them) along. `seen_at` is the end where all that passes can be captured, cut or not."""

    cut_at: Plug
    seen_at: Plug
    far: Plug
    switch: str | None = None
    routes: tuple[tuple[str, ...], ...] = ()

    @property
    def ends(self) -> tuple[Plug, Plug]:
        """Both, in the order of their nodes' names."""
        one, other = sorted((self.cut_at, self.far), key=lambda plug: plug.node)
        return one, other

    @property
    def name(self) -> str:
        """The nodes that it joins, "nat-wan": no two links of a software lab join the same."""
        return "-".join(plug.node for plug in self.ends)

    @property
    def up(self) -> bool:
        """As the kernel has it, whoever changed it."""
        for plug in self.ends:
            if plug.netns is not None and "UP" not in _look(plug.netns, plug.interface).get("flags", ()):
                return False
        return self.switch is None or _look(_netns(self.cut_at), self.cut_at.interface).get("master") == self.switch

    def cut(self) -> None:
        """Nothing passes it until `mend`. Safe twice."""
        netns, interface = _netns(self.cut_at), self.cut_at.interface
        if self.switch is None:
            netns.ip("link", "set", interface, "down")
        else:
            netns.ip("link", "set", interface, "nomaster")

    def mend(self) -> None:
        """Safe where it is whole."""
        for plug in self.ends:
            if plug.netns is not None:
                plug.netns.ip("link", "set", plug.interface, "up")
        netns, interface = _netns(self.cut_at), self.cut_at.interface
        if self.switch is not None:
            netns.ip("link", "set", interface, "master", self.switch)
        for route in self.routes:
            netns.ip("route", "replace", *route)


def named(cables: tuple[Cable, ...], name: str) -> Cable:
    """The one of that name. LabError names those there are."""
    for cable in cables:
        if cable.name == name:
            return cable
    there = ", ".join(sorted(cable.name for cable in cables))
    raise LabError(f"find link {name!r}", "no such link in the lab", f"one of {there}")


def _netns(plug: Plug) -> Netns:
    assert plug.netns is not None
    return plug.netns


def _look(netns: Netns, interface: str) -> Mapping[str, Any]:
    """What `ip` tells of an interface."""
    (told,) = json.loads(netns.ip("-j", "link", "show", "dev", interface))
    found: Mapping[str, Any] = told
    return found
