"""Where a run takes place: in an enclosure of its own, or, where its devices are there already, on the machine's own network."""

from __future__ import annotations

from collections.abc import Callable

from harness.lab import enclosure, packages
from harness.model.router_lab import RouterLab
from harness.model.testbed import Testbed


def settle(testbed: Testbed | RouterLab, *, guests: bool = False, enclose: Callable[[], None] = enclosure.ensure) -> None:
    """Returns in the right place, or never: `enclose` starts the command again inside an enclosure. `guests`: clients that are
    machines of their own are wanted. What is simulated as a whole is played anywhere. MissingTool where this machine lacks
    something for it."""
    if not isinstance(testbed, RouterLab) and testbed.simulated:
        return
    if isinstance(testbed, RouterLab) or testbed.field:
        packages.require(guest=False)
        return
    if not enclosure.inside():
        packages.require(guest=testbed.gateway.in_guest or guests)
    enclose()
