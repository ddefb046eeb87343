"""A device's command line over SSH: commands, programs that run on, small files. Strict host keys, jump hosts, bounded waits.

paramiko blocks, so each call that waits has a thread of its own, and the event loop none of the waiting.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import shlex
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from harness.devices import ssh_keys, ssh_wrapper
from harness.devices.ssh_stream import SshStream
from harness.devices.ssh_wrapper import Framing
from harness.errors import DeviceError, MissingTool
from harness.model.reach import Connection
from harness.model.redact import Redactor
from harness.model.secret import Secret

if TYPE_CHECKING:
    import paramiko

T = TypeVar("T")

CHUNK = 1 << 16
LARGEST_FILE = 16 << 20
TOLD = 4000
"""Characters of a command's output that the transcript keeps."""
AT_ONCE = 6
"""Commands under way on one connection; OpenSSH takes ten sessions, and captures need some of them."""


class Unreachable(DeviceError):
    """Nobody answers at the device's address, or not as an SSH server does."""


class ConnectionCut(DeviceError):
    """The connection ended in the middle of a command, of which nobody knows how far it came."""


@dataclass(frozen=True, slots=True)
class Result:
    """A finished command. `status` is a shell's exit status (128 and more: the signal's number that ended it). `output` is as it
    came; `shown` is what a message may say of it, without secrets."""

    status: int
    output: str
    redactor: Redactor | None = field(default=None, repr=False, compare=False)

    @property
    def shown(self) -> str:
        return self.output if self.redactor is None else self.redactor.text(self.output)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. `attempts` to connect in all, `pause` between the first two and twice as long between the next; what is refused on
    other grounds than silence (a host key, a password) is not tried again, and no command ever is."""

    connect: float = 15.0
    banner: float = 15.0
    login: float = 30.0
    keepalive: float = 15.0
    attempts: int = 3
    pause: float = 1.0


class SshConnection:
    """One device. Connects when first needed, and again before a command where the connection has gone meanwhile.

    `root`: scripts run as root, by `sudo -n` where the user is another. `secrets` are those, besides the connection's own, that no
    message may show; `hear` is given the transcript, redacted. Every method raises DeviceError.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        root: bool = False,
        secrets: Iterable[Secret] = (),
        patience: Patience | None = None,
        hear: Callable[[str], None] | None = None,
    ) -> None:
        self.connection = connection
        self.name = connection.device
        self.patience = patience or Patience()
        self.redactor = Redactor([*secrets_of(connection), *secrets])
        self.attempts = 0  # to connect, since it is wanted
        self.root = root
        self._hear = hear
        self._transport: paramiko.Transport | None = None
        self._jump: SshConnection | None = None
        self._turn = asyncio.Lock()
        self._places = asyncio.Semaphore(AT_ONCE)

    @property
    def connected(self) -> bool:
        return self._transport is not None and self._transport.is_active()

    async def open(self) -> None:
        """Connects and logs in; nothing where it is connected already."""
        await self._ready()

    async def close(self) -> None:
        """Ends the connection, and with it whatever was started over it. Safe at any time, and twice."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await in_thread(transport.close)
        jump, self._jump = self._jump, None
        if jump is not None:
            await jump.close()

    async def __aenter__(self) -> SshConnection:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def execute(self, command: str, timeout: float = 30.0) -> Result:
        """Runs a bash script to its end; its output and standard error come as one text. After `timeout` seconds it is killed.

        ConnectionCut where the connection ends first: the script is killed then, too, but how far it came is not known.
        """
        self._tell(f"{self.name}$ {ssh_wrapper.label(command)}")
        result = await self._execute(command, timeout)
        self._tell(f"{result.output.rstrip()[:TOLD]}\n[{self.name}: status {result.status}]")
        return result

    async def stream(self, command: str, sink: Callable[[bytes], None]) -> SshStream:
        """Starts a program that runs on. `sink` is given the bytes of its output as they come, on a thread of the stream's own:
        while it does not return, nothing more is read."""
        transport = await self._ready()
        self._tell(f"{self.name}$ {ssh_wrapper.label(command)}  [runs on]")
        stream = SshStream(self.name, command, self.redactor)
        await in_thread(partial(self._start, stream, transport, sink))
        return stream

    async def session(self, command: str) -> paramiko.Channel:
        """A channel of its own for a program that is talked with (ssh_line); `command` is for messages. The caller starts it."""
        transport = await self._ready()
        self._tell(f"{self.name}$ {ssh_wrapper.label(command)}  [a line]")
        return await in_thread(partial(self._session, transport, command))

    async def upload(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """A small file in one piece: whoever reads `path` finds the old one or the new one. A symbolic link stays one."""
        _small(self.name, path, len(data))
        text = base64.encodebytes(data).decode()
        name = shlex.quote(path)
        real = f"umask 077; real=$(readlink -f -- {name} || echo {name}); part=$real.natstorm-part"
        whole = f"""base64 -d > "$part" <<'end' && chmod {mode:o} "$part" && mv -f "$part" "$real"\n{text}end\n"""
        await self._do(f"write {path}", f"{real}\n{whole}")

    async def download(self, path: str) -> bytes:
        """A small file. DeviceError where there is none, or it is no small one."""
        name = shlex.quote(path)
        script = f"size=$(stat -L -c %s {name}) || exit 1; echo $size; ((size <= {LARGEST_FILE})) || exit 0; base64 {name}"
        size, _, text = (await self._do(f"read {path}", script)).partition("\n")
        _small(self.name, path, int(size))
        return base64.b64decode(text)

    # --- within ---

    def trouble(self, command: str, seen: str, kind: type[DeviceError] = DeviceError) -> DeviceError:
        """An error about a command, without the secrets of either."""
        return kind(self.name, self.redactor.text(ssh_wrapper.label(command)), self.redactor.text(seen))

    async def _execute(self, command: str, timeout: float) -> Result:
        async with self._places:
            run = _Run(self, await self._ready(), command)
            try:
                return await in_thread(partial(run.to_the_end, timeout))
            finally:
                run.leave()

    async def _do(self, what: str, script: str) -> str:
        """For what the transcript must not hold: in a file's base64 no redactor finds a secret."""
        self._tell(f"{self.name}: {what}")
        result = await self._execute(script, 60.0)
        if result.status != 0:
            raise DeviceError(self.name, what, self.redactor.text(tail(result.output)))
        return result.output

    def _tell(self, text: str) -> None:
        if self._hear is not None:
            self._hear(self.redactor.text(text))

    def _start(self, stream: SshStream, transport: paramiko.Transport, sink: Callable[[bytes], None]) -> None:
        stream.start(self._session(transport, stream.command), sink, root=self.root)

    def _session(self, transport: paramiko.Transport, command: str) -> paramiko.Channel:
        import paramiko

        try:
            return transport.open_session(timeout=self.patience.login)
        except (paramiko.SSHException, EOFError, OSError) as error:
            opens = f"the device opens no session: {str(error).rstrip('.')}"
            seen = "the connection was cut before it began" if not transport.is_active() else opens
            raise self.trouble(command, seen, Unreachable) from error

    async def _ready(self) -> paramiko.Transport:
        async with self._turn:
            if self._transport is None or not self._transport.is_active():
                await self.close()
                self._transport = await self._connect()
            return self._transport

    async def _connect(self) -> paramiko.Transport:
        if self.connection.protocol != "ssh":
            seen = f"its connection is {self.connection.protocol}, and this driver speaks SSH"
            raise DeviceError(self.name, "connect", f"{seen}\n  cure: give it an SSH connection")
        _require_paramiko()
        for attempt in range(1, self.patience.attempts + 1):
            self.attempts = attempt
            try:
                return await self._connect_once()
            except Unreachable as error:
                await self.close()
                if attempt == self.patience.attempts or isinstance(error.__cause__, socket.gaierror):
                    raise
            except BaseException:
                await self.close()
                raise
            await asyncio.sleep(self.patience.pause * 2 ** (attempt - 1))
        raise AssertionError("at least one attempt is made")

    async def _connect_once(self) -> paramiko.Transport:
        through = None
        if self.connection.jump is not None:
            self._jump = SshConnection(self.connection.jump, patience=replace(self.patience, attempts=1))
            through = await self._jump._ready()
        return await in_thread(partial(self._dial, through))

    def _dial(self, through: paramiko.Transport | None) -> paramiko.Transport:
        import paramiko

        sock = self._tcp() if through is None else self._tunnel(through)
        transport = None
        try:
            transport = paramiko.Transport(sock)
            transport.daemon = True
            transport.banner_timeout = self.patience.banner
            transport.auth_timeout = self.patience.login
            options = transport.get_security_options()
            options.key_types = ssh_keys.known_types(self.connection, tuple(options.key_types))
            try:
                transport.start_client(timeout=self.patience.connect + self.patience.banner)
            except (paramiko.SSHException, EOFError, OSError) as error:
                waited = f"within {self.patience.banner:g} s"
                seen = f"what answers at {self._where} does not speak SSH {waited}, or breaks off: {str(error) or 'its end'}"
                cure = "is that the port of its SSH server, and is the device up?"
                raise Unreachable(self.name, "connect", f"{seen}\n  cure: {cure}") from error
            ssh_keys.judge_host_key(self.connection, transport.get_remote_server_key())
            ssh_keys.authenticate(transport, self.connection)
            transport.set_keepalive(round(self.patience.keepalive))
        except BaseException:
            if transport is not None:
                transport.close()
            with suppress(OSError):
                sock.close()
            raise
        return transport

    def _tcp(self) -> socket.socket:
        try:
            sock = socket.create_connection((self.connection.host, self.connection.port), timeout=self.patience.connect)
        except socket.gaierror as error:
            seen = f"the name {self.connection.host!r} is not resolved: {error.strerror}"
            raise Unreachable(self.name, "connect", f"{seen}\n  cure: correct the testbed's address of {self.name}") from error
        except TimeoutError as error:
            seen = f"{self._where} does not answer within {self.patience.connect:g} s"
            raise Unreachable(self.name, "connect", seen) from error
        except OSError as error:
            raise Unreachable(self.name, "connect", f"{self._where}: {error.strerror or error}") from error
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A peer that is gone without a word is noticed by what it does not acknowledge, keepalives among it.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(self.patience.keepalive * 4000))
        return sock

    def _tunnel(self, through: paramiko.Transport) -> Any:
        import paramiko

        try:
            there = (self.connection.host, self.connection.port)
            return through.open_channel("direct-tcpip", there, ("127.0.0.1", 0), timeout=self.patience.connect)
        except (paramiko.SSHException, EOFError, OSError) as error:
            seen = f"{self._where} is not reached: {error}"
            raise Unreachable(self.name, "connect", seen) from error

    @property
    def _where(self) -> str:
        there = f"{self.connection.host}:{self.connection.port}"
        return there if self.connection.jump is None else f"{there} through {self.connection.jump.device}"


class _Run:
    """One script under way."""

    def __init__(self, owner: SshConnection, transport: paramiko.Transport, command: str) -> None:
        self._owner = owner
        self._transport = transport
        self._command = command
        self._channel: paramiko.Channel | None = None
        self._left = False

    def to_the_end(self, timeout: float) -> Result:
        deadline = time.monotonic() + timeout
        framing = Framing.new(merged=True)
        channel = self._channel = self._owner._session(self._transport, self._command)
        if self._left:
            channel.close()
        heard = bytearray()
        try:
            channel.settimeout(timeout)
            channel.set_combine_stderr(True)
            channel.exec_command(ssh_wrapper.command(root=self._owner.root))
            channel.sendall(framing.opening(self._command))
            while (status := framing.status(bytes(heard[-CHUNK - 200 :]))) is None:
                channel.settimeout(max(0.001, deadline - time.monotonic()))
                chunk = channel.recv(CHUNK)
                if not chunk:
                    raise self._ended_early(framing, bytes(heard))
                heard += chunk
        except TimeoutError:
            seen = f"no end within {timeout:g} s, so it was killed; so far: {self._said(framing, bytes(heard))}"
            raise self._owner.trouble(self._command, seen) from None
        except (OSError, EOFError, _ssh_exception()) as error:
            if isinstance(error, DeviceError):
                raise
            raise self._ended_early(framing, bytes(heard)) from error
        finally:
            channel.close()
        return Result(status, framing.output(bytes(heard)).decode(errors="replace"), self._owner.redactor)

    def leave(self) -> None:
        """Whoever waited is gone: the far side sees the channel close and kills what runs."""
        self._left = True
        if self._channel is not None:
            self._channel.close()

    def _ended_early(self, framing: Framing, heard: bytes) -> DeviceError:
        said = self._said(framing, heard)
        if framing.beginning not in heard and self._transport.is_active() and not self._left:
            cure = "the device must have bash, and sudo without a password where the user is not root"
            return self._owner.trouble(self._command, f"the shell did not begin: {said}\n  cure: {cure}")
        seen = f"the connection was cut in the middle of it; so far: {said}"
        return self._owner.trouble(self._command, seen, ConnectionCut)

    def _said(self, framing: Framing, heard: bytes) -> str:
        return tail((framing.output(heard) if framing.beginning in heard else heard).decode(errors="replace"))


def secrets_of(connection: Connection) -> tuple[Secret, ...]:
    """The connection's own, and those of what it goes through."""
    own = tuple(one for one in (connection.password, connection.enable) if one is not None)
    return own if connection.jump is None else (*own, *secrets_of(connection.jump))


def tail(text: str, lines: int = 6) -> str:
    """The end of what was said, on one line."""
    return " / ".join(text.strip().splitlines()[-lines:]) or "(no output)"


async def in_thread(function: Callable[[], T]) -> T:
    """What the function returns or raises, from a thread of its own: those of a pool would be taken by whoever waits longest."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if not future.done():
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        try:
            outcome = partial(settle, function(), None)
        except BaseException as error:
            outcome = partial(settle, None, error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(outcome)

    threading.Thread(target=work, name="ssh", daemon=True).start()
    return await future


def _require_paramiko() -> None:
    try:
        import paramiko  # noqa: F401
    except ImportError as error:
        raise MissingTool("connect by SSH", "paramiko is not installed", "pip install 'natstorm[devices]'") from error
    # Its errors arrive as ours; on a terminal without a logger of its own they would be told twice, with a traceback.
    if not logging.getLogger("paramiko").handlers:
        logging.getLogger("paramiko").addHandler(logging.NullHandler())


def _ssh_exception() -> type[Exception]:
    import paramiko

    kind: type[Exception] = paramiko.SSHException
    return kind


def _small(device: str, path: str, size: int) -> None:
    if size > LARGEST_FILE:
        raise DeviceError(device, f"copy {path}", f"{size} bytes are more than the {LARGEST_FILE} that are copied in one piece")
