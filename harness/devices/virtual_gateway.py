"""Driver of the project's own gateway in a process of its own, over the Unix socket by which that takes orders.

The same methods as LinuxGateway. Orders are JSON lines (harness/virtual/control.py).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import DeviceError
from harness.model import CaptureFacts, GatewayEvent, GatewaySa, GatewaySession, GatewayView, Secret, Side

PATIENCE_S = 20.0
LONGEST = 1 << 26  # bytes of one answer: a view of thousands of clients


class ProcessGateway:
    """The role Gateway. `connect` once the process is there. Every method raises DeviceError with what the gateway said when it
    does not do as asked, or is not there."""

    def __init__(self, *, name: str = "gateway") -> None:
        self.name = name
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._turn = asyncio.Lock()

    async def connect(self, control: Any) -> None:
        """`control` is the run's end of the socket pair. Returns when the gateway serves."""
        self._reader, self._writer = await asyncio.open_unix_connection(sock=control, limit=LONGEST)
        async with self._turn:
            await self._answer("start")

    async def disconnect(self) -> None:
        """The process ends when it notices."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.close()

    # --- life ---

    async def shut_down(self) -> None:
        """An orderly end: every tunnel is closed and every SA deleted, and the clients are told. Returns when that is done."""
        await self._order("shut_down")
        while not await self._order("ended"):
            await asyncio.sleep(0.05)

    async def stop_daemons(self) -> None:
        """An orderly end, after which it answers nobody until `restart_daemons`."""
        await self.shut_down()
        await self.kill_daemons()

    async def kill_daemons(self) -> None:
        """A gateway that dies: no word to anybody, nothing is left of its SAs, and nobody is answered."""
        await self._order("restart")
        await self._order("silence", on=True)

    async def restart_daemons(self) -> None:
        """It serves again, and knows nobody."""
        await self._order("silence", on=False)

    async def restart(self) -> None:
        """It loses everything, without a word to anybody, and serves on."""
        await self._order("restart")

    async def reconfigure(self, **changes: Any) -> None:
        """Change settings of the testbed's or the personality's (harness/virtual/settings.py) while it runs."""
        await self._order("reconfigure", changes={name: _revealed(value) for name, value in changes.items()})

    async def silence(self, on: bool = True) -> None:
        await self._order("silence", on=on)

    # --- what it says of itself ---

    async def view(self, label: str) -> GatewayView:
        return view_of(await self._order("view", label=label))

    async def events(self) -> tuple[GatewayEvent, ...]:
        """Those that have not been asked for before."""
        return tuple(GatewayEvent(**row) for row in await self._order("events"))

    async def logs(self) -> dict[str, str]:
        found: dict[str, str] = await self._order("logs")
        return found

    async def stats(self) -> dict[str, Any]:
        """Counters of its sockets ("wire", "lan": "overflowed" and "unsent" are losses on this machine), what it "dropped" and
        "refused", "cpu_s", "peak_kib", and how many "associations" and "tunnels" there are."""
        found: dict[str, Any] = await self._order("stats")
        return found

    async def start_witnesses(self, folder: Path) -> None:
        await self._order("start_witnesses", folder=str(folder))

    async def stop_witnesses(self) -> list[CaptureFacts]:
        return [CaptureFacts(**(row | {"side": Side(row["side"])})) for row in await self._order("stop_witnesses")]

    # --- what it does to its clients ---

    async def delete_ipsec(self, spi: str | None = None, *, udp_port: int | None = None, address: str | None = None) -> None:
        """End one client's IKE SAs and ESP SAs with Delete payloads."""
        await self._order("delete_ipsec", spi=spi, udp_port=udp_port, address=address)

    async def delete_esp(self, spi: str) -> None:
        await self._order("delete_esp", spi=spi)

    async def rekey(self, spi: str) -> None:
        await self._order("rekey", spi=spi)

    async def rekey_ike(self, spi: str | None = None, *, udp_port: int | None = None) -> None:
        await self._order("rekey_ike", spi=spi, udp_port=udp_port)

    async def close_l2tp(self, tunnel: int) -> None:
        await self._order("close_l2tp", tunnel=tunnel)

    async def close_call(self, session: int) -> None:
        await self._order("close_call", session=session)

    # --- within ---

    async def _order(self, do: str, **arguments: Any) -> Any:
        async with self._turn:
            if self._writer is None:
                raise DeviceError(self.name, do, "it is not running")
            self._writer.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
            return await self._answer(do)

    async def _answer(self, do: str) -> Any:
        assert self._reader is not None
        try:
            line = await asyncio.wait_for(self._reader.readline(), PATIENCE_S)
        except (TimeoutError, OSError) as error:
            raise DeviceError(self.name, do, str(error) or f"no answer within {PATIENCE_S:g} s") from error
        if not line:
            raise DeviceError(self.name, do, "it has ended")
        answer = json.loads(line)
        if "wrong" in answer:
            raise DeviceError(self.name, do, str(answer["wrong"]))
        return answer["done"]


def view_of(row: Mapping[str, Any]) -> GatewayView:
    """A view out of JSON."""
    return GatewayView(
        t=row["t"],
        label=row["label"],
        sessions=tuple(GatewaySession(**one) for one in row["sessions"]),
        sas=tuple(GatewaySa(**one) for one in row["sas"]),
        ike_sas=tuple((icookie, rcookie, address, port) for icookie, rcookie, address, port in row["ike_sas"]),
        texts=row["texts"],
        ports={int(mark): port for mark, port in row["ports"].items()},
    )


def _revealed(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {key: _revealed(one) for key, one in value.items()}
    return value
