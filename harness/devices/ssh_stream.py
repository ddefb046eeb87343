"""A program that runs on at the other end of an SSH channel, its output taken as it comes (tcpdump -w -)."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from harness.devices import ssh_wrapper
from harness.devices.ssh_wrapper import Framing, Greeted
from harness.errors import DeviceError
from harness.model.redact import Redactor

if TYPE_CHECKING:
    import paramiko

CHUNK = 1 << 16
KEPT_STDERR = 1 << 16


class SshStream:
    """From `SshConnection.stream` to `end`. It ends by itself when the program does, or when the connection is cut; the program is
    ended when the connection is."""

    def __init__(self, name: str, command: str, redactor: Redactor) -> None:
        self.name = name
        self.command = command
        self._redactor = redactor
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[int] = self._loop.create_future()
        self._grew = asyncio.Event()
        self._stderr = bytearray()
        self._said_all = threading.Event()
        self._channel: paramiko.Channel | None = None
        self._sink_error: Exception | None = None
        self._asked = False

    def start(self, channel: paramiko.Channel, sink: Callable[[bytes], None], *, root: bool) -> None:
        """On a thread that may block."""
        import paramiko

        self._channel = channel
        framing = Framing.new(merged=False)
        try:
            channel.exec_command(ssh_wrapper.command(root=root))
            channel.sendall(framing.opening(self.command))
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self._trouble(f"the device does not begin it: {error or 'the connection was cut'}") from error
        threading.Thread(target=self._hear_errors, args=(channel,), name=f"{self.name} stderr", daemon=True).start()
        threading.Thread(target=self._hear, args=(channel, framing, sink), name=f"{self.name} stdout", daemon=True).start()

    @property
    def running(self) -> bool:
        return not self._over.done()

    @property
    def said(self) -> str:
        """What the program has written to its standard error (its beginning, where it is long), redacted."""
        return self._redactor.text(bytes(self._stderr).decode(errors="replace"))

    async def seen(self, pattern: str, within: float) -> re.Match[str]:
        """Until its standard error matches; DeviceError if it ends or `within` seconds pass first."""
        expression = re.compile(pattern)
        try:
            async with asyncio.timeout(within):
                while (found := expression.search(self.said)) is None:
                    if self._over.done():
                        status = await self.wait()
                        raise self._trouble(f"ended with status {status} without saying {pattern!r}: {self._tail()}")
                    self._grew.clear()
                    await self._grew.wait()
                return found
        except TimeoutError:
            raise self._trouble(f"did not say {pattern!r} within {within:g} s: {self._tail()}") from None

    async def wait(self) -> int:
        """Until all that it said has been taken; its exit status. DeviceError where the connection was cut first, or the sink
        failed."""
        return await asyncio.shield(self._over)

    def signal(self, name: str) -> None:
        """A signal for the program and all that it has started: "INT", "USR1", "KILL"."""
        if not re.fullmatch(r"[A-Z][A-Z0-9]*", name):
            raise ValueError(f"no signal {name!r}")
        if self.running and self._channel is not None:
            with suppress(OSError):  # it has just ended
                self._channel.sendall(f"{name}\n".encode())

    async def end(self, signal: str = "INT", grace: float = 15.0) -> int:
        """Asks it to end, takes what it still has to say, and returns its exit status. What has not ended after `grace` seconds is
        killed: DeviceError then."""
        self._asked = True
        self.signal(signal)
        try:
            async with asyncio.timeout(grace):
                return await self.wait()
        except TimeoutError:
            self.signal("KILL")
            self.close()
            raise self._trouble(f"did not end within {grace:g} s after signal {signal}, and was killed: {self._tail()}") from None
        finally:
            self.close()

    def close(self) -> None:
        """At once; the far side sees the channel close and ends the program."""
        if self._channel is not None:
            self._channel.close()

    # --- within: on the threads ---

    def _hear_errors(self, channel: paramiko.Channel) -> None:
        with suppress(OSError):
            while chunk := channel.recv_stderr(CHUNK):
                if len(self._stderr) < KEPT_STDERR:
                    self._stderr += chunk
                self._on_loop(self._grew.set)
        self._said_all.set()

    def _hear(self, channel: paramiko.Channel, framing: Framing, sink: Callable[[bytes], None]) -> None:
        status = -1
        output = Greeted(framing)
        try:
            while chunk := channel.recv(CHUNK):
                if own := output.own(chunk):
                    sink(own)
            self._said_all.wait()
            status = channel.recv_exit_status()
        except Exception as error:  # whatever the sink raises, a full disk say, is told to whoever waits for the stream
            self._sink_error = error
        channel.close()
        self._on_loop(lambda: self._settle(status, output.begun))

    def _settle(self, status: int, begun: bool) -> None:
        if self._over.done():
            return
        if self._sink_error is not None:
            self._over.set_exception(self._trouble(f"its output could not be taken: {self._sink_error}"))
        elif status < 0:
            seen = "was closed" if self._asked else "the connection was cut in the middle of it"
            self._over.set_exception(self._trouble(f"{seen}; it had said: {self._tail()}"))
        elif not begun:
            self._over.set_exception(self._trouble(f"the shell did not begin (status {status}): {self._tail()}"))
        else:
            self._over.set_result(status)
        self._over.exception()  # looked at here: nobody need be waiting
        self._grew.set()

    def _on_loop(self, call: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(call)

    def _trouble(self, seen: str) -> DeviceError:
        return DeviceError(self.name, self._redactor.text(ssh_wrapper.label(self.command)), seen)

    def _tail(self) -> str:
        return " / ".join(self.said.strip().splitlines()[-6:]) or "(nothing)"
