"""Captures of a NAT that is a box of somebody's: their bytes come to this machine, from tcpdump over SSH or from a GNS3 server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.devices.linux_host import LinuxHost
from harness.devices.ssh import SshConnection
from harness.devices.ssh_stream import SshStream
from harness.errors import CaptureError, DeviceError, LabError
from harness.lab.field import FieldLab
from harness.lab.reached import to_its_end
from harness.model import CaptureFacts, Side
from harness.model.reach import CaptureSource, Connection
from harness.model.testbed import Testbed
from harness.probes.remote_capture import ByteStream, RemoteCapture, older, tcpdump_command


async def ready(lab: FieldLab, testbed: Testbed) -> None:
    """Whether every source of the testbed can capture, before anything is configured for the sake of it. DeviceError or LabError
    with what is wrong there, and the cure."""
    for source in (testbed.nat.inside_capture, testbed.nat.outside_capture):
        if source is None:
            continue
        if source.kind == "gns3":
            await lab.link_at(source)
        elif source.connection is None:
            await LinuxHost(_here, name="this machine").ready_to_capture(source.interface)
        else:
            device = await lab.reach(source.connection)
            await LinuxHost(device.execute, name=device.name).ready_to_capture(source.interface)


@dataclass(frozen=True, slots=True)
class _Done:
    status: int
    output: str


async def _here(script: str, timeout: float) -> _Done:
    def run() -> _Done:
        environment = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
        done = subprocess.run(
            ["bash", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=timeout, env=environment, check=False,
        )  # fmt: skip
        return _Done(done.returncode, done.stdout)

    return await asyncio.to_thread(run)


def mirrored(testbed: Testbed, source: CaptureSource) -> bool:
    """Whether it shows what others send each other: on the NAT itself all that counts is addressed to it, or sent by it."""
    nat = testbed.nat.connection
    return source.connection is None or nat is None or source.connection.device != nat.device


class Reaching(Protocol):
    """A lab as a capture over SSH needs it."""

    @property
    def tell(self) -> Callable[[str], None]: ...

    async def reach(self, connection: Connection) -> SshConnection: ...


class Elsewhere(ABC):
    """A capture whose stream a subclass opens."""

    def __init__(self, side: Side, source: CaptureSource, path: Path) -> None:
        self.source = source
        self._side = side
        self._path = path
        self._capture: RemoteCapture | None = None

    @abstractmethod
    async def open(self) -> tuple[str, ByteStream]:
        """Where it captures, for the reader of its facts, and the stream. DeviceError, LabError or CaptureError."""

    async def start(self) -> None:
        try:
            place, stream = await self.open()
        except (DeviceError, LabError) as error:
            raise CaptureError(f"no capture of the {self._side.value}, {self.source.interface}: {error}") from error
        self._capture = RemoteCapture(self._side, place, stream, self._path)
        await self._capture.start()

    async def stop(self) -> CaptureFacts:
        if self._capture is None:
            raise CaptureError(f"the capture on {self.source.interface} was never started")
        return await self._capture.stop()


class OverSsh(Elsewhere):
    """tcpdump on a device, its capture coming over the connection as it grows. One that does not know the newer options is asked
    again without them. `promiscuous`: it captures what others send each other."""

    def __init__(self, lab: Reaching, side: Side, source: CaptureSource, path: Path, *, promiscuous: bool) -> None:
        super().__init__(side, source, path)
        self.lab = lab
        self.promiscuous = promiscuous
        self._nice = True
        self._stream: Pulled | None = None

    def command(self, *, nice: bool = True) -> str:
        assert self.source.connection is not None
        management = (self.source.connection.host, self.source.connection.port)
        return tcpdump_command(self.source.interface, management=management, nice=nice, promiscuous=self.promiscuous)

    async def start(self) -> None:
        try:
            await super().start()
        except CaptureError:
            if self._stream is None or not older(self._stream.stderr):
                raise
            self.lab.tell(f"the tcpdump of {self._stream.name} is an old one: its stamps have microseconds alone")
            self._nice = False
            await super().start()

    async def open(self) -> tuple[str, ByteStream]:
        assert self.source.connection is not None
        device = await self.lab.reach(self.source.connection)
        self._stream = await Pulled.begin(device, self.command(nice=self._nice))
        return f"{self.source.interface} of {device.name}", self._stream


class OverGns3(Elsewhere):
    """The capture that a GNS3 server makes of a link. It never says what was lost: nobody can call such a capture complete."""

    def __init__(self, lab: FieldLab, side: Side, source: CaptureSource, path: Path) -> None:
        super().__init__(side, source, path)
        self.lab = lab

    async def open(self) -> tuple[str, ByteStream]:
        link = await self.lab.link_at(self.source)
        self.lab.tell(f"GNS3 does not say what its capture of {link} loses: what rests on it will be INCONCLUSIVE")
        return f"link {link}", await Iterated.begin(self.lab.capture(link))


class Pieces(ABC):
    """Bytes that another thread brings, for a reader that pulls (remote_capture.ByteStream)."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()

    async def read(self) -> bytes:
        piece = await self._pieces.get()
        if not piece:
            self._pieces.put_nowait(b"")  # whoever asks again hears the same
            await self.ended()
        return piece

    @abstractmethod
    async def ended(self) -> None:
        """Called once all pieces are read. EOFError where the stream broke."""

    def take(self, piece: bytes) -> None:
        """From any thread; b"" after the last one."""
        with suppress(RuntimeError):  # the loop is closed: nobody reads any more
            self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)


class Pulled(Pieces):
    """An SSH stream, which pushes."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self._stream: SshStream | None = None
        self._ending: asyncio.Task[None] | None = None

    @classmethod
    async def begin(cls, device: SshConnection, command: str) -> Pulled:
        pulled = cls(device.name)
        pulled._stream = await device.stream(command, pulled.take)
        pulled._ending = asyncio.create_task(pulled._end())
        return pulled

    async def stop(self) -> None:
        assert self._stream is not None
        self._stream.signal("INT")

    def ask(self) -> None:
        assert self._stream is not None
        self._stream.signal("USR1")

    @property
    def stderr(self) -> str:
        return "" if self._stream is None else self._stream.said

    async def ended(self) -> None:
        assert self._stream is not None
        try:
            await self._stream.wait()
        except DeviceError as error:
            # what it had said is its counters; the name of what it captures on goes before this
            raise EOFError(f"{error.device}: {error.seen.partition('; it had said: ')[0]}") from error

    async def _end(self) -> None:
        with suppress(EOFError):
            await self.ended()
        self.take(b"")


class Iterated(Pieces):
    """A provider's capture: a context, within which a thread waits for one piece after another. Leaving it ends the capture, and
    wakes the thread."""

    stderr = ""

    def __init__(self, capture: AbstractContextManager[Iterator[bytes]]) -> None:
        super().__init__()
        self._capture = capture
        self._within = False
        self._broken = ""

    @classmethod
    async def begin(cls, capture: AbstractContextManager[Iterator[bytes]]) -> Iterated:
        """LabError or CaptureError where it does not begin."""
        iterated = cls(capture)
        pieces = await to_its_end(capture.__enter__)
        iterated._within = True
        threading.Thread(target=iterated._bring, args=(pieces,), name="capture", daemon=True).start()
        return iterated

    async def stop(self) -> None:
        """Returns once the other end has ended it; what has come by then is still read. EOFError where that fails."""
        if not self._within:
            return
        self._within = False
        try:
            await to_its_end(lambda: self._capture.__exit__(None, None, None))
        except (LabError, CaptureError) as error:
            raise EOFError(str(error)) from error

    async def ended(self) -> None:
        if self._broken:
            raise EOFError(self._broken)

    def _bring(self, pieces: Iterator[bytes]) -> None:
        try:
            for piece in pieces:
                self.take(piece)
        except (LabError, CaptureError, OSError) as error:
            self._broken = str(error)
        finally:
            self.take(b"")
