"""What laboratories of virtual routers in virtual time have in common: command lines, the clock, chance, the wire, and keys."""

from __future__ import annotations

import json
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

from harness.clients.journal import LineFile, esp_keys, ike_keys
from harness.errors import DeviceError
from harness.model import Printed
from harness.probes.keyring import HASHES
from harness.routers.script import RouterScript
from harness.routers.terminal import Terminal
from harness.simulation.loop import SimulatedLoop
from harness.simulation.network import Switch
from harness.virtual.ios.state import Hardware, State
from harness.wire import events
from harness.wire.packet import Packet, from_ip


class Consoles(ABC):
    """The part of a `play.Lab` that is about typing, and what both worlds need to be built. `terminals` has each router's by its
    name; `switch` is the wire that is captured, and `lose` decides which packets it loses: they were sent, and are captured."""

    def __init__(self, loop: SimulatedLoop, script: RouterScript, seed: int) -> None:
        self.loop = loop
        self.lose: Callable[[Packet], bool] = lambda packet: False
        self.switch = Switch(loop)
        self.terminals: dict[str, Terminal] = {}
        self._script = script
        self._seed = seed
        self._keys: LineFile | None = None

    def epoch(self) -> float:
        return self.loop.epoch()

    async def type(self, device: str, *lines: str, configure: bool = False) -> list[tuple[str, str]]:
        terminal = self.terminals[device]
        return terminal.configure(*lines) if configure else [(line, terminal.type(line)) for line in lines]

    async def walk(self, device: str, *lines: str) -> list[tuple[str, str]]:
        return self.terminals[device].walk(*lines)

    @abstractmethod
    async def reboot(self, device: str) -> None: ...

    def entropy(self, whose: str) -> Callable[[int], bytes]:
        return random.Random(f"{self._seed} {whose}").randbytes

    # Building

    def _state(self, device: str, startup: str, release: str, hardware: Hardware | None = None) -> State:
        """The router's, with that startup configuration or what the script has instead. DeviceError for a line that it does not
        take."""
        if device in self._script.instead:
            startup = "\n".join(self._script.instead[device])
        state = State(release=release, startup=f"{startup}\nend\n", hardware=hardware or Hardware())
        if state.troubles:
            raise DeviceError(device, state.troubles[0].line, "its startup configuration has a line that it does not take")
        return state

    def _type_first(self, device: str) -> None:
        """The script's lines for the device, before it begins. DeviceError for one that is refused."""
        for line, said in self.terminals[device].configure(*self._script.lines.get(device, ())):
            if Printed(self.epoch(), device, line, said).refused:
                raise DeviceError(device, line, said.strip())

    # The wire

    def inject(self, data: bytes) -> None:
        """One IP packet, put on the wire by nobody that is at it."""
        self.switch.send(data)

    def _cross(self, packet: bytes) -> None:
        """Onto the wire, which may lose it."""
        if not self.lose(from_ip(packet)):
            self.switch.send(packet)
        elif self.switch.tap is not None:
            self.switch.tap(self.loop.nanoseconds(), packet)

    # Keys

    def _write_key(self, whose: str, gateway: str, event: events.Event) -> None:
        """While they are kept. What is no key is passed over, and so is what has no authentication: no key of ours opens it."""
        lines: Iterable[dict[str, object]] = ()
        if isinstance(event, events.IkeUp):
            lines = ike_keys(self.epoch(), whose, event)
        elif isinstance(event, events.EspUp) and event.authentication in HASHES:
            lines = esp_keys(self.epoch(), whose, gateway, event)
        for line in lines:
            if self._keys is not None:
                self._keys.write(json.dumps(line))
