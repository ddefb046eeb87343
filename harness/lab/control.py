"""How the `natstorm lab` commands talk to the keeper of a lab: JSON lines on an abstract Unix socket of the host's network.

An abstract name is no file: it goes with the last process that holds the socket, however that process ends. It is also open to
anybody on the machine, so both sides ask the kernel who the other is (SO_PEERCRED).
"""

from __future__ import annotations

import array
import json
import os
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

from harness.errors import LabError, UsageError

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
_FDS_SPACE = socket.CMSG_SPACE(8 * array.array("i").itemsize)
ANSWER_S = 30.0


def name(uid: int) -> str:
    return f"\0natstorm-lab-{uid}"


def peer_uid(connection: socket.socket) -> int:
    """The other side's user, in terms of the caller's own user namespace."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(raw)[1])


def listen() -> socket.socket:
    """The socket a new keeper answers on. Raises UsageError where this user's lab is up already."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(name(os.geteuid()))
    except OSError as error:
        listener.close()
        cure = "`natstorm lab status` shows it, `natstorm lab down` ends it"
        raise UsageError("a lab of yours is up already", cure=cure) from error
    listener.listen(8)
    return listener


def connect() -> Control | None:
    """To this user's lab; None where none is up."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(name(os.geteuid()))
    except ConnectionRefusedError:
        connection.close()
        return None
    owner = peer_uid(connection)
    if owner != os.geteuid():
        connection.close()
        cure = "ask that user, or root, to end the process"
        raise LabError("reach the lab's keeper", f"user {owner} holds the name of your lab", cure)
    return Control(connection)


class Control:
    """One connection to a keeper, from the command's side."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._buffer = b""
        self._fds: list[int] = []
        connection.settimeout(ANSWER_S)

    def close(self) -> None:
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()
        self.connection.close()

    def send(self, message: dict[str, Any]) -> None:
        try:
            self.connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise LabError("speak to the lab's keeper", error.strerror or str(error), "natstorm lab status") from error

    def receive(self) -> dict[str, Any] | None:
        """The next message; None at the end of the connection."""
        while b"\n" not in self._buffer:
            try:
                data, ancillary, _, _ = self.connection.recvmsg(65536, _FDS_SPACE, socket.MSG_CMSG_CLOEXEC)
            except TimeoutError as error:
                raise LabError("ask the lab's keeper", f"no answer within {ANSWER_S:g} s", "natstorm lab down") from error
            except ConnectionResetError:
                return None
            for level, kind, raw in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds = array.array("i")
                    fds.frombytes(raw[: len(raw) - len(raw) % fds.itemsize])
                    self._fds.extend(fds)
            if not data:
                return None
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        message: dict[str, Any] = json.loads(line)
        return message

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Sends a request and returns its answer; raises the LabError that the keeper answered with."""
        self.send(request)
        answer = self.receive()
        if answer is None:
            raise LabError("ask the lab's keeper", "it ended before it answered", "natstorm lab up")
        if "error" in answer:
            raise LabError(**answer["error"])
        return answer

    def take_fds(self) -> list[int]:
        """The file descriptors that came with the answers so far, now the caller's."""
        taken, self._fds = self._fds, []
        return taken


def send_with_fds(connection: socket.socket, message: dict[str, Any], fds: Sequence[int]) -> None:
    socket.send_fds(connection, [json.dumps(message).encode() + b"\n"], list(fds))


def await_end(seconds: float) -> bool:
    """Waits until this user's lab is gone, its socket with it; False where it is still there after that time."""
    deadline = time.monotonic() + seconds
    while True:
        left = connect()
        if left is None:
            return True
        left.close()
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
