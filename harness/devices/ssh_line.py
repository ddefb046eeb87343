"""A program at the other end of an SSH channel that one talks with, line by line: its input and output as one socket here.

The program ends when it reads the end of its input, which it does when the connection is gone. It is started by the same few lines
of bash as scripts are (ssh_wrapper): whatever the login shell is and says, and as root where that is wanted.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from harness.devices import ssh_wrapper
from harness.devices.ssh import SshConnection, in_thread
from harness.devices.ssh_wrapper import Framing, Greeted
from harness.model.redact import Redactor

if TYPE_CHECKING:
    import paramiko

CHUNK = 1 << 16
KEPT_STDERR = 1 << 14


class SshLine:
    """From `open` to `close`. `socket` is this machine's end; `said` what the program wrote to its standard error."""

    def __init__(
        self, ours: socket.socket, theirs: socket.socket, channel: paramiko.Channel, framing: Framing, redactor: Redactor
    ) -> None:
        self.socket = ours
        self._framing = framing
        self._redactor = redactor
        self._theirs = theirs
        self._channel = channel
        self._stderr = bytearray()
        for work in (self._inwards, self._outwards, self._errors):
            threading.Thread(target=work, name="ssh line", daemon=True).start()

    @classmethod
    async def open(cls, connection: SshConnection, command: str) -> SshLine:
        """Starts `command`, which must hold no secret: process lists show it. DeviceError where the device opens no session."""
        channel = await connection.session(command)
        framing = Framing.new(merged=False)
        await in_thread(lambda: _begin(connection, channel, framing, command))
        ours, theirs = socket.socketpair()
        return cls(ours, theirs, channel, framing, connection.redactor)

    async def tell(self, message: Mapping[str, Any]) -> None:
        """One line of JSON for its input: the way for what no process list may show."""
        await in_thread(lambda: self._channel.sendall(json.dumps(message).encode() + b"\n"))

    @property
    def said(self) -> str:
        """Redacted."""
        return self._redactor.text(bytes(self._stderr).decode(errors="replace").strip())

    @property
    def running(self) -> bool:
        return not self._channel.closed

    def close(self) -> None:
        """Safe at any time, and twice."""
        self._channel.close()
        for one in (self.socket, self._theirs):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    # --- within: on threads that may block ---

    def _inwards(self) -> None:
        with suppress(OSError):
            output = Greeted(self._framing)
            while chunk := self._channel.recv(CHUNK):
                if own := output.own(chunk):
                    self._theirs.sendall(own)
        with suppress(OSError):
            self._theirs.shutdown(socket.SHUT_WR)

    def _outwards(self) -> None:
        with suppress(OSError):
            while chunk := self._theirs.recv(CHUNK):
                self._channel.sendall(chunk)
        with suppress(OSError):
            self._channel.shutdown_write()

    def _errors(self) -> None:
        with suppress(OSError):
            while chunk := self._channel.recv_stderr(CHUNK):
                if len(self._stderr) < KEPT_STDERR:
                    self._stderr += chunk


def _begin(connection: SshConnection, channel: paramiko.Channel, framing: Framing, command: str) -> None:
    import paramiko

    try:
        channel.exec_command(ssh_wrapper.command(root=connection.root, line=True))
        channel.sendall(framing.opening(command))
    except (paramiko.SSHException, EOFError, OSError) as error:
        channel.close()
        raise connection.trouble(command, f"the device does not begin it: {error or 'the connection was cut'}") from error
