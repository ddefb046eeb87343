"""What laboratories of virtual routers in virtual time have in common: their command lines, and their clock."""

from __future__ import annotations

from harness.routers.terminal import Terminal
from harness.simulation.loop import SimulatedLoop


class Consoles:
    """The part of a `play.Lab` that is about typing. `terminals` has each router's by its name."""

    loop: SimulatedLoop
    terminals: dict[str, Terminal]

    def epoch(self) -> float:
        return self.loop.epoch()

    async def type(self, device: str, *lines: str, configure: bool = False) -> list[tuple[str, str]]:
        terminal = self.terminals[device]
        return terminal.configure(*lines) if configure else [(line, terminal.type(line)) for line in lines]

    async def walk(self, device: str, *lines: str) -> list[tuple[str, str]]:
        return self.terminals[device].walk(*lines)
