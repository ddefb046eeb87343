"""The project's own gateway as a lab's: a process in namespace `gateway`, told and asked over a socket pair."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.devices.virtual_gateway import ProcessGateway
from harness.errors import DeviceError, LabError
from harness.lab import enclosure
from harness.lab.namespaces import Netns
from harness.model import CaptureFacts, GatewayEvent, Side
from harness.model.testbed import Testbed

PATIENCE_S = 30.0
"""For the process to notice that nobody gives it orders any more: far more than it takes, but for a busy machine."""


class VirtualNode:
    """`driver` is the device. `scratch` lies on the enclosure's tmpfs; `changes` are of its personality, by the names that
    harness/virtual/settings.py gives them. `patience_s` is how long a client may take before a scenario goes on without it."""

    patience_s = 20.0

    def __init__(
        self,
        testbed: Testbed,
        variant: str,
        netns: Netns,
        scratch: Path,
        *,
        time_scale: float = 1.0,
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        self.netns = netns
        self.driver = ProcessGateway()
        self._plan = plan(testbed, variant, scratch, time_scale, changes or {})
        self._scratch = scratch
        self._process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Returns when it serves; LabError where it does not come up."""
        settings = self._scratch / "gateway.json"
        settings.touch(mode=0o600)
        settings.write_text(json.dumps(self._plan), encoding="utf-8")
        ours, its = socket.socketpair()
        with its:
            command = enclosure.python(
                "harness.virtual.process", "--settings", str(settings), "--control", str(its.fileno())
            )
            self._process = await asyncio.create_subprocess_exec(
                *self.netns.command(command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=[its.fileno()],
                start_new_session=True,  # Ctrl-C is for the run alone
            )
        try:
            await self.driver.connect(ours)
        except DeviceError as error:
            said = await self._last_words()
            raise LabError("start the virtual gateway", said or error.seen) from error

    async def stop(self) -> None:
        """Ends it, without a word to its clients: `driver.shut_down` before is the orderly end. Safe to call when there is none."""
        process, self._process = self._process, None
        await self.driver.disconnect()
        if process is None:
            return
        try:
            await asyncio.wait_for(process.communicate(), PATIENCE_S)
        except TimeoutError:
            process.kill()
            await process.communicate()

    async def start_witnesses(self) -> None:
        folder = self._scratch / "witnesses"
        folder.mkdir(exist_ok=True)
        await self.driver.start_witnesses(folder)

    async def stop_witnesses(self, folder: Path) -> list[CaptureFacts]:
        """End them and move their files into `folder`."""

        async def move(there: Path, here: Path) -> None:
            here.write_bytes(there.read_bytes())
            there.unlink()

        return await stop_witnesses(self.driver, folder, move)

    async def events(self) -> tuple[GatewayEvent, ...]:
        """What it says happened inside it, since it was last asked."""
        return await self.driver.events()

    async def _last_words(self) -> str:
        process, self._process = self._process, None
        if process is None:
            return ""
        if process.returncode is None:
            process.kill()
        _, said = await process.communicate()
        return said.decode(errors="replace").strip()


async def stop_witnesses(
    driver: ProcessGateway, folder: Path, bring: Callable[[Path, Path], Awaitable[None]]
) -> list[CaptureFacts]:
    """Ends the captures inside the project's own gateway; `bring(there, here)` gets each file of theirs into `folder`. What its
    sockets lost is lost to all of them."""
    facts = await driver.stop_witnesses()
    stats = await driver.stats()
    lost = sum(stats[part].get("overflowed", 0) for part in ("wire", "lan"))
    for one in facts:
        path = Path(one.path)
        for file in (path, path.with_suffix(".links")) if one.side is Side.FAR_END else (path,):
            await bring(file, folder / file.name)
    return [replace(one, path=str(folder / Path(one.path).name), dropped=lost) for one in facts]


def plan(testbed: Testbed, variant: str, scratch: Path, time_scale: float, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What the process is told (harness/virtual/process.py). The clients' secrets are the gateway's, too."""
    clients, gateway = testbed.clients, testbed.gateway
    lan = None
    if gateway.lan is not None and gateway.end_host is not None:
        lan = {"interface": gateway.lan.name, "address": gateway.lan.host, "end_host": gateway.end_host.host}
    return {
        "personality": variant,
        "time_scale": time_scale,
        "changes": dict(changes),
        "address": gateway.address,
        "psk": clients.psk.reveal(),
        "users": {clients.user_of(n): clients.password_of(n).reveal() for n in range(1, gateway.users + 1)},
        "ppp_address": gateway.ppp_address,
        "pool_first": gateway.pool_first,
        "pool_last": gateway.pool_last,
        "lan": lan,
        "events": os.fspath(scratch / "events.jsonl"),
    }
