"""Where a run takes place: in an enclosure of its own, or, where its devices are there already, on the machine's own network."""

from __future__ import annotations

from collections.abc import Callable

from harness.errors import UsageError
from harness.lab import enclosure, packages
from harness.model.testbed import Testbed

PLAYED = ("linux", "natstorm")
"""Gateways, by their `os`, that there is a driver for which a scenario can be played with."""


def require_driver(testbed: Testbed) -> None:
    """UsageError for a gateway that can be described and reached, and not yet played with."""
    system = testbed.gateway.os
    if system not in PLAYED and not testbed.simulated:
        cure = f"`os: {' or '.join(PLAYED)}` so far"
        raise UsageError(f"no driver plays the gateway on {system!r} yet", file=testbed.file, cure=cure)


def settle(testbed: Testbed, *, guests: bool = False, enclose: Callable[[], None] = enclosure.ensure) -> None:
    """Returns in the right place, or never: `enclose` starts the command again inside an enclosure. `guests`: clients that are
    machines of their own are wanted. What is simulated as a whole is played anywhere. MissingTool where this machine lacks
    something for it."""
    require_driver(testbed)
    if testbed.simulated:
        return
    if testbed.field:
        packages.require(guest=False)
        return
    if not enclosure.inside():
        packages.require(guest=testbed.gateway.in_guest or guests)
    enclose()
