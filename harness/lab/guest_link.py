"""The host's end of a guest's command channel: any number of commands in flight over one socket.

The protocol is described in `harness/lab/guest/commander.py`.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.errors import DeviceError

LINE_LIMIT = 1 << 20
# Bytes under way to the guest at most. Once the guest's line discipline, which holds 4,096 bytes, has told UML to wait, UML never
# hears of that console again; so the guest acknowledges what it has read.
WINDOW = 2048


@dataclass(frozen=True, slots=True)
class Result:
    """A finished command. `status` is a shell's exit status, minus the signal's number where one ended it."""

    status: int
    output: str


class Job:
    """One command under way in the guest. `output` grows as it comes; `on_output` hears every chunk."""

    def __init__(self, link: GuestLink, number: int, command: str) -> None:
        self.command = command
        self.output = ""
        self.on_output: Callable[[str], None] | None = None
        self._link = link
        self._number = number
        self._over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._grew = asyncio.Condition()

    @property
    def running(self) -> bool:
        return not self._over.done()

    async def wait(self) -> Result:
        """Until the command ends. DeviceError if the guest dies first."""
        return Result(await asyncio.shield(self._over), self.output)

    async def seen(self, pattern: str, within: float) -> re.Match[str]:
        """Until the output matches `pattern`; DeviceError if the command ends or `within` seconds pass first."""
        expression = re.compile(pattern)
        try:
            async with asyncio.timeout(within), self._grew:
                while not (match := expression.search(self.output)):
                    if self._over.done():
                        raise DeviceError(self._link.name, self.command, f"ended without saying {pattern!r}: {_tail(self.output)}")
                    await self._grew.wait()
                return match
        except TimeoutError:
            seen = f"did not say {pattern!r} within {within:g} s: {_tail(self.output)}"
            raise DeviceError(self._link.name, self.command, seen) from None

    def signal(self, number: int) -> None:
        """Send a signal to the command's process group."""
        if self.running:
            self._link.send({"do": "signal", "id": self._number, "signal": number})

    def type(self, data: bytes) -> None:
        """Bytes for an interactive shell's terminal, or for the input of a command that is fed."""
        if self.running:
            self._link.send({"do": "input", "id": self._number, "text": data.decode("utf-8", "surrogateescape")})

    def resize(self, rows: int, columns: int) -> None:
        if self.running:
            self._link.send({"do": "resize", "id": self._number, "rows": rows, "columns": columns})

    async def grow(self, text: str) -> None:
        self.output += text
        if self.on_output is not None:
            self.on_output(text)
        async with self._grew:
            self._grew.notify_all()

    async def end(self, status: int | DeviceError) -> None:
        if self._over.done():
            return
        if isinstance(status, DeviceError):
            self._over.set_exception(status)
            self._over.exception()  # looked at here: nobody need be waiting for a job that dies with its guest
        else:
            self._over.set_result(status)
        async with self._grew:
            self._grew.notify_all()


class GuestLink:
    """Speaks with the commander through `sock`; `obituary` says why the guest died, for the errors of those who waited."""

    def __init__(self, name: str, sock: socket.socket, obituary: Callable[[], str]) -> None:
        self.name = name
        self.ready: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.silent = asyncio.Event()  # nothing more will come: the far side closed, or what it said makes no sense
        self._sock = sock
        self._obituary = obituary
        self._jobs: dict[int, Job] = {}
        self._last = 0
        self._queue = b""  # not yet sent
        self._under_way = 0  # sent, not yet acknowledged
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        reader, self._writer = await asyncio.open_connection(sock=self._sock, limit=LINE_LIMIT)
        self._reading = asyncio.create_task(self._read(reader), name=f"link to guest {self.name}")

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()
        await self.fail("the link was closed")

    async def fail(self, seen: str) -> None:
        """End every job with an error: the guest is gone."""
        for job in list(self._jobs.values()):
            await job.end(DeviceError(self.name, job.command, seen))
        self._jobs.clear()

    def send(self, message: dict[str, Any]) -> None:
        if self._writer is None or self._writer.is_closing():
            raise DeviceError(self.name, str(message.get("command", message["do"])), self._obituary())
        self._queue += json.dumps(message).encode() + b"\n"
        self._pump()

    def _pump(self) -> None:
        assert self._writer is not None
        part = self._queue[: WINDOW - self._under_way]
        if part and not self._writer.is_closing():
            self._queue = self._queue[len(part) :]
            self._under_way += len(part)
            self._writer.write(part)

    def start(self, command: str, fed: bool = False) -> Job:
        job = self._new_job(command)
        self.send({"do": "run", "id": job._number, "command": command, "fed": fed})
        return job

    def start_shell(self, rows: int, columns: int) -> Job:
        job = self._new_job("interactive shell")
        self.send({"do": "shell", "id": job._number, "rows": rows, "columns": columns})
        return job

    async def execute(self, command: str, timeout: float) -> Result:
        """Run to the end. After `timeout` seconds the command is killed and DeviceError raised."""
        job = self.start(command)
        try:
            async with asyncio.timeout(timeout):
                return await job.wait()
        except TimeoutError:
            job.signal(signal.SIGKILL)
            raise DeviceError(self.name, command, f"no end within {timeout:g} s; so far: {_tail(job.output)}") from None
        except asyncio.CancelledError:
            job.signal(signal.SIGKILL)
            raise

    def _new_job(self, command: str) -> Job:
        self._last += 1
        job = self._jobs[self._last] = Job(self, self._last, command)
        return job

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            await self._listen(reader)
        finally:
            self.silent.set()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            message = json.loads(line)
            if message["event"] == "ready":
                self.ready.set_result(message["uptime"])
                continue
            if message["event"] == "took":
                self._under_way -= message["bytes"]
                self._pump()
                continue
            job = self._jobs.get(message["id"])
            if job is None:
                continue  # it was given up: its end came after the error was raised
            if message["event"] == "output":
                await job.grow(message["text"])
            elif message["event"] == "exit":
                del self._jobs[message["id"]]
                await job.end(message["status"])
            else:
                await job.end(DeviceError(self.name, job.command, f"the guest refused: {message['reason']}"))


def _tail(text: str, lines: int = 6) -> str:
    return " / ".join(text.strip().splitlines()[-lines:]) or "(no output)"
