"""A terminal on a router by unicon: how it is started, told to do nothing by itself, asked, and ended; and what its errors mean.

unicon starts the system's own ssh or telnet and blocks, so its calls have threads of their own. What it would do by itself to a
device is switched off: it would turn off console logging and time-outs on connecting, and it answers "yes" to a host key that is
not known, so ssh is told not to ask.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import shutil
import signal
import sys
import types
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from harness.devices import ssh_keys, ssh_typed
from harness.devices.ssh import Unreachable
from harness.devices.ssh_keys import Refused
from harness.errors import DeviceError, MissingTool
from harness.model import refusals
from harness.model.reach import Connection

CONNECT_S = 60.0


def start(connection: Connection, timeout: float, note: Callable[[str], None]) -> Any:
    """A session that is logged in, in the privileged mode. `note` is given the transcript as it comes. Blocks; raises what unicon
    raises."""
    unicon = load()
    credentials: dict[str, Any] = {"default": {"username": connection.username}}
    password = connection.password
    enable = connection.enable or password
    if password is not None:
        credentials["default"]["password"] = password.reveal()
    if enable is not None:
        credentials["enable"] = {"password": enable.reveal()}
    session = unicon.Connection(
        hostname=connection.device,
        learn_hostname=True,
        start=[start_command(connection)],
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
    session.settings.ENABLE_TIMEOUT = timeout
    session.settings.EXEC_TIMEOUT = timeout
    session.log.addHandler(_Transcript(note))
    try:
        session.connect()
    except BaseException:
        kill(session)
        raise
    # It would connect again by itself, ten seconds after the end of a connection, and nobody would know that there was one.
    session.connect = _once
    return session


class EOF(Exception):
    """As unicon's own."""


def _once(*_: object, **__: object) -> None:
    raise EOF("the connection is closed")


def execute(session: Any, command: str, timeout: float, answers: tuple[tuple[str, str], ...] = ()) -> str:
    """A command's output. `answers`: (pattern, what is typed where a question fits it)."""
    said: str = session.execute(command, timeout=timeout, error_pattern=[refusals.NOT_UNDERSTOOD], reply=_dialog(answers))
    return printed(command, said)


def configure(session: Any, lines: list[str], timeout: float, refusal: str = refusals.REFUSAL) -> None:
    """`refusal`: the pattern of a line at which it ends with an error (refusals)."""
    session.configure(lines, timeout=timeout, error_pattern=[refusal], reply=_dialog(QUESTIONS))


def said(session: Any, command: str, timeout: float) -> str:
    """What a command prints, whatever that is: a refusal too. It may lead to another mode (`disable`)."""
    text: str = session.execute(command, timeout=timeout, error_pattern=[], allow_state_change=True)
    return printed(command, text)


def typed(session: Any, lines: Iterable[str], timeout: float) -> list[tuple[str, str]]:
    """Each line in configuration mode, one after another, and what was printed of it: a refusal too."""
    dialogs = importlib.import_module("unicon.eal.dialogs")
    machine, spawn, found = session.state_machine, session.spawn, []
    machine.go_to("config", spawn, timeout=timeout)
    try:
        for line in lines:
            spawn.sendline(line.strip())
            dialog = _dialog(QUESTIONS) + dialogs.Dialog([dialogs.Statement(CONFIGURING)])
            answer = dialog.process(spawn, timeout=timeout).last_match
            session.configure.update_hostname_if_needed([line])
            _, _, heard = answer.string[: answer.start()].partition("\n")
            found.append((line, printed(line, heard).strip("\n")))
    finally:
        machine.go_to("enable", spawn, timeout=timeout)
    return found


def printed(typed: str, heard: str) -> str:
    """What a terminal showed after a line was typed, without that line. It may be there twice: telnet shows it as well where it has
    negotiated nothing, as at a console server's port of plain TCP."""
    text = re.sub("\r+\n", "\n", heard).rstrip("\r")
    for _ in range(2):
        line, _, rest = text.partition("\n")
        if line.strip() == typed.strip():
            text = rest
    return text


def leave(session: Any, timeout: float) -> None:
    """From wherever an error has left it to the privileged mode."""
    session.enable(timeout=timeout)


def _dialog(answers: tuple[tuple[str, str], ...]) -> Any:
    dialogs = importlib.import_module("unicon.eal.dialogs")
    return dialogs.Dialog([dialogs.Statement(pattern, f"sendline({answer})", None, True, False) for pattern, answer in answers])


QUESTIONS = (
    (r"[Dd]ynamic mapping in use, do you want to delete all entries\? \[no\]: ?$", "yes"),
    (r"Do you want to continue\? ?\[confirm\] ?$", ""),
)
"""What configuration mode asks on some releases: when a rule of NAT goes that is in use, and when a user goes."""
CONFIGURING = r"(?:^|\n)[\w.-]+\([\w-]+\)#\s?$"
"""The prompt of configuration mode, in whatever section."""
KNOWN: tuple[tuple[str, str, type[DeviceError]], ...] = (
    (r"REMOTE HOST IDENTIFICATION HAS CHANGED", "its host key has CHANGED", ssh_keys.ChangedHostKey),
    (r"Host key verification failed|No \S+ host key is known", "its host key is not known", ssh_keys.UnknownHostKey),
    (r"Bad secrets|enable password|\+\+\+ [^\n]*: enable \+\+\+(?![^+]*\+\+\+ )[^+]*Password:",
     "it refuses the enable password", Refused),
    (r"Permission denied|Authentication failed|Login invalid|bad password|CredentialsExhausted|login failed",
     "{where} refuses user {user!r} by password", Refused),
    (r"Unable to negotiate with [^\n]*: (?P<lack>no matching [\w ]+) found\. Their offer: (?P<offer>\S+)",
     "ssh and {where} have no algorithm in common ({lack}; the device offers {offer}){cure}", DeviceError),
    (r"Connection refused", "{where}: Connection refused", Unreachable),
    (r"Could not resolve hostname|Name or service not known", "the name of {where} is not resolved", Unreachable),
)  # fmt: skip
"""What unicon's errors hold, what is told, and as which error."""
CURE = "; `old_ssh: true` in its connection of the testbed allows what routers of old know"


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
    if connection.old_ssh:
        options += [f"-o {option}" for option in ssh_typed.OLD_SSH]
    return options


def load() -> Any:
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


def end(session: Any) -> None:
    with suppress(Exception):  # it is gone anyway
        session.disconnect()
    kill(session)


def kill(session: Any) -> None:
    """The ssh or telnet that unicon has started."""
    pid = getattr(getattr(session, "spawn", None), "pid", None)
    if isinstance(pid, int) and pid > 1:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def alive(session: Any) -> bool:
    """Whether its ssh or telnet is still there. One that has ended, and whose end nobody has asked for yet, is not."""
    pid = getattr(getattr(session, "spawn", None), "pid", None)
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def refused(transcript: str, lines: Iterable[str]) -> str | None:
    """Which of the lines it is to which a router has given its latest error, by what stands behind the prompt before that; None
    where it is none of them. The transcript is without secrets, and so must be the lines."""
    wanted = {line.strip() for line in lines}
    found = None
    typed = None
    for line in transcript.replace("\r", "\n").splitlines():
        if (match := re.match(r"[\w.-]+\(config[^)]*\)#\s*(.*\S)", line)) is not None:
            typed = match[1]
        elif refusals.refusal(line):
            found = typed
    return found if found in wanted else None
