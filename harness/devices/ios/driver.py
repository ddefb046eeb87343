"""A driver of Cisco IOS: connect, show, configure, save and restore, and never cut off the way by which it is managed."""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from harness.devices.ios import commands, configurations, gates, management, restoring, terminal, up_to_the_prompt
from harness.devices.ios.configurations import parse_config
from harness.devices.ios.logins import Way
from harness.devices.ios.parsers.configured import masked
from harness.devices.ios.parsers.users import LineUser
from harness.devices.ios.parsers.version import Version, parse_version
from harness.devices.ios.protection import Protection
from harness.devices.ios.restoring import PUT_BACK, ChangedMeanwhile, NotPutBack, Record, WouldCutOff
from harness.devices.journal import Journal, Undo
from harness.devices.rows import Rows
from harness.devices.ssh import Unreachable, in_thread, secrets_of, tail
from harness.errors import DeviceError
from harness.model import ios_releases, refusals
from harness.model.ios_releases import Lack, Release
from harness.model.reach import Connection
from harness.model.redact import Redactor
from harness.model.secret import Secret

T = TypeVar("T")

TRANSCRIPT_LINES = 200
COMMAND_S = 60.0
REBOOT_S = 600.0
TRY_AGAIN_S = 5.0
CONFIG = "show running-config"


class Ios:
    """One device, by a connection of protocol "ssh" or "telnet"; `enable` is its password for the privileged mode (None:
    `password`).

    With a `journal`, what `configure` changes is written down before, and `restore` puts it back. `hear` is given the transcript,
    redacted. Every method raises DeviceError, and ends: a prompt that does not come is waited for `timeout` seconds, a router that
    reloads `reboot_s`, asked every `try_again_s`. `clock` gives the time of day, in seconds since the epoch.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        journal: Journal | None = None,
        secrets: Iterable[Secret] = (),
        hear: Callable[[str], None] | None = None,
        timeout: float = COMMAND_S,
        reboot_s: float = REBOOT_S,
        try_again_s: float = TRY_AGAIN_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = connection.device
        self.connection = connection
        self.redactor = Redactor([*secrets_of(connection), *secrets])
        self.timeout = timeout
        self._hear = hear
        self._reboot_s, self._try_again_s = reboot_s, try_again_s
        self._clock = clock
        self._session: Any = None
        self._way: Way | None = None
        self._release: str | None = None
        self._record = Record(connection, journal, clock, self.redactor)
        self._protection = Protection(self, connection.protect_minutes, journal)
        self._turn = asyncio.Lock()
        self._transcript: deque[str] = deque(maxlen=TRANSCRIPT_LINES)

    @property
    def connected(self) -> bool:
        return self._session is not None

    async def connect(self) -> None:
        """Logs in and enters the privileged mode."""
        terminal.start_command(self.connection)
        async with self._turn:
            if self._session is None:
                self._transcript.clear()
                start = partial(terminal.start, self.connection, self.timeout, self._note)
                self._session = await self._bounded("connect", start, terminal.CONNECT_S + self.timeout)
                self._way = None

    async def disconnect(self) -> None:
        async with self._turn:
            session, self._session = self._session, None
            if session is not None:
                await in_thread(partial(terminal.end, session))

    async def __aenter__(self) -> Ios:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(DeviceError):
            await self.disconnect()

    async def execute(self, command: str, answers: tuple[tuple[str, str], ...] = ()) -> str:
        """A command's output, as the device gave it. `answers`: (pattern, what is typed where a question fits it)."""
        async with self._turn:
            session = self._connected(command)
            call = partial(terminal.execute, session, command, self.timeout, answers)
            try:
                return await self._bounded(command, call, self.timeout * 2)
            except DeviceError as error:
                raise await self._gated(command, error) from None

    async def ask(self, command: str) -> str:
        """What a command prints, whatever that is: where it is refused, the refusal."""
        async with self._turn:
            session = self._connected(command)
            return await self._bounded(command, partial(terminal.said, session, command, self.timeout), self.timeout * 2)

    async def parse(self, command: str) -> Rows[Any]:
        """A show command's output, read (docs/parsers.md). UsageError, before anything is sent, where no parser knows the
        command."""
        known = commands.find(command)
        return known.parse(up_to_the_prompt(await self.execute(command)))

    async def version(self) -> Version:
        found = self._whole(parse_version(up_to_the_prompt(await self.execute("show version"))).rows, "show version")
        self._release = found.version
        return found

    async def release(self) -> Release:
        """For `ios_releases.missing`. UsageError where what `show version` names is no release of IOS."""
        return ios_releases.parse((await self.version()).version or "")

    async def missing(self, features: Iterable[str]) -> tuple[Lack, ...]:
        """Those of the features (model.ios_releases) that its release lacks; each as text says why what needs it is skipped."""
        return ios_releases.missing(features, await self.release())

    async def running_config(self) -> str:
        text = await self.execute(CONFIG)
        if not configurations.whole(text):
            raise self._trouble(CONFIG, f"it does not come to its end: {tail(text)}")
        if re.search(r"-- ?[Mm]ore ?--", text):
            raise self._trouble(CONFIG, "its lines come in pages, though the terminal's length was set to 0")
        return text

    async def save(self) -> Undo:
        """What would put it back to what it is now. Changes nothing."""
        return restoring.undo(self.connection, await self.running_config(), [])

    async def way(self) -> Way:
        """By which the session has come in."""
        if self._way is None:
            rows = (await self.parse("show users")).rows
            own = next((row for row in rows if isinstance(row, LineUser) and row.own), None)
            self._way = management.way(self.connection, own)
        return self._way

    async def cuts(self, lines: Iterable[str]) -> tuple[management.Cut, ...]:
        """What the lines would cut off of the way by which the device is managed. Types none of them."""
        return tuple(management.cuts(parse_config(await self.running_config()), lines, await self.way()))

    async def configure(self, lines: Iterable[str]) -> None:
        """Types the lines in configuration mode, all of them; those below a section are indented. WouldCutOff where one of them
        would cut off the management, and nothing is typed then; DeviceError where the device has refused one.

        Where the connection has `protect_minutes`, the router is told to reload by then before, and not to any more once the
        change is made and somebody can still log in.
        """
        wanted = list(lines)
        await self._change(wanted, lambda: self.type(wanted))

    async def offer(self, lines: Iterable[str]) -> list[tuple[str, str]]:
        """The same for lines that the device may refuse: each, and what was printed of it."""
        wanted, found = list(lines), list[tuple[str, str]]()

        async def typing() -> None:
            async with self._turn:
                session = self._connected("configure")
                call = partial(terminal.typed, session, wanted, self.timeout)
                found.extend(await self._bounded("configure", call, self.timeout * (2 + len(wanted))))

        await self._change(wanted, typing)
        return found

    async def _change(self, wanted: list[str], typing: Callable[[], Awaitable[None]]) -> None:
        """`typing`, guarded and written down."""
        text = await self.running_config()
        before, way = parse_config(text), await self.way()
        for cut in management.cuts(before, wanted, way):
            raise WouldCutOff(self.name, masked(cut.line.strip()), f"refused, and nothing was typed: it {cut.why}")
        if way.by_ip and management.interface_of(before, way.address) is None:
            self._note(f"{self.name}: no interface has the address by which it is managed: what cuts it off is not foreseen\n")
        if conflicts := self._record.heed(text):
            seen = f"somebody else has changed the same meanwhile: {'; '.join(map(masked, conflicts))}"
            raise self._trouble("configure", f"{seen}; nothing was typed")
        async with self._protection.around():
            self._record.write_down(configurations.after(before, wanted))
            try:
                await typing()
            except DeviceError:
                if self.connected:
                    with suppress(DeviceError):  # what was refused is what is told
                        self._record.look(await self.running_config())
                raise
            self._record.look(await self.running_config())

    async def restore(self) -> None:
        """As it was before the first `configure`; nothing where there was none, or where no journal is kept. Connects anew where
        the connection is gone. ChangedMeanwhile where all is undone and lines of somebody else were found; NotPutBack where it is
        not."""
        if not self._record.kept:
            return
        theirs = self._record.theirs + list(await self._restored(self._record.undo()))
        self._record.done()
        await self._protection.call_off()
        if theirs:
            seen = f"somebody else has changed it meanwhile; kept: {'; '.join(map(masked, dict.fromkeys(theirs)))}"
            raise ChangedMeanwhile(self.name, PUT_BACK, self.redactor.text(seen))

    async def _restored(self, undo: Undo) -> tuple[str, ...]:
        """Where the connection is lost on the way, once more over another."""
        while True:
            fresh = True
            try:
                fresh = await self.reconnect()
                return await self.put_back(undo)
            except NotPutBack:
                raise
            except DeviceError as error:
                if fresh or self.connected:
                    lines = undo.by_hand.splitlines()[:-1]
                    raise NotPutBack(self.name, f"{error.command!r}: {error.seen}", lines, self.redactor) from error

    async def put_back(self, undo: Undo) -> tuple[str, ...]:
        """Brings the running configuration back to the one that was saved, and does the undo's commands. Returns the lines that
        somebody else has added ("+ …") or taken away ("- …") meanwhile, and that stay. NotPutBack."""
        return await restoring.put_back(self, undo, self._clock())

    async def reconnect(self) -> bool:
        """Where the connection is gone, a new one: a router that reloads is waited for. Whether there had to be one."""
        async with self._turn:
            if self._session is not None and not terminal.alive(self._session):
                self._lose()
        if self._session is not None:
            return False
        until = asyncio.get_running_loop().time() + self._reboot_s
        while not self.connected:
            try:
                await self.connect()
            except Unreachable:
                if asyncio.get_running_loop().time() >= until:
                    raise
                await asyncio.sleep(self._try_again_s)
        return True

    async def type(self, lines: list[str], refusal: str = refusals.REFUSAL) -> None:
        """The lines in configuration mode, unguarded and not written down, as far as the first one at which a line of `refusal`
        is printed."""
        async with self._turn:
            session = self._connected("configure")
            call = partial(terminal.configure, session, lines, self.timeout, refusal)
            try:
                await self._bounded("configure", call, self.timeout * (2 + len(lines)))
            except DeviceError as error:
                if self._session is None:
                    raise
                with suppress(Exception):  # what matters is what it said to the line
                    await in_thread(partial(terminal.leave, session, self.timeout))
                raise await self._refused(lines, error) from None

    # --- within ---

    def _note(self, text: str) -> None:
        shown = self.redactor.text(text)
        self._transcript.append(shown)
        if self._hear is not None:
            self._hear(shown)

    async def _refused(self, lines: Iterable[str], error: DeviceError) -> DeviceError:
        """The same error, naming the line and the release that brought it."""
        line = terminal.refused("".join(self._transcript), map(self.redactor.text, lines))
        if line is None:
            return error
        named = type(error)(error.device, error.command, f"{error.seen}, at the line {self.redactor.text(masked(line))!r}")
        return await self._gated(line, named)

    async def _gated(self, line: str, error: DeviceError) -> DeviceError:
        """The same error, naming the release that brought the line or the command, where it is refused for want of that."""
        if gates.feature_of(line) is None or self._session is None or "Invalid input" not in error.seen:
            return error
        if self._release is None:
            with suppress(Exception):  # what was refused is what is told
                said = await in_thread(partial(terminal.execute, self._session, "show version", self.timeout))
                self._release = next((row.version for row in parse_version(up_to_the_prompt(said)).rows), None)
        return type(error)(error.device, error.command, error.seen + gates.why_refused(line, self._release))

    def _connected(self, command: str) -> Any:
        if self._session is None:
            raise DeviceError(self.name, self.redactor.text(command), "there is no connection")
        return self._session

    def _whole(self, rows: tuple[T, ...], command: str) -> T:
        if not rows:
            raise self._trouble(command, "its answer could not be read, or was cut off")
        return rows[0]

    async def _bounded(self, what: str, call: Callable[[], T], seconds: float) -> T:
        """unicon has time-outs of its own; this is for what none of them ends."""
        try:
            async with asyncio.timeout(seconds):
                return await in_thread(call)
        except TimeoutError as error:
            self._lose()
            said = f": {error}" if str(error) else ""
            raise self._trouble(what, f"the prompt did not come within {seconds:g} s{said}") from None
        except Exception as error:
            found = self._translated(what, error)
            if self._session is not None and (_is(error, "EOF") or not terminal.alive(self._session)):
                self._lose()
                seen = f"the connection was cut in the middle of it; the device had said: {tail(''.join(self._transcript))}"
                found = self._trouble(what, seen)
            elif _is(error, "TimeoutError"):
                self._lose()  # what comes late would be taken for the answer to what is asked next
            raise found from None

    def _lose(self) -> None:
        terminal.kill(self._session)
        self._session = None

    def _translated(self, what: str, error: Exception) -> DeviceError:
        if isinstance(error, DeviceError):
            return error
        text = "\n".join([*(f"{type(one).__name__}: {one}" for one in _chain(error)), "".join(self._transcript)])
        where = f"{self.connection.host}:{self.connection.port}"
        for pattern, seen, kind in terminal.KNOWN if self._session is None else ():
            if (match := re.search(pattern, text, re.IGNORECASE)) is not None:
                cure = "" if self.connection.old_ssh else terminal.CURE
                told = seen.format(where=where, user=self.connection.username, cure=cure, **match.groupdict())
                return kind(self.name, self.redactor.text(what), self.redactor.text(told))
        said = tail("".join(self._transcript))
        if _is(error, "TimeoutError"):
            return self._trouble(what, f"the prompt did not come within {self.timeout:g} s; the device had said: {said}")
        if type(error).__name__ == "SubCommandFailure":
            return self._trouble(what, f"the device refuses it: {said}")
        return self._trouble(what, f"{type(error).__name__}: {' '.join(str(error).split())[-600:]}; the device had said: {said}")

    def _trouble(self, what: str, seen: str) -> DeviceError:
        return DeviceError(self.name, self.redactor.text(what), self.redactor.text(seen))


def _chain(error: BaseException) -> list[BaseException]:
    """The error, and those behind it."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and len(chain) < 8:
        chain.append(cause)
    return chain


def _is(error: BaseException, name: str) -> bool:
    """Whether it is one of unicon's errors of that name, or comes of one."""
    return any(type(one).__name__ == name for one in _chain(error))
