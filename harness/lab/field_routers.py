"""A lab of routers that are there already: reached, locked, refused where somebody uses them, and left as they were found.

`up` looks at each router, and lends callers or hosts their cards; `fresh` gives the routers the lines of a script in place of
those of the one before; `down` puts everything back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from harness.devices.ios import configurations, gateway
from harness.devices.ios.driver import Ios
from harness.devices.ios.lab_parts import part_of
from harness.devices.journal import Undo, reached
from harness.errors import DeviceError, LabError, NatstormError
from harness.lab.reached import PURPOSE, Look, ReachedLab
from harness.lab.segment import Segment, restore_by
from harness.model.router_lab import RouterLab

UNDEBUG = "undebug all"


class FieldRouters(ReachedLab):
    """`routers`: the drivers by role, while the lab is up."""

    def __init__(self, testbed: RouterLab, tell: Callable[[str], None], purpose: str = PURPOSE) -> None:
        super().__init__(testbed, Segment(testbed, testbed.cards), tell, purpose)
        self.testbed = testbed
        self.routers: dict[str, Ios] = {}
        self._begun: set[str] = set()  # those on which something was changed, or cleared
        self._debugging: dict[str, int] = {}  # by role, where the journal has it
        self._spoiled = ""

    async def fresh(self, lines: Mapping[str, Sequence[str]]) -> None:
        """The routers as they were found, but for these lines, by role. LabError where one could not be put back, or they are
        somebody else's by now; DeviceError for a line that is refused."""
        if self.lost is not None:
            raise self.lost
        await self._put_back()
        for role, wanted in lines.items():
            async with self._step(f"configure {role}"):
                self._begun.add(role)
                await self.routers[role].configure(wanted)
                await self.clear(role)

    def debugs(self, role: str) -> None:
        """To be called before debugging is switched on at a router: it is switched off when that is put back."""
        if role not in self._debugging:
            assert self._journal is not None
            connection = self.testbed.by_role[role].connection
            undo = Undo((f"type {UNDEBUG}",), "ios", connection.device, reached(connection), commands=(tuple(UNDEBUG.split()),))
            self._debugging[role] = self._journal.before(undo)

    async def clear(self, role: str) -> None:
        """Of all that is up on a router that is a script's, debugging included."""
        if (number := self._debugging.get(role)) is not None:
            await self.routers[role].execute(UNDEBUG)
            assert self._journal is not None
            self._journal.done(number)
            del self._debugging[role]
        await gateway.clear(self.routers[role], part_of(role).cleared)

    # --- within ---

    async def _bring_up(self, look: Look | None) -> None:
        journal = await self._take()
        await self._compare_clocks()
        await self._look(look)
        for role, spec in self.testbed.by_role.items():
            driver = self.routers[role] = Ios(spec.connection, journal=journal, secrets=self.testbed.secrets)
            self._undo.append(driver.disconnect)
            async with self._step(f"look what is up on {role}"):
                await self._refuse_used(role, driver)
        await self._lend(journal)

    async def _refuse_used(self, role: str, driver: Ios) -> None:
        """DeviceError, before anything is changed, where somebody uses it."""
        await driver.connect()
        await gateway.refuse_used(driver, part_of(role).asked)
        there = configurations.parse_config(await driver.running_config())
        if lines := part_of(role).in_the_way(there):
            seen = f"it has {', '.join(dict.fromkeys(lines))}, beside which no script can be played: take it out for the run"
            raise DeviceError(driver.name, "look what it is configured for", seen)

    async def _put_back(self) -> None:
        if self._spoiled:
            seen = f"they were not put back after the last scenario ({self._spoiled}), so that nothing more is played on them"
            raise LabError("use the routers", seen, restore_by(self.testbed.file))
        failed: list[str] = []
        for role in sorted(self._begun):
            driver = self.routers[role]
            try:
                async with self._step(f"put {role} back"):
                    await driver.reconnect()
                    await self.clear(role)
                    await driver.restore()
                self._begun.discard(role)
            except NatstormError as error:
                failed.append(str(error))
        if failed:
            self._spoiled = "; ".join(failed)
            raise LabError("put the routers back", self._spoiled, restore_by(self.testbed.file))

    async def _leave(self) -> None:
        self._spoiled = ""
        await self._put_back()

    def _forget(self) -> None:
        self.routers.clear()
        self._begun.clear()
        self._debugging.clear()
