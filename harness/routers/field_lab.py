"""What laboratories of routers that are there have in common beside their command lines: how routers begin, captures, the card."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn, Protocol

from harness.errors import LabError
from harness.lab.field_routers import FieldRouters
from harness.model import CaptureFacts, Side
from harness.model.reach import CaptureSource
from harness.probes.capture import Capture
from harness.probes.dissect import Addresses
from harness.routers import wants
from harness.routers.field_consoles import LOGGING, FieldConsoles
from harness.routers.field_hosts import FieldHosts
from harness.routers.play import Gathered
from harness.routers.script import RouterScript
from harness.scenario.field_captures import OverSsh
from harness.wire.packet import Packet


class OnCard(Protocol):
    """Who is on the lent card, or cards."""

    @property
    def unsent(self) -> int:
        """Frames that were not taken."""

    async def meet(self) -> list[str]:
        """Looks whether the routers are there, before anything is captured; sentences on what is amiss."""

    def close(self) -> None: ...


class Frames(Protocol):
    """What one who is on a card has to account for."""

    @property
    def unsent(self) -> int: ...

    def close(self) -> None: ...


class Together:
    """Several on the lent card, or cards. Of these `hosts` meet their routers before anything is captured."""

    def __init__(self, hosts: FieldHosts | None, others: Frames | None) -> None:
        self._hosts = hosts
        self._all: tuple[Frames, ...] = tuple(one for one in (hosts, others) if one is not None)

    @property
    def unsent(self) -> int:
        return sum(one.unsent for one in self._all)

    async def meet(self) -> list[str]:
        return [] if self._hosts is None else await self._hosts.meet()

    def close(self) -> None:
        for one in self._all:
            one.close()


class FieldLab(FieldConsoles):
    """`lab` is up; `names` as FieldConsoles has them. What nobody can do on a wire that is there is a LabError."""

    def __init__(
        self, lab: FieldRouters, names: Mapping[str, Mapping[str, str]], script: RouterScript, gathered: Gathered
    ) -> None:
        super().__init__(lab.routers, names, null=script.null)
        self._lab = lab
        self._testbed = lab.testbed
        self._script = script
        self._gathered = gathered

    async def begin(self) -> None:
        """The routers as the script wants them. DeviceError where one does not take a line."""
        lines: dict[str, list[str]] = {}
        for role in self._roles():
            wanted = (*self._startup(role), *self._script.lines.get(role, ()))
            lines[role] = [self.there(role, line) for line in wanted if not line.startswith("!")]
            if wants.LOG in self._script.wants:
                lines[role] += LOGGING
            lines[role] += await self._beyond(role)
        await self._lab.fresh(lines)
        if wants.LOG in self._script.wants:
            await self.compare_clocks()

    def debugs(self, device: str) -> None:
        self._lab.debugs(device)

    def trouble(self) -> list[str]:
        """A lock that was lost: somebody else may have changed the routers meanwhile."""
        return [] if self._lab.lost is None else [str(self._lab.lost)]

    @asynccontextmanager
    async def captured(self, folder: Path, captures: list[CaptureFacts]) -> AsyncIterator[None]:
        """The card is open, and the wires captured, while inside. CaptureError."""
        people = self._on_card()
        try:
            self._gathered.trouble += await people.meet()
            async with AsyncExitStack() as running:
                for side, source in reversed(tuple(self._testbed.sources.items())):  # they stop in the testbed's order
                    one = self._capture(side, source, folder / f"{side.value}.pcap")
                    await one.start()
                    running.push_async_callback(self._stop, one, captures)
                yield
            if wants.LOG in self._script.wants:
                self._gathered.logged += await self.logged()
        finally:
            if people.unsent:
                cards = self._testbed.cards_named
                self._gathered.trouble.append(f"{cards} did not take {people.unsent} frames that were to be sent")
            people.close()

    async def _stop(self, one: Any, captures: list[CaptureFacts]) -> None:
        captures.append(await one.stop())

    def _capture(self, side: Side, source: CaptureSource, path: Path) -> Any:
        if source.kind == "nic":
            return Capture(side, None, source.interface, path, promiscuous=True)
        return OverSsh(self._lab, side, source, path, promiscuous=True)

    # --- for subclasses ---

    @property
    @abstractmethod
    def addresses(self) -> Addresses: ...

    @abstractmethod
    def _roles(self) -> tuple[str, ...]:
        """Those that the script has."""

    @abstractmethod
    def _startup(self, role: str) -> Sequence[str]:
        """What its routers begin with, in the documents' words."""

    async def _beyond(self, role: str) -> Sequence[str]:
        """Lines that the testbed needs, and no script knows of."""
        return ()

    @abstractmethod
    def _on_card(self) -> OnCard:
        """Who is on it while a script is played."""

    # --- what no wire that is there can do ---

    @property
    def lose(self) -> Callable[[Packet], bool]:
        return lambda packet: False

    @lose.setter
    def lose(self, which: Callable[[Packet], bool]) -> None:
        self._unable("lose packets on the wire")

    def inject(self, data: bytes) -> None:
        self._unable("put packets on the wire")

    def _unable(self, what: str) -> NoReturn:
        raise LabError(what, "these routers are there already, and what joins them", "play it on testbeds/virtual-ios.yaml")
