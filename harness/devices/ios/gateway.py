"""A Cisco router in the role of a gateway: it becomes an LNS for Windows clients when a scenario starts, tells what it has up, and
is as it was when the scenario is over.

What no command of IOS can do is not here: it begins no rekey by order, and keeps its timers.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from harness.devices.ios import configurations, gateway_view
from harness.devices.ios.driver import Ios
from harness.devices.ios.gateway_lines import ClientsLns, demux_lines, gateway_lines, in_the_way
from harness.devices.journal import Undo
from harness.errors import DeviceError, UsageError
from harness.model import GatewaySa, GatewayView

ASKED = (gateway_view.VPDN, gateway_view.IPSEC)
"""What shows whether somebody's tunnels are up."""
CLEARED = ("clear vpdn tunnel l2tp all", "clear crypto sa", "clear crypto isakmp")
"""What ends all that may be up of another run."""


async def refuse_used(ios: Ios, asked: Sequence[str] = ASKED) -> None:
    """DeviceError, before anything is changed, where somebody's tunnels are up on the router."""
    texts = {command: await ios.execute(command) for command in asked}
    if up := gateway_view.somebodys(texts, ios.name):
        raise DeviceError(ios.name, "look what is up", f"it has {up}, which a run would end: clear it first")


async def clear(ios: Ios, commands: Sequence[str] = CLEARED) -> None:
    for command in commands:
        await ios.execute(command)


class IosGateway:
    """`devices.roles.Gateway` over a router that `ios` reaches. Every method raises DeviceError."""

    def __init__(self, ios: Ios, lns: ClientsLns) -> None:
        self.name = ios.name
        self.notes: tuple[str, ...] = ()
        self._ios = ios
        self._lns = lns
        self._begun = False  # whether anything was changed, or cleared, that is to be put back

    async def start(self) -> None:
        """DeviceError, before anything is changed, where somebody's tunnels are up on the router, or what it is configured for goes
        before ours; UsageError where a secret cannot be typed there."""
        wanted = gateway_lines(self._lns)
        await self._ios.connect()
        await refuse_used(self._ios)
        there = configurations.parse_config(await self._ios.running_config())
        if lines := in_the_way(there, self._lns):
            seen = f"it has {', '.join(lines)}, which would answer the clients in our place: take it out for the run"
            raise DeviceError(self.name, "configure", seen)
        self._begun = True
        await self._ios.configure(wanted)
        await clear(self._ios)

    async def save(self) -> Undo:
        return await self._ios.save()

    async def restore(self) -> None:
        """As it was before `start`, and nothing of ours up on it; what `start` has refused is left alone. May be called again where
        it failed."""
        if self._begun:
            await self._ios.connect()
            await clear(self._ios)
            await self._ios.restore()
            self._begun = False
        await self._ios.disconnect()

    async def view(self, label: str) -> GatewayView:
        texts = {command: await self._ios.execute(command) for command in gateway_view.ASKED}
        return gateway_view.view(time.time(), label, texts, self.name)

    async def logs(self) -> dict[str, str]:
        return {self.name: await self._ios.execute("show logging")}

    async def reconfigure(self, **changes: Any) -> None:
        if set(changes) != {"demux"}:
            strange = ", ".join(sorted(set(changes) - {"demux"}))
            raise UsageError(f"no command of a router changes {strange}", cure="play it on testbeds/virtual.yaml")
        await self._ios.configure(demux_lines(changes["demux"]))

    async def delete_ipsec(self, spi: str | None = None) -> None:
        """The client whose SA that is, told from others behind the same NAT by the port that its ESP comes from."""
        sa = await self._sa(spi)
        port = "" if sa.udp_port is None else f" port {sa.udp_port}"
        await self._ios.execute(f"clear crypto session remote {sa.peer_address}{port}")

    async def close_l2tp(self, tunnel: int) -> None:
        await self._ios.execute(f"clear vpdn tunnel l2tp id {tunnel}")

    async def rekey(self, spi: str) -> None:
        raise self._unable("begin a quick mode")

    async def rekey_ike(self, spi: str | None = None) -> None:
        raise self._unable("begin a main mode")

    async def silence(self, on: bool = True) -> None:
        raise self._unable("fall silent")

    async def stop_daemons(self) -> None:
        raise self._unable("stop")

    async def kill_daemons(self) -> None:
        raise self._unable("die")

    async def restart_daemons(self) -> None:
        raise self._unable("begin anew")

    async def _sa(self, spi: str | None) -> GatewaySa:
        seen = await self.view("to clear an SA")
        found = next((sa for sa in seen.sas if spi in (None, sa.spi)), None)
        if found is None:
            raise DeviceError(self.name, "clear crypto session", f"it lists no SA with SPI {spi}")
        return found

    def _unable(self, what: str) -> DeviceError:
        return DeviceError(self.name, what, "no command of IOS does that by order")
