"""The world of "L2TP Security" in the time of the wall: a LAC and an LNS that are there, known by SSH, and a card of this machine.

    callers ── card ── Ethernet (PPPoE) ── LAC 10.0.0.12 ── wire ── LNS 10.0.0.13 ── its LAN, with a host on the same card
                                                             └───── LNS 10.0.0.14, where the testbed has a second one

The wire is captured, by whoever the testbed names. Nothing on it can be lost or forged, no router gives away the keys of its SAs,
and none shows what passes within it: what rests on that is skipped (verdict/obtainable.py).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from harness.devices.ios.access_lines import pppoe_lines
from harness.lab.field_routers import FieldRouters
from harness.model.router_lab import HOST_BEHIND, LAC, LNS, WIRE, RouterSpec
from harness.probes.dissect import Addresses
from harness.routers.field_callers import FieldCaller, FieldCallers
from harness.routers.field_consoles import names_of
from harness.routers.field_hosts import FieldHosts
from harness.routers.field_lab import FieldLab, Together
from harness.routers.l2tp_lab import CONFIGURATIONS, STARTS_WITH
from harness.routers.play import Gathered
from harness.routers.script import RouterScript
from harness.wire.config import Entropy, PppConfig

ON_THE_WIRE, ON_THE_LAN = "FastEthernet0/0", "FastEthernet0/1"
"""What the scripts call a router's interface on the wire, and an LNS's on its LAN."""


class FieldL2tp(FieldLab):
    """`lab` is up."""

    def __init__(self, lab: FieldRouters, script: RouterScript, gathered: Gathered) -> None:
        super().__init__(lab, {role: _names(spec) for role, spec in lab.testbed.by_role.items()}, script, gathered)
        self._callers: FieldCallers | None = None
        self._hosts: FieldHosts | None = None
        self.host_heard: list[bytes] = []

    def caller(self, name: str, config: PppConfig) -> FieldCaller:
        assert self._callers is not None
        return self._callers.add(config, self.entropy(name))

    def from_host(self, packet: bytes) -> None:
        if self._hosts is None:
            self._unable("send from a host behind the LNS")
        self._hosts.send(LNS, packet)

    def entropy(self, whose: str) -> Entropy:
        return os.urandom

    @property
    def addresses(self) -> Addresses:
        return Addresses(WIRE[LNS], "0.0.0.0", {LAC: WIRE[LAC]})

    # What no such lab has

    @property
    def crossed(self) -> Sequence[bytes]:
        self._unable("look back at the wire")

    def voluntary(self, name: str, user: str, password: str) -> Any:
        self._unable("have a client tunnel for itself")

    # --- within ---

    def _roles(self) -> tuple[str, ...]:
        second = self._script.options.get("second_lns")
        return tuple(role for role in self._testbed.by_role if role in (LAC, LNS) or second)

    def _startup(self, role: str) -> Sequence[str]:
        if role in self._script.instead:
            return self._script.instead[role]
        text = (CONFIGURATIONS / STARTS_WITH[role]).read_text(encoding="utf-8")
        if role not in (LAC, LNS):
            text = text.replace("hostname LNS", "hostname LNS2").replace(WIRE[LNS], WIRE[role])
        return text.splitlines()

    async def _beyond(self, role: str) -> Sequence[str]:
        """How the LAC takes its calls, and the LNS's address on its LAN."""
        spec = self._testbed.by_role[role]
        if spec.callers is not None:
            return pppoe_lines(spec.callers, spec.wire.name, await self.routers[role].release())
        if spec.lan is not None:
            return (f"interface {spec.lan.name}", f" ip address {HOST_BEHIND.gateway} 255.255.255.0", " no shutdown", "exit")
        return ()

    def _on_card(self) -> Together:
        testbed = self._testbed
        per_s, clients = testbed.allowance.packets_per_s, self._lab.clients
        if testbed.by_role[LNS].lan is not None:
            per_s //= 2  # the callers and the host share what is allowed
            heard = self.host_heard
            arrived = lambda name, packet: heard.append(packet)  # noqa: E731
            self._hosts = FieldHosts(clients, testbed.card, max(1, per_s), (HOST_BEHIND,), arrived)
        self._callers = FieldCallers(clients, testbed.card, max(1, per_s))
        return Together(self._hosts, self._callers)


def _names(spec: RouterSpec) -> dict[str, str]:
    return names_of({ON_THE_WIRE: spec.wire.name, **({} if spec.lan is None else {ON_THE_LAN: spec.lan.name})})
