"""A first, small driver of Cisco IOS, through unicon: connect, show version, configure, save and restore.

unicon starts the system's own ssh or telnet and blocks, so its calls have threads of their own. What it would do by itself to a
device is switched off: it would turn off console logging and time-outs on connecting, and it answers "yes" to a host key that is
not known, so ssh is told not to ask.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import re
import shutil
import signal
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from harness.devices import ssh_keys
from harness.devices.ios import commands, configurations, up_to_the_prompt
from harness.devices.ios.parsers.version import Version, parse_version
from harness.devices.journal import Journal, Undo, reached
from harness.devices.rows import Rows
from harness.devices.ssh import Unreachable, in_thread, secrets_of, tail
from harness.devices.ssh_keys import Refused
from harness.errors import DeviceError, MissingTool
from harness.model.reach import Connection
from harness.model.redact import Redactor
from harness.model.secret import Secret

T = TypeVar("T")

CONNECT_S = 60.0
TRANSCRIPT_LINES = 200
COMMAND_S = 60.0
CONFIG = "show running-config"


class Ios:
    """One device, by a connection of protocol "ssh" or "telnet"; `enable` is its password for the privileged mode (None:
    `password`).

    With a `journal`, what `configure` changes is written down before, and `restore` puts it back. `hear` is given the transcript,
    redacted. Every method raises DeviceError, and ends: a prompt that does not come is waited for `timeout` seconds.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        journal: Journal | None = None,
        secrets: Iterable[Secret] = (),
        hear: Callable[[str], None] | None = None,
        timeout: float = COMMAND_S,
    ) -> None:
        self.name = connection.device
        self.connection = connection
        self.redactor = Redactor([*secrets_of(connection), *secrets])
        self.timeout = timeout
        self._journal = journal
        self._hear = hear
        self._session: Any = None
        self._saved: str | None = None
        self._numbers: list[int] = []
        self._turn = asyncio.Lock()
        self._transcript: deque[str] = deque(maxlen=TRANSCRIPT_LINES)

    async def connect(self) -> None:
        """Logs in and enters the privileged mode."""
        command = start_command(self.connection)
        async with self._turn:
            if self._session is None:
                self._session = await self._bounded("connect", partial(self._connect, command), CONNECT_S + self.timeout)

    async def disconnect(self) -> None:
        async with self._turn:
            session, self._session = self._session, None
            if session is not None:
                await in_thread(partial(_end, session))

    async def execute(self, command: str) -> str:
        """A show command's output, as the device gave it."""
        async with self._turn:
            session = self._connected(command)
            options = {"timeout": self.timeout, "error_pattern": _ERRORS}
            said: str = await self._bounded(command, partial(session.execute, command, **options), self.timeout * 2)
        return said

    async def parse(self, command: str) -> Rows[Any]:
        """A show command's output, read (docs/parsers.md). UsageError, before anything is sent, where no parser knows the
        command."""
        known = commands.find(command)
        return known.parse(up_to_the_prompt(await self.execute(command)))

    async def version(self) -> Version:
        return self._whole(parse_version(up_to_the_prompt(await self.execute("show version"))).rows, "show version")

    async def running_config(self) -> str:
        text = await self.execute(CONFIG)
        if not configurations.whole(text):
            raise self._trouble(CONFIG, f"it does not come to its end: {tail(text)}")
        return text

    async def save(self) -> Undo:
        """What would put it back to what it is now. Changes nothing."""
        return self._undo(await self.running_config(), ())

    async def configure(self, lines: Iterable[str]) -> None:
        """Types the lines in configuration mode, all of them; those below a section are indented. DeviceError where the device has
        refused one."""
        wanted = list(lines)
        if self._journal is not None:
            if self._saved is None:
                self._saved = await self.running_config()
            self._numbers.append(self._journal.before(self._undo(self._saved, wanted)))
        await self._type(wanted)

    async def restore(self) -> None:
        """As it was before the first `configure`; nothing where there was none, or where no journal is kept."""
        if self._journal is not None and self._saved is not None:
            await self.put_back(self._undo(self._saved, ()))
            for number in self._numbers:
                self._journal.done(number)
            self._saved, self._numbers = None, []

    async def put_back(self, undo: Undo) -> None:
        """Brings the running configuration back to the one that was saved. DeviceError with the lines in which it still differs."""
        saved = configurations.parse_config(undo.script)
        if lines := configurations.back_to(saved, configurations.parse_config(await self.running_config())):
            await self._type(lines)
            if left := configurations.back_to(saved, configurations.parse_config(await self.running_config())):
                raise self._trouble("put the configuration back", f"these lines are still to be typed: {'; '.join(left)}")

    # --- within ---

    def _note(self, text: str) -> None:
        shown = self.redactor.text(text)
        self._transcript.append(shown)
        if self._hear is not None:
            self._hear(shown)

    async def _type(self, lines: list[str]) -> None:
        async with self._turn:
            session = self._connected("configure")
            options = {"timeout": self.timeout, "error_pattern": _ERRORS}
            await self._bounded("configure", partial(session.configure, lines, **options), self.timeout * (2 + len(lines)))

    def _undo(self, saved: str, lines: Iterable[str]) -> Undo:
        before = configurations.parse_config(saved)
        by_hand = configurations.back_to(before, configurations.after(before, lines))
        at = reached(self.connection)
        what = ("bring the running configuration back to the one that was saved",)
        return Undo(what, "ios", self.name, at, script=saved, by_hand="\n".join([*by_hand, "end", ""]))

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
            _kill(self._session)
            self._session = None
            raise self._trouble(what, f"the prompt did not come within {seconds:g} s{_and_said(error)}") from None
        except Exception as error:
            raise self._translated(what, error) from None

    def _connect(self, command: str) -> Any:
        unicon = _unicon()
        credentials: dict[str, Any] = {"default": {"username": self.connection.username}}
        password = self.connection.password
        enable = self.connection.enable or password
        if password is not None:
            credentials["default"]["password"] = password.reveal()
        if enable is not None:
            credentials["enable"] = {"password": enable.reveal()}
        session = unicon.Connection(
            hostname=self.name,
            learn_hostname=True,
            start=[command],
            os="ios",
            credentials=credentials,
            log_stdout=False,
            logfile=os.devnull,
            connection_timeout=CONNECT_S,
            init_exec_commands=["terminal length 0", "terminal width 0"],
            init_config_commands=[],
        )
        # Each Password: at which it could loop is answered once; and it waits for nothing on leaving.
        session.settings.PASSWORD_ATTEMPTS = 1
        session.settings.GRACEFUL_DISCONNECT_WAIT_SEC = 0
        session.settings.POST_DISCONNECT_WAIT_SEC = 0
        session.settings.ENABLE_TIMEOUT = self.timeout
        session.settings.EXEC_TIMEOUT = self.timeout
        self._transcript.clear()
        session.log.addHandler(_Transcript(self._note))
        try:
            session.connect()
        except BaseException:
            _kill(session)
            raise
        return session

    def _translated(self, what: str, error: Exception) -> DeviceError:
        if isinstance(error, DeviceError):
            return error
        chain = [error]
        while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and len(chain) < 8:
            chain.append(cause)  # type: ignore[arg-type]
        text = "\n".join([*(f"{type(one).__name__}: {one}" for one in chain), "".join(self._transcript)])
        where = f"{self.connection.host}:{self.connection.port}"
        for pattern, seen, kind in _KNOWN:
            if re.search(pattern, text, re.IGNORECASE):
                return kind(self.name, self.redactor.text(what), seen.format(where=where, user=self.connection.username))
        said = tail("".join(self._transcript))
        if type(error).__name__ == "SubCommandFailure":
            return self._trouble(what, f"the device refuses it: {said}")
        return self._trouble(what, f"{type(error).__name__}: {' '.join(str(error).split())[-600:]}; the device had said: {said}")

    def _trouble(self, what: str, seen: str) -> DeviceError:
        return DeviceError(self.name, self.redactor.text(what), self.redactor.text(seen))


_ERRORS = [r"^\s*% ?(?:Invalid|Incomplete|Ambiguous|Unknown|Unrecognized|Bad|Access denied|Authorization failed)\b.*"]
_KNOWN: tuple[tuple[str, str, type[DeviceError]], ...] = (
    (r"REMOTE HOST IDENTIFICATION HAS CHANGED", "its host key has CHANGED", ssh_keys.ChangedHostKey),
    (r"Host key verification failed|No \S+ host key is known", "its host key is not known", ssh_keys.UnknownHostKey),
    (r"Bad secrets|enable password|\+\+\+ [^\n]*: enable \+\+\+(?![^+]*\+\+\+ )[^+]*Password:",
     "it refuses the enable password", Refused),
    (r"Permission denied|Authentication failed|Login invalid|bad password|CredentialsExhausted|login failed",
     "{where} refuses user {user!r} by password", Refused),
    (r"Connection refused", "{where}: Connection refused", Unreachable),
    (r"Could not resolve hostname|Name or service not known", "the name of {where} is not resolved", Unreachable),
)  # fmt: skip
"""What unicon's errors hold, what is told, and as which error."""


class _Transcript(logging.Handler):
    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__()
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        self._note(record.getMessage())


def start_command(connection: Connection) -> str:
    """The line by which ssh or telnet is started. Host keys are checked as strictly as ours; a jump host must take a key or an
    agent, since nobody is there to type its password."""
    if shutil.which(connection.protocol) is None:
        raise MissingTool(f"connect to {connection.device}", f"no program {connection.protocol}", f"install {connection.protocol}")
    for word in (connection.host, connection.username):
        if not re.fullmatch(r"[\w.:@%+-]*", word) or word.startswith("-"):
            raise DeviceError(connection.device, "connect", f"{word!r} is no host or user name")
    if connection.protocol == "telnet":
        return f"telnet {connection.host} {connection.port}"
    words = [*_options(connection), f"-p {connection.port}"]
    if (jump := connection.jump) is not None:
        through = f"ssh {' '.join(_options(jump))} -o BatchMode=yes -p {jump.port} -W %h:%p {jump.username}@{jump.host}"
        words.append(f'-o "ProxyCommand={through}"')
    return f"ssh {' '.join(words)} {connection.username}@{connection.host}"


def _options(connection: Connection) -> list[str]:
    options = ["-o StrictHostKeyChecking=yes", "-o NumberOfPasswordPrompts=1", "-o ConnectTimeout=15"]
    options.append(f"-o UserKnownHostsFile={ssh_keys.known_hosts_file(connection)}")
    if connection.key_file is not None:
        options.append(f"-i {connection.key_file}")
    return options


def _unicon() -> Any:
    """unicon loads all of its plugins, and one of them names an exception of genie's, half a gigabyte that nothing here needs."""
    try:
        return importlib.import_module("unicon")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("genie"):
            raise MissingTool("connect to an IOS device", f"no module {error.name}", "pip install 'natstorm[lab]'") from error
    names = ("genie", "genie.metaparser", "genie.metaparser.util", "genie.metaparser.util.exceptions")
    for name in [one for one in sys.modules if one == "unicon" or one.startswith("unicon.")]:
        del sys.modules[name]
    stand_ins = {name: types.ModuleType(name) for name in names}
    vars(stand_ins[names[-1]])["SchemaEmptyParserError"] = type("SchemaEmptyParserError", (Exception,), {})
    sys.modules.update(stand_ins)
    try:
        return importlib.import_module("unicon")
    finally:
        for name in names:
            sys.modules.pop(name, None)


def _end(session: Any) -> None:
    with suppress(Exception):  # it is gone anyway
        session.disconnect()
    _kill(session)


def _kill(session: Any) -> None:
    """The ssh or telnet that unicon has started."""
    pid = getattr(getattr(session, "spawn", None), "pid", None)
    if isinstance(pid, int) and pid > 1:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _and_said(error: BaseException) -> str:
    return f": {error}" if str(error) else ""
