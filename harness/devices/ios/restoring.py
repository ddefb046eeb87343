"""What a driver of IOS remembers of a configuration that it has changed, and how it brings it back."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.devices.ios import configurations, management, merging, veiling
from harness.devices.ios.configurations import Section, parse_config
from harness.devices.ios.parsers.configured import masked
from harness.devices.ios.parsers.version import up_for
from harness.devices.journal import Journal, Undo, reached
from harness.errors import DeviceError
from harness.model import refusals
from harness.model.reach import Connection
from harness.model.redact import Redactor

if TYPE_CHECKING:
    from harness.devices.ios.driver import Ios

PUT_BACK = "put the configuration back"


class WouldCutOff(DeviceError):
    """Lines that were not typed, since one of them would cut off the way by which the device is managed."""


class ChangedMeanwhile(DeviceError):
    """Somebody else has changed the device's configuration. What was the run's is undone, what is theirs was kept."""


class NotPutBack(DeviceError):
    """A configuration that is not what was saved. `by_hand`: the lines that would do it, with what is secret in them;
    `theirs_alone`: whether they would change nothing but what somebody else has changed meanwhile as well."""

    def __init__(
        self, device: str, seen: str, lines: Iterable[str], redactor: Redactor, *, theirs_alone: bool = False
    ) -> None:
        kept = list(lines)
        shown = "; ".join(masked(line.strip()) for line in kept)
        said = f"{seen}; by hand, in configuration mode: {shown}" if kept else seen
        super().__init__(device, PUT_BACK, redactor.text(said))
        self.by_hand = "\n".join([*kept, "end", ""])
        self.theirs_alone = theirs_alone


class Record:
    """`saved` is the configuration before the first change, with what somebody else has changed since; `became` what our latest
    change has made of it, None while one is being made. The journal has both without the `redactor`'s secrets."""

    def __init__(
        self, connection: Connection, journal: Journal | None, clock: Callable[[], float], redactor: Redactor
    ) -> None:
        self.connection = connection
        self.theirs: list[str] = []
        self._redactor = redactor
        self._salt = secrets.token_hex(8)
        self._journal = journal
        self._clock = clock
        self._number: int | None = None
        self._saved: str | None = None
        self._became: str | None = None
        self._became_at = 0.0

    @property
    def kept(self) -> bool:
        """Whether there is something to put back."""
        return self._journal is not None and self._saved is not None

    def heed(self, now: str) -> tuple[str, ...]:
        """Before a change. What somebody else has changed since our latest one stays when ours is put back; returned is where both
        have changed the same, and nothing is remembered then. Before the first change, what is there is saved."""
        if self._saved is None:
            self._saved = now
        elif self._became is not None:
            merged = merging.merge(parse_config(self._saved), parse_config(self._became), parse_config(now))
            if merged.conflicts:
                return merged.conflicts
            if merged.theirs:
                self.theirs += merged.theirs
                self._saved = configurations.rendered(merged.target)
        self._became = None
        return ()

    def look(self, now: str) -> None:
        """After a change."""
        self._became, self._became_at = now, self._clock()
        self.write_down(parse_config(now))

    def write_down(self, then: Section) -> None:
        """What undoes it, in place of what was written down before; `then` is what the configuration is, or will be."""
        if self._journal is not None:
            last, self._number = self._number, self._journal.before(self._veiled(self.undo(then)))
            if last is not None:
                self._journal.done(last)

    def undo(self, then: Section | None = None) -> Undo:
        """Back to what was saved; without `then`, from what the configuration became."""
        assert self._saved is not None
        now = parse_config(self._became or self._saved) if then is None else then
        found = undo(self.connection, self._saved, configurations.back_to(parse_config(self._saved), now))
        return found if self._became is None else replace(found, became=self._became, became_at=self._became_at)

    def _veiled(self, undo: Undo) -> Undo:
        script, became = (veiling.veiled(text, self._redactor, self._salt) for text in (undo.script, undo.became))
        return replace(undo, script=script, became=became, by_hand=self._redactor.text(undo.by_hand))

    def done(self) -> None:
        """All is undone."""
        if self._journal is not None and self._number is not None:
            self._journal.done(self._number)
        self._saved = self._became = self._number = None
        self.theirs = []


def undo(connection: Connection, saved: str, by_hand: Iterable[str]) -> Undo:
    what = ("bring the running configuration back to the one that was saved",)
    text = "\n".join([*by_hand, "end", ""])
    return Undo(what, "ios", connection.device, reached(connection), script=saved, by_hand=text)


async def put_back(device: Ios, undo: Undo, now_s: float) -> tuple[str, ...]:
    """Brings a router's running configuration back to the one that was saved, and does the undo's commands. Returns what somebody
    else has changed, and what stays. NotPutBack with the lines that would do it: where both have changed the same, where typing
    them would cut off the management, where it still differs. `now_s`: the time of day."""
    for command in undo.commands:
        await device.execute(" ".join(command))
    if not undo.script:
        await _take_away(device, [] if undo.commands else undo.by_hand.splitlines())
        return ()
    there = await device.running_config()
    saved, now = parse_config(veiling.unveiled(undo.script, there)), parse_config(there)
    merged = merging.Merged(saved)
    # What a router has lost by booting, nobody has taken away.
    if undo.became and not await _booted(device, now_s - undo.became_at):
        merged = merging.merge(saved, parse_config(veiling.unveiled(undo.became, there)), now)
    target, lost = veiling.without_lost(merged.target)
    for again in (False, True):  # what a line takes with it, or leaves behind, shows only then
        if lines := configurations.back_to(target, now, default=again):
            for cut in management.cuts(now, lines, await device.way()):
                if cut.at_once:
                    raise NotPutBack(device.name, f"it would cut off its management: {cut}", lines, device.redactor)
            # What is refused is seen by comparing: a `no` of what another line has taken with it changes nothing.
            await device.type(lines, refusals.NOT_UNDERSTOOD)
            now = parse_config(await device.running_config())
    if lines := configurations.back_to(target, now):
        raise NotPutBack(device.name, "it still differs", lines, device.redactor)
    if lost:
        seen = "lines with secrets that it has no more were not written down with them, and are to be typed by hand"
        raise NotPutBack(device.name, f"{seen}: {'; '.join(lost)}", (), device.redactor)
    if merged.conflicts:
        both = "; ".join(map(veiling.plain, merged.conflicts))
        seen = f"somebody else has changed the same meanwhile, which was left as it is: {both}"
        by_hand = configurations.back_to(saved, now)
        raise NotPutBack(device.name, masked(seen), by_hand, device.redactor, theirs_alone=True)
    return tuple(map(veiling.plain, merged.theirs))


async def _take_away(device: Ios, lines: list[str]) -> None:
    """Of the lines that begin with `no`, those of what is there."""
    there = [line.strip() for line in (await device.running_config()).splitlines()] if lines else []
    if wanted := [line for line in lines if line.startswith("no ") and any(one.startswith(line[3:]) for one in there)]:
        await device.type(wanted, refusals.NOT_UNDERSTOOD)


async def _booted(device: Ios, within_s: float) -> bool:
    """Whether it has certainly booted within that time: it tells its uptime in minutes."""
    up_s = up_for((await device.version()).uptime or "")
    return up_s is not None and up_s + 60 <= within_s
