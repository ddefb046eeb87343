"""Plays a script for routers with one of their mechanisms broken, or none: what was on the wire, and the lab at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from harness.faults import FAULTS
from harness.model.steps import StepBus
from harness.routers.breaking import makers
from harness.routers.makers import Makers
from harness.routers.play import Gathered
from harness.routers.runner import LABS
from harness.routers.script import L2TP, RouterScript
from harness.simulation.loop import SimulatedLoop
from harness.virtual.ios.router import RouterParts
from harness.wire.packet import Packet, from_ip


@dataclass(frozen=True)
class Rehearsed:
    gathered: Gathered
    lab: Any
    wire: list[Packet]

    def clear(self, address: str) -> list[Packet]:
        """L2TP in the clear that this address has sent."""
        return [one for one in self.wire if one.protocol == 17 and one.src == address and one.sport == 1701]

    def up(self) -> list[str]:
        """The callers that came up."""
        return [told.who for told in self.gathered.told if told.kind == "up"]

    def answered(self) -> list[bool]:
        return [told.data["answered"] for told in self.gathered.told if told.kind == "pinged"]


def parts(fault: str) -> RouterParts:
    """A router's, with that fault's among them."""
    from harness.routers.breaking import router_parts

    return router_parts(FAULTS[fault])


def rehearse(fault: str | None, run: Callable[[Any], Awaitable[None]], world: str = L2TP, **about: Any) -> Rehearsed:
    """`about` are fields of RouterScript."""
    script = RouterScript("rehearsal", "a rehearsal", world, run, **about)
    return rehearse_script(fault, script)


def rehearse_script(fault: str | None, script: RouterScript) -> Rehearsed:
    gathered, wire = Gathered(), list[Packet]()

    async def inside() -> Any:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        make, steps = LABS[script.world]
        lab = make(loop, script, gathered, 1, Makers() if fault is None else makers(FAULTS[fault]))
        lab.switch.tap = lambda when, packet: wire.append(from_ip(packet))
        await script.run(steps(lab, StepBus(time.time), gathered, script.options))
        return lab

    with SimulatedLoop.runner() as runner:
        return Rehearsed(gathered, runner.run(inside()), wire)
