"""Captures that come as a stream of bytes from elsewhere: a tcpdump over SSH, a link capture of GNS3.

Whoever opened the stream passes it in; nothing here knows how it gets to this machine. It is written to the file as it comes, so
that a crash loses nothing that had arrived, and it is counted as it passes: what a reader of the file would find is known at its
end.

    capture = RemoteCapture(Side.INSIDE, "eth1 of nat", stream, path, statistics=True)
    await capture.start()
    …
    facts = await capture.stop()
"""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from harness.errors import CaptureError
from harness.model import CaptureFacts, Side
from harness.probes.capture import count_frames, figures

PATIENCE = 20.0
"""Seconds that a remote end has to send its first bytes, and to end once it was asked to."""

BUFFER_KIB, SNAPSHOT = 16_384, 3_968
"""Of the remote tcpdump: a page a packet in immediate mode, and as many of them as a small machine can spare."""

_LISTENING = "listening on"
_SAID = 400
_ANSWER = "dropped by kernel"
_ASKED = 5
"""How often a tcpdump is asked for its counters as it begins: what is under way just then is in one answer and not in another."""
_LOOK_S, _QUIET_S = 0.05, 0.5


class ByteStream(Protocol):
    """Where the capture comes from. Each of the three may be called from one task only, but `stop` while a `read` is waiting."""

    def read(self) -> Awaitable[bytes]:
        """The next bytes, of any number; b"" once there are no more. OSError or EOFError where the connection breaks."""

    def stop(self) -> Awaitable[None]:
        """Asks the other end to stop and to send what it has left (SIGINT for a tcpdump). It may have stopped by itself already."""

    @property
    def stderr(self) -> str:
        """What the other end has said so far beside the capture."""


@runtime_checkable
class Asked(Protocol):
    """A ByteStream from a tcpdump that can be asked for its counters: it says them on its standard error, and goes on."""

    def ask(self) -> None: ...


def tcpdump_command(
    interface: str,
    *,
    management: tuple[str, int] | None = None,
    expression: str = "ip",
    program: str = "tcpdump",
    nice: bool = True,
    promiscuous: bool = False,
) -> str:
    """The line for a remote shell that captures on `interface` to its standard output; every part is quoted.

    `management` is (address, port) of the SSH connection that carries the capture, at the far end: were it captured too, each
    packet of it would make another. `nice` asks for immediate mode and nanoseconds, which a tcpdump before 4.99 (libpcap before
    1.5) may not know; `older` tells from its words whether to ask again without. `promiscuous`: what is addressed to others counts,
    as where a SPAN port mirrors what another machine sends and gets.
    """
    if not interface or interface.startswith("-"):
        raise CaptureError(f"{interface!r} is no interface's name")
    wanted = f"({expression})" if management else expression
    if management is not None:
        address, port = management
        wanted += f" and not (host {address} and tcp port {port})"
    options = ["-n", *([] if promiscuous else ["-p"]), "-U", "-B", str(BUFFER_KIB), "-s", str(SNAPSHOT)]
    options += ["--immediate-mode", "--time-stamp-precision=nano"] if nice else []
    # exec: what ends the shell's only process ends tcpdump; LC_ALL: its closing statistics are read.
    return shlex.join(["exec", "env", "LC_ALL=C", program, "-i", interface, *options, "-w", "-", wanted])


def older(said: str) -> bool:
    """Whether a tcpdump ended because it does not know the options that `nice` asks for."""
    return bool(re.search(r"(unrecognized|invalid|illegal|unknown) option|precision .*not supported", said))


class RemoteCapture:
    """One stream into one file. `interface` is for the reader of the facts. `linux`: the other end counts as received what passed
    its filter and nothing else, so that what it had not written when it stopped shows as lost. The facts are complete only with a
    tcpdump's closing statistics in the stream's `stderr`: without them (GNS3 tells none) nobody knows what was lost."""

    def __init__(self, side: Side, interface: str, stream: ByteStream, path: Path | str, *, linux: bool = True) -> None:
        self.side, self.interface, self.path = side, interface, Path(path)
        self._stream, self._linux = stream, linux
        self._pump: asyncio.Task[None] | None = None
        self._received = 0
        self._before = 0  # packets that count as received, and were there before the filter
        self._heard = 0  # of what the other end said, the part that is no closing word
        self._asked, self._broken = False, ""

    @property
    def alive(self) -> bool:
        return self._pump is not None and not self._pump.done()

    async def start(self) -> None:
        """Returns once the other end is capturing: it says that it listens, or has sent the head of the capture. CaptureError,
        with its words, where that does not come about."""
        if self._pump is not None:
            raise CaptureError(f"the capture on {self.interface} was started before")
        self._pump = asyncio.create_task(self._copy())
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while not self._pump.done() and asyncio.get_running_loop().time() < deadline:
            if self._received or _LISTENING in self._stream.stderr:
                await self._look_before()
                return
            await asyncio.wait({self._pump}, timeout=_LOOK_S)
        if self._received:
            return  # and over again: `stop` says so
        why = self._broken or ("the stream ended" if self._pump.done() else f"nothing came in {PATIENCE:g} s")
        await self._close()
        said = " ".join(self._stream.stderr.split())[-_SAID:]
        raise CaptureError(f"no capture on {self.interface}: {why}; the other end said: {said or 'nothing'}")

    async def stop(self) -> CaptureFacts:
        """Asks the other end to stop, takes what it still sends, and says how far the capture is to be trusted."""
        if self._pump is None:
            raise CaptureError(f"the capture on {self.interface} was never started")
        await self._quiet()
        early = self._pump.done()
        orderly = await self._close() and not early
        frames, whole = count_frames(self.path)
        counts = figures(self._stream.stderr[self._heard :])
        dropped = counts.get("dropped by kernel", 0) + counts.get("dropped by interface", 0)
        told = "received by filter" in counts and "captured" in counts
        if told and self._linux:
            dropped += max(0, _unwritten(counts) - self._before)
        complete = orderly and whole and told and counts["captured"] == frames
        if complete:
            why = ""
        elif early or not told:
            why = self._broken or ("it ended before it was asked to" if early else "nobody tells what it lost")
        else:
            why = self._broken or f"of {counts['captured']} frames {frames} have arrived"
        return CaptureFacts(self.side, str(self.path), self.interface, frames, dropped, complete, why=why)

    async def _look_before(self) -> None:
        """What came between tcpdump's opening of its socket and its filter counts as received, and is never captured. On a busy
        SPAN port that may be many; they are in every answer, what tcpdump has in hand just now is not."""
        stream = self._stream
        if not self._linux or not isinstance(stream, Asked):
            return
        # A signal that comes before it listens would end it.
        if not await self._says(lambda: _LISTENING in self._stream.stderr):
            return
        found = []
        for _ in range(_ASKED):
            answers = self._stream.stderr.count(_ANSWER)
            stream.ask()
            if not await self._says(lambda answers=answers: self._stream.stderr.count(_ANSWER) > answers):  # type: ignore[misc]
                break  # one that is dumb tells nothing at its end either
            found.append(_unwritten(figures(self._stream.stderr)))
            self._heard = len(self._stream.stderr)
        self._before = max(0, min(found, default=0))

    async def _says(self, said: Callable[[], bool]) -> bool:
        """Whether it comes about, while the stream goes on and within PATIENCE."""
        assert self._pump is not None
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while not (found := said()) and not self._pump.done() and asyncio.get_running_loop().time() < deadline:
            await asyncio.wait({self._pump}, timeout=_LOOK_S)
        return found

    async def _quiet(self) -> None:
        """Waits until nothing more comes, so that what the other end has captured is here before it is stopped; not for long,
        since the link may never be quiet."""
        assert self._pump is not None
        for _ in range(10):
            before = self._received
            await asyncio.wait({self._pump}, timeout=_QUIET_S)
            if self._pump.done() or self._received == before:
                return

    async def _close(self) -> bool:
        """Whether the stream came to its end after it was asked to, within the time that it is given."""
        assert self._pump is not None
        if not self._pump.done():
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._stream.stop()
                    self._asked = True
                    await asyncio.shield(self._pump)
            except TimeoutError:
                self._broken = self._broken or f"it did not end within {PATIENCE:g} s"
            except (OSError, EOFError) as error:
                self._broken = self._broken or f"the connection broke: {error}"
            if not self._pump.done():
                self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)
        return self._asked and not self._broken

    async def _copy(self) -> None:
        with open(self.path, "wb", buffering=0) as file:
            try:
                while data := await self._stream.read():
                    _write(file, data)
                    self._received += len(data)
            except (OSError, EOFError) as error:
                self._broken = f"the connection broke: {error or type(error).__name__}"


def _unwritten(said: Mapping[str, int]) -> int:
    """Received, and neither dropped nor written."""
    return said.get("received by filter", 0) - said.get("dropped by kernel", 0) - said.get("captured", 0)


def _write(file: BinaryIO, data: bytes) -> None:
    """All of it: an unbuffered write may take less."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
