"""A virtual IOS router as the gateway of a simulated network, as a scenario acts on it: by its command line where that can."""

from __future__ import annotations

from typing import Any

from harness.devices.ios.gateway_lines import demux_lines
from harness.errors import DeviceError, UsageError
from harness.model import GatewayView, Logged
from harness.routers.gateway_configuration import DEVICE
from harness.routers.terminal import Log, Terminal
from harness.scenario.simulated_control import SimulatedGateway
from harness.scenario.simulated_network import Network
from harness.simulation.gateway_box import GatewayBox
from harness.simulation.loop import SimulatedLoop
from harness.virtual.ios.router import IosRouter

SHOWN = ("show crypto isakmp sa", "show crypto ipsec sa", "show vpdn", "show crypto map")
"""What a view's texts are."""


class RouterConsole:
    """A `routers.play.Lab` of one router, the gateway; what it logs is in `logged`."""

    def __init__(self, loop: SimulatedLoop, box: GatewayBox) -> None:
        assert isinstance(box.core, IosRouter)
        self.logged: list[Logged] = []
        self._loop = loop
        self._box = box
        state = box.core.state
        settle = box.core.changed = lambda: box.order(lambda now: None)
        self.terminal = Terminal(DEVICE, state, loop.time, settle)
        Log(state, lambda line: self.logged.append(Logged(loop.epoch(), DEVICE, line)))

    def epoch(self) -> float:
        return self._loop.epoch()

    async def type(self, device: str, *lines: str, configure: bool = False) -> list[tuple[str, str]]:
        return self.terminal.configure(*lines) if configure else [(line, self.terminal.type(line)) for line in lines]

    async def walk(self, device: str, *lines: str) -> list[tuple[str, str]]:
        return self.terminal.walk(*lines)

    async def reboot(self, device: str) -> None:
        import asyncio

        state = self.terminal.state
        self._box.order(lambda now: state.reload("Reload Command"))
        await asyncio.sleep(state.up_at - state.now)


class SimulatedRouter(SimulatedGateway):
    """`bench.GatewayControl` of a virtual IOS router: what a command can do it does, the rest is an order to its core."""

    def __init__(self, network: Network, console: RouterConsole) -> None:
        super().__init__(network)
        self._console = console

    async def view(self, label: str) -> GatewayView:
        view = await super().view(label)
        texts = {command: self._console.terminal.type(command) for command in SHOWN}
        return GatewayView(view.t, label, view.sessions, view.sas, view.ike_sas, texts, view.ports)

    async def close_l2tp(self, tunnel: int) -> None:
        self._console.terminal.type(f"clear vpdn tunnel l2tp id {tunnel}")

    async def reconfigure(self, **changes: Any) -> None:
        if set(changes) != {"demux"}:
            raise UsageError(f"no command of a router changes {', '.join(sorted(set(changes) - {'demux'}))}")
        typed = self._console.terminal.configure(*demux_lines(changes["demux"]))
        for line, said in typed:
            if said.strip():
                raise DeviceError(DEVICE, line, said.strip())

    def _do(self, order: str, *arguments: Any, **changes: Any) -> Any:
        if self._box.off:
            raise DeviceError(DEVICE, order, "it is switched off")
        box, core = self._box, self._box.core
        assert isinstance(core, IosRouter)
        return box.order(lambda now: getattr(core if order == "view" else core.core, order)(now, *arguments, **changes))
