"""The guest's commander: runs what the host asks for and tells what became of it, over one console in raw mode.

Both directions carry JSON objects, one a line.

    host → guest    {"do": "run", "id": N, "command": text for bash, "fed": whether it takes input}
                    {"do": "signal", "id": N, "signal": number}          to the command's process group
                    {"do": "shell", "id": N, "rows": R, "columns": C}    an interactive shell on a pseudo-terminal
                    {"do": "input", "id": N, "text": …}, {"do": "resize", "id": N, "rows": R, "columns": C}
                    {"do": "poweroff"}
    guest → host    {"event": "ready", "uptime": seconds}
                    {"event": "took", "bytes": N}                        read from the console: the host keeps few under way
                    {"event": "output", "id": N, "text": …}              as it comes; bytes that are not UTF-8 as lone surrogates
                    {"event": "exit", "id": N, "status": S}              S as a shell's: below 0 is minus the signal
                    {"event": "refused", "id": N, "reason": …}

Any number of commands run at once. A command is over when its own process ends: what it left in the background must not keep using
its output. The commander is PID 1, so it also buries every orphan.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import selectors
import signal
import struct
import sys
import termios
import tty

TYPE_CHECKING = False
if TYPE_CHECKING:  # an import that the guest need not pay for
    from collections.abc import Mapping, Sequence

Message = dict[str, object]
CHUNK = 65536
DEFAULT = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGTERM)
"""Signals that a program is started with the default action of, whatever this one was started with."""


class Job:
    """One running command: its process, and the descriptor its output comes from (a pipe, or a terminal's master). `feed` is where
    its input goes: the terminal again, a pipe, or None."""

    def __init__(self, number: int, pid: int, fd: int, feed: int | None) -> None:
        self.number = number
        self.pid = pid
        self.fd = fd
        self.feed = feed

    def close(self) -> None:
        os.close(self.fd)
        if self.feed not in (None, self.fd):
            assert self.feed is not None
            os.close(self.feed)


class Commander:
    """Serves one console. `fd` is a terminal in raw mode or a socket; `serve` returns when it closes."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.jobs: dict[int, Job] = {}
        self.selector = selectors.DefaultSelector()
        self.pending = b""
        self.running = True

    def say(self, **message: object) -> None:
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(self.fd, data) :]

    def serve(self) -> None:
        wake_reader, wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.selector.register(self.fd, selectors.EVENT_READ, "console")
        self.selector.register(wake_reader, selectors.EVENT_READ, "child")
        with open("/proc/uptime") as file:
            self.say(event="ready", uptime=float(file.read().split()[0]))
        while self.running:
            for key, _ in self.selector.select():
                if key.data == "console":
                    self.read_console()
                elif key.data == "child":
                    os.read(wake_reader, CHUNK)
                    self.bury()
                elif isinstance(key.data, Job) and key.data.number in self.jobs:  # else buried just now
                    self.read_job(key.data)

    def read_console(self) -> None:
        data = os.read(self.fd, CHUNK)
        if not data:
            self.running = False
            return
        self.say(event="took", bytes=len(data))
        *lines, self.pending = (self.pending + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            try:
                self.obey(message)
            except OSError as error:
                self.say(event="refused", id=message.get("id"), reason=str(error))

    def obey(self, message: Message) -> None:
        what, number = message["do"], message.get("id")
        if what == "poweroff":
            self.running = False
            return
        assert isinstance(number, int)
        if what == "run":
            self.start(number, str(message["command"]), fed=bool(message.get("fed")))
        elif what == "shell":
            self.start_shell(number, message)
        elif number in self.jobs:
            job = self.jobs[number]
            if what == "signal":
                os.killpg(job.pid, int(str(message["signal"])))
            elif what == "input" and job.feed is not None:
                os.write(job.feed, str(message["text"]).encode("utf-8", "surrogateescape"))
            elif what == "resize":
                resize(job.fd, message)

    def start(self, number: int, command: str, fed: bool) -> None:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        theirs, ours = os.pipe2(os.O_CLOEXEC) if fed else (os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC), None)
        actions = [(os.POSIX_SPAWN_DUP2, fd, number) for fd, number in ((theirs, 0), (writer, 1), (writer, 2))]
        try:
            pid = spawn(("/bin/bash", "-c", command), actions)
        except OSError:
            os.close(reader)
            if ours is not None:
                os.close(ours)
            raise
        finally:
            os.close(writer)
            os.close(theirs)
        self.adopt(Job(number, pid, reader, ours))

    def start_shell(self, number: int, message: Message) -> None:
        master, slave = os.openpty()
        name = os.ttyname(slave)
        resize(master, message)
        try:
            # opened anew in a session of its own, the terminal becomes the shell's controlling one
            actions = [(os.POSIX_SPAWN_OPEN, fd, name, os.O_RDWR, 0) for fd in (0, 1, 2)]
            # without the start-up files of the host's user, which are there too: they may start any number of programs
            pid = spawn(("/bin/bash", "--norc", "-i"), actions, {"PS1": r"\h# "})
        except OSError:
            os.close(master)
            raise
        finally:
            os.close(slave)
        self.adopt(Job(number, pid, master, master))

    def adopt(self, job: Job) -> None:
        os.set_blocking(job.fd, False)
        self.jobs[job.number] = job
        self.selector.register(job.fd, selectors.EVENT_READ, job)

    def read_job(self, job: Job) -> bool:
        """Pass one chunk on; False when there is none now or ever."""
        try:
            data = os.read(job.fd, CHUNK)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EIO):  # EIO: a terminal whose last user has gone
                raise
            data = b""
            if error.errno == errno.EAGAIN:
                return False
        if data:
            self.say(event="output", id=job.number, text=data.decode("utf-8", "surrogateescape"))
            return True
        if job.fd in self.selector.get_map():
            self.selector.unregister(job.fd)  # end of output; the end of the process is told apart
        return False

    def bury(self) -> None:
        by_pid = {job.pid: job for job in self.jobs.values()}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            job = by_pid.get(pid)
            if job is None:
                continue
            while self.read_job(job):
                pass
            if job.fd in self.selector.get_map():
                self.selector.unregister(job.fd)
            job.close()
            del self.jobs[job.number]
            self.say(event="exit", id=job.number, status=os.waitstatus_to_exitcode(status))


def spawn(command: tuple[str, ...], actions: Sequence[tuple[object, ...]], besides: Mapping[str, str] | None = None) -> int:
    """Start a program in a session of its own, with default signals: a shell ignores SIGINT for what it starts in the background,
    and that is passed on to everything below. `besides` is added to its environment."""
    environment = {**os.environ, **(besides or {})}
    return os.posix_spawn(command[0], command, environment, file_actions=actions, setsid=True, setsigdef=DEFAULT)


def resize(fd: int, message: Message) -> None:
    rows, columns = int(str(message.get("rows", 24))), int(str(message.get("columns", 80)))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def serve(console: str) -> None:
    """PID 1's last act: serve the console, then switch the machine off."""
    fd = os.open(console, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    tty.setraw(fd)
    Commander(fd).serve()
    power_off()


def power_off() -> None:
    import ctypes

    sys.stdout.flush()
    os.sync()
    ctypes.CDLL(None).reboot(0x4321FEDC)  # RB_POWER_OFF
