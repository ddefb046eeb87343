"""The world of "L2TP Security" in the time of the wall: a LAC and an LNS that are there, known by SSH, and a card of this machine.

    callers ── card ── Ethernet (PPPoE) ── LAC 10.0.0.12 ── wire ── LNS 10.0.0.13
                                                             └───── LNS 10.0.0.14, where the testbed has a second one

The wire is captured, by whoever the testbed names. Nothing on it can be lost or forged, no router gives away the keys of its SAs,
and none shows what passes within it: what rests on that is skipped (verdict/obtainable.py).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

from harness.devices.ios.access_lines import pppoe_lines
from harness.errors import LabError
from harness.lab.field_routers import FieldRouters
from harness.model import CaptureFacts, Side
from harness.model.router_lab import LAC, LNS, WIRE
from harness.probes.capture import Capture
from harness.probes.dissect import Addresses
from harness.routers import wants
from harness.routers.field_callers import FieldCaller, FieldCallers
from harness.routers.field_consoles import LOGGING, FieldConsoles, names_of
from harness.routers.l2tp_lab import CONFIGURATIONS, STARTS_WITH
from harness.routers.play import Gathered
from harness.routers.script import RouterScript
from harness.scenario.field_captures import OverSsh
from harness.wire.config import Entropy, PppConfig
from harness.wire.packet import Packet

ON_THE_WIRE = "FastEthernet0/0"
"""What the documents call a router's interface on the wire."""


class FieldL2tp(FieldConsoles):
    """`lab` is up."""

    def __init__(self, lab: FieldRouters, script: RouterScript, gathered: Gathered) -> None:
        testbed = lab.testbed
        names = {role: names_of(spec.wire.name, ON_THE_WIRE) for role, spec in testbed.by_role.items()}
        super().__init__(lab.routers, names, null=script.null)
        self._lab = lab
        self._testbed = testbed
        self._script = script
        self._gathered = gathered
        self._callers: FieldCallers | None = None

    async def begin(self) -> None:
        """The routers as the script wants them. DeviceError where one does not take a line."""
        lines: dict[str, list[str]] = {}
        for role in self._roles():
            lines[role] = [self.there(role, line) for line in self._startup(role)]
            lines[role] += [self.there(role, line) for line in self._script.lines.get(role, ())]
            if wants.LOG in self._script.wants:
                lines[role] += LOGGING
        lac = self._testbed.by_role[LAC]
        assert lac.callers is not None
        lines[LAC] += pppoe_lines(lac.callers, lac.wire.name, await self.routers[LAC].release())
        await self._lab.fresh(lines)
        if wants.LOG in self._script.wants:
            await self.compare_clocks()

    def caller(self, name: str, config: PppConfig) -> FieldCaller:
        assert self._callers is not None
        return self._callers.add(config, self.entropy(name))

    def entropy(self, whose: str) -> Entropy:
        return os.urandom

    def debugs(self, device: str) -> None:
        self._lab.debugs(device)

    # Witnesses

    @property
    def addresses(self) -> Addresses:
        return Addresses(WIRE[LNS], "0.0.0.0", {LAC: WIRE[LAC]})

    @asynccontextmanager
    async def captured(self, folder: Path, captures: list[CaptureFacts]) -> AsyncIterator[None]:
        """The callers' card is open, and the wire captured, while inside. CaptureError."""
        source, path = self._testbed.wire, folder / f"{Side.OUTSIDE.value}.pcap"
        wire: Any
        if source.kind == "nic":
            wire = Capture(Side.OUTSIDE, None, source.interface, path, promiscuous=True)
        else:
            wire = OverSsh(self._lab, Side.OUTSIDE, source, path, promiscuous=True)
        await wire.start()
        self._callers = FieldCallers(self._lab.clients, self._testbed.card, self._testbed.allowance.packets_per_s)
        try:
            yield
        finally:
            if self._callers.card.unsent:
                self._gathered.trouble.append(f"{self._testbed.card} did not take {self._callers.card.unsent} frames of callers")
            self._callers.close()
            self._callers = None
            captures.append(await wire.stop())
            if wants.LOG in self._script.wants:
                self._gathered.logged += await self.logged()

    def trouble(self) -> list[str]:
        """A lock that was lost: somebody else may have changed the routers meanwhile."""
        return [] if self._lab.lost is None else [str(self._lab.lost)]

    # What no such lab has

    @property
    def crossed(self) -> Sequence[bytes]:
        self._unable("look back at the wire")

    @property
    def host_heard(self) -> list[bytes]:
        self._unable("hear what comes to a host behind the LNS")

    @property
    def lose(self) -> Callable[[Packet], bool]:
        return lambda packet: False

    @lose.setter
    def lose(self, which: Callable[[Packet], bool]) -> None:
        self._unable("lose packets on the wire")

    def inject(self, data: bytes) -> None:
        self._unable("put packets on the wire")

    def from_host(self, packet: bytes) -> None:
        self._unable("send from a host behind the LNS")

    def voluntary(self, name: str, user: str, password: str) -> Any:
        self._unable("have a client tunnel for itself")

    # --- within ---

    def _roles(self) -> tuple[str, ...]:
        """Those that the script has."""
        second = self._script.options.get("second_lns")
        return tuple(role for role in self._testbed.by_role if role in (LAC, LNS) or second)

    def _startup(self, role: str) -> Sequence[str]:
        if role in self._script.instead:
            return self._script.instead[role]
        text = (CONFIGURATIONS / STARTS_WITH[role]).read_text(encoding="utf-8")
        if role not in (LAC, LNS):
            text = text.replace("hostname LNS", "hostname LNS2").replace(WIRE[LNS], WIRE[role])
        return [line for line in text.splitlines() if not line.startswith("!")]

    def _unable(self, what: str) -> NoReturn:
        raise LabError(what, "these routers are there already, and what joins them", "play it on testbeds/virtual-ios.yaml")

