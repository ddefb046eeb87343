"""From the host into a node of a lab that a keeper holds: `natstorm lab shell`."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import struct
import sys
import termios
import tty
from collections.abc import Sequence
from typing import Any

from harness.errors import LabError
from harness.lab import launcher, libc
from harness.lab.control import Control
from harness.lab.reaper import exit_status

_KINDS = (libc.CLONE_NEWUSER, libc.CLONE_NEWNS, libc.CLONE_NEWPID, libc.CLONE_NEWNET)
"""The kinds of the descriptors that the keeper hands over, in its order."""


def enter_node(control: Control, node: str, command: Sequence[str]) -> int:
    """Runs `command`, or an interactive shell, in namespace `node` of the lab; returns its exit status."""
    answer = control.ask({"do": "enter", "node": node})
    handles = control.take_fds()
    if len(handles) != len(_KINDS):
        raise LabError(f"enter {node}", f"{len(handles)} namespaces came instead of {len(_KINDS)}", "natstorm lab status")
    argv = list(command) or [os.environ.get("SHELL") or shutil.which("bash") or "/bin/sh"]
    try:
        # A process may not enter the user namespace it is in; only another's gives the right to enter the others.
        own = os.stat("/proc/self/ns/user").st_ino
        for kind, handle in zip(_KINDS, handles, strict=True):
            if kind != libc.CLONE_NEWUSER or os.fstat(handle).st_ino != own:
                libc.setns(handle, kind)
    except OSError as error:
        raise LabError(f"enter {node}", error.strerror or str(error), "as the user who brought the lab up") from error
    control.close()
    terminal = _foreground_terminal()
    child = os.fork()  # only a child is in the PID namespace
    if child == 0:
        _become(argv, node, answer["mark"], terminal)
    return _await_child(child, terminal)


def _foreground_terminal() -> int | None:
    """The terminal that this process has in the foreground; None where it has none."""
    try:
        return 0 if os.tcgetpgrp(0) == os.getpgrp() else None
    except OSError:
        return None


def _await_child(child: int, terminal: int | None) -> int:
    """Until the child has ended. Where it is stopped (Ctrl-Z), this process stops too, so that the caller's shell goes on."""
    if terminal is not None:
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # taking the terminal back from the background
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        if terminal is not None:
            os.tcsetpgrp(terminal, os.getpgrp())
        if not os.WIFSTOPPED(status):
            return exit_status(status)
        os.kill(os.getpid(), signal.SIGSTOP)
        if terminal is not None:
            os.tcsetpgrp(terminal, child)
        os.kill(child, signal.SIGCONT)


def _become(argv: Sequence[str], node: str, mark: str, terminal: int | None) -> None:
    try:
        libc.parent_death_signal(signal.SIGKILL)
        if terminal is not None:
            # A group of its own in the foreground: the caller's is not known in this PID namespace, and job control needs one.
            os.setpgid(0, 0)
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(terminal, os.getpgrp())
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.environ.update({launcher.MARK: mark, "NATSTORM_NODE": node, "TMPDIR": "/tmp", "PS1": f"{node}# "})
        os.execvp(argv[0], list(argv))
    except OSError as error:
        os.write(2, f"natstorm: cannot run {argv[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def run_on_gateway(control: Control, command: str) -> int:
    """Runs one command in the gateway's guest and prints what it wrote; returns its exit status."""
    control.connection.settimeout(None)
    answer = control.ask({"do": "execute", "command": command})
    sys.stdout.write(answer["output"])
    sys.stdout.flush()
    return _shell_status(answer["status"])


def gateway_shell(control: Control) -> int:
    """An interactive shell in the gateway's guest, on this terminal; returns its exit status."""
    terminal = sys.stdin.fileno()
    if not os.isatty(terminal):
        raise LabError("open a shell on the gateway", "standard input is no terminal", "natstorm lab shell gateway -- COMMAND")
    rows, columns = _size(terminal)
    control.send({"do": "shell", "rows": rows, "columns": columns})
    before = termios.tcgetattr(terminal)
    resized, resized_writer = socket.socketpair()
    resized_writer.setblocking(False)
    signal.signal(signal.SIGWINCH, lambda _number, _frame: None)
    signal.set_wakeup_fd(resized_writer.fileno())
    tty.setraw(terminal)
    try:
        return _relay(control, terminal, resized)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
        signal.set_wakeup_fd(-1)
        resized.close()
        resized_writer.close()


def _relay(control: Control, terminal: int, resized: socket.socket) -> int:
    incoming = b""
    while True:
        readable, _, _ = select.select([terminal, control.connection.fileno(), resized.fileno()], [], [])
        if resized.fileno() in readable:
            resized.recv(64)
            rows, columns = _size(terminal)
            control.send({"rows": rows, "columns": columns})
        if terminal in readable:
            control.send({"type": base64.b64encode(os.read(terminal, 4096)).decode()})
        if control.connection.fileno() in readable:
            data = control.connection.recv(65536)
            if not data:
                raise LabError("keep the shell on the gateway", "the lab went away", "natstorm lab status")
            *lines, incoming = (incoming + data).split(b"\n")
            for line in lines:
                message: dict[str, Any] = json.loads(line)
                if "error" in message:
                    raise LabError(**message["error"])
                if "status" in message:
                    return _shell_status(message["status"])
                os.write(sys.stdout.fileno(), message["output"].encode(errors="surrogateescape"))


def _size(terminal: int) -> tuple[int, int]:
    rows, columns, _, _ = struct.unpack("4H", fcntl.ioctl(terminal, termios.TIOCGWINSZ, b"\0" * 8))
    return rows or 24, columns or 80


def _shell_status(status: int) -> int:
    return status if status >= 0 else 128 - status
