"""What scripts for routers need of their laboratory beside routers, who is behind them, and captures of the wires. One in virtual
time has all of it; of one whose routers are there `missing` says what it has not, so that the script is skipped, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.model.router_lab import ESP, L2TP, LNS, LNS_2, RouterLab
from harness.routers.esp_sites import sites_of

if TYPE_CHECKING:
    from harness.routers.script import RouterScript

LOG = "log"
"""The routers' logs are read. Any router keeps one."""
LOSS, INJECTION, HOST, VOLUNTARY, LATER, SERIAL = "loss", "injection", "host", "voluntary", "later", "serial"
NEIGHBOURS = "neighbours"
"""Hosts on the NAT's own wires (nat_hosts)."""

UNABLE: Mapping[str, str] = {
    LOSS: "nothing on a wire that is there loses the packets that a script names",
    INJECTION: "nobody at a wire that is there sends in another's name",
    HOST: "the testbed has no LAN of the LNS on the callers' card, and so no host behind it that would send",
    VOLUNTARY: "no client behind a NAT is on the wire, that would tunnel for itself",
    LATER: "it rests for longer than a wall clock is waited for: it is played in virtual time",
    NEIGHBOURS: "no host stands on the NAT's own wires, without an endpoint before it",
    SERIAL: "it configures a serial interface, and which one the router has nobody knows",
}
"""Why what is needed is not to be had where the routers are there."""
BY_OPTION: Mapping[str, str] = {
    "lac_moves_to": "the LAC keeps the address that it has on its wire",
    "radius": "no RADIUS server of the script's stands on the wire",
    "platform": "a router that is there has the platform that it has",
    "releases": "a router that is there has the release that it has",
    "first_spis": "nobody tells a router that is there which SPI to draw",
    "nat": "what is west is behind the NAT, and cannot be had without it",
    "nat_outside": "the NAT keeps the address that it has outside",
}
"""The same of what a script's options ask for."""


def missing(script: RouterScript, lab: RouterLab) -> str:
    """Why that laboratory cannot give the script what it needs; "" where it can."""
    if script.about_release:
        return f"it is about IOS {script.release}, and the routers have the releases that they have"
    if script.options.get("second_lns") and LNS_2 not in lab.by_role:
        return f"the testbed has no second LNS ({LNS_2})"
    has = _has(script, lab)
    unable = (UNABLE.get(one) for one in script.wants if one not in has)
    found = (*(why for option, why in BY_OPTION.items() if option in script.options and option not in has), *unable)
    absent = _not_there(script, lab) if lab.world == ESP else None
    return next((why for why in (*found, absent) if why is not None), "")


def _has(script: RouterScript, lab: RouterLab) -> frozenset[str]:
    """What that laboratory has of what most have not. Where nobody but hosts of ours is about the NAT, it can have any address."""
    if lab.world == L2TP:
        return frozenset({HOST} if lab.by_role[LNS].lan is not None else ())
    alone = not any(sites_of(script.options))
    return frozenset(({NEIGHBOURS, "nat_outside"} if alone else {NEIGHBOURS}) if lab.neighbours else ())


def _not_there(script: RouterScript, lab: RouterLab) -> str | None:
    """The first endpoint that the script has and the testbed has not, in words; None where it has all."""
    west, east = sites_of(script.options)
    return next((f"the testbed has no {site.name}" for site in (*west, *east) if site.name not in lab.by_role), None)
