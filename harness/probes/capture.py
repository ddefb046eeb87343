"""Captures with tcpdump in a network namespace: listening before `start` returns, every frame in the file when `stop` does.

tcpdump is asked for its statistics (SIGUSR1) until it has written all that its socket received; only then is it told to end
(SIGINT).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from harness.errors import CaptureError, MissingTool
from harness.model import CaptureFacts, Side
from harness.probes import keep_groups, until_parent_ends
from harness.probes.pcap import read_frames

_BUFFER_KIB = 32_768
# In immediate mode each packet takes a slot of the snapshot's size in that buffer: with tcpdump's 256 KiB only 128 would fit, and
# a longer burst is lost. This makes the slot one page (header included), 8,192 of them, for frames up to an MTU of 3,900.
_SNAPSHOT = 3_968
_PATIENCE = 15.0  # seconds for tcpdump to begin, to answer, to end: all are done in milliseconds where nothing is wrong
_COUNT = re.compile(r"(\d+) packets? (captured|received by filter|dropped by kernel|dropped by interface)")


class Capture:
    """One tcpdump on one interface, not `lo`. `namespace` is a named network namespace, or None for that of this process, with
    which tcpdump ends then, however that ends. To be started and stopped in one thread.
    `promiscuous`: frames count that are addressed to others, as all are that a SPAN port mirrors.

        capture = Capture(Side.INSIDE, "nat", "inside0", path)
        await capture.start()
        …
        facts = await capture.stop()
    """

    def __init__(
        self,
        side: Side,
        namespace: str | None,
        interface: str,
        path: Path | str,
        expression: str = "ip",
        *,
        promiscuous: bool = False,
    ) -> None:
        self.side, self.interface, self.path = side, interface, Path(path)
        self._namespace, self._expression = namespace, expression
        self._promiscuous = promiscuous
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._lines: list[str] = []
        self._news = asyncio.Event()
        self._ended_early = False

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def _command(self) -> list[str]:
        tcpdump = shutil.which("tcpdump", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if tcpdump is None:
            raise MissingTool("capture packets", "tcpdump is not installed", "apt-get install --no-install-recommends tcpdump")
        if self._namespace is None:  # of the run's own, unlike a named one, which an enclosure takes down with the run
            prefix = [sys.executable, "-m", until_parent_ends.__name__, str(os.getpid())]
        else:
            prefix = ["ip", "netns", "exec", self._namespace]
        if keep_groups.needed():
            prefix += [sys.executable, "-m", keep_groups.__name__]
        # -Z root: tcpdump must not become the user "tcpdump", which a user namespace with one mapped user does not have.
        options = ["-n", "-U", "--immediate-mode", "-B", str(_BUFFER_KIB), "-s", str(_SNAPSHOT), "--time-stamp-precision=nano"]
        options += [] if self._promiscuous else ["-p"]
        return [*prefix, tcpdump, "-i", self.interface, *options, "-Z", "root", "-w", str(self.path.absolute()), self._expression]

    async def start(self) -> None:
        """Returns once packets are being captured. CaptureError with tcpdump's own words where that does not come about."""
        if self._process is not None:
            raise CaptureError(f"the capture on {self.interface} was started before")
        process = self._process = await asyncio.create_subprocess_exec(
            *self._command(),
            cwd=Path(__file__).resolve().parents[2],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C at the terminal must not end it before the run has
        )
        self._reader = asyncio.create_task(self._read())
        if not await self._wait(lambda: any("listening on" in line for line in self._lines)):
            said = self._said()
            await self._end(process)
            where = "" if self._namespace is None else f" in namespace {self._namespace}"
            raise CaptureError(f"no capture on {self.interface}{where}: {said or 'tcpdump said nothing'}")

    async def stop(self) -> CaptureFacts:
        """Ends the capture and says how far it is to be trusted. Packets that arrive meanwhile may or may not be in the file."""
        process = self._process
        if process is None:
            raise CaptureError(f"the capture on {self.interface} was never started")
        self._ended_early = self._ended_early or process.returncode is not None
        drained = not self._ended_early and await self._drain(process)
        orderly = drained and await self._end(process)
        if not orderly:
            await self._end(process)
        counts = self._statistics()
        dropped = counts.get("dropped by kernel", 0) + counts.get("dropped by interface", 0)
        frames, whole = count_frames(self.path)
        complete = orderly and whole and counts.get("captured") == frames
        return CaptureFacts(self.side, str(self.path), self.interface, frames, dropped, complete)

    async def _drain(self, process: asyncio.subprocess.Process) -> bool:
        """Waits until all that the socket had received by now is written; False where tcpdump dies, goes dumb or makes no progress.

        Not for `lo`: there the socket receives every packet twice, and libpcap passes on one of the two.
        """
        clock = asyncio.get_running_loop().time
        goal: int | None = None
        written, moved = -1, clock()
        while clock() - moved < _PATIENCE:
            before = self._answers()
            with contextlib.suppress(ProcessLookupError):  # it has just died: no answer will come
                process.send_signal(signal.SIGUSR1)
            if not await self._wait(lambda before=before: self._answers() > before):  # type: ignore[misc]
                return False
            counts = self._statistics()
            if goal is None:
                goal = counts["received by filter"] - counts.get("dropped by kernel", 0)
            if counts["captured"] >= goal:
                return True
            if counts["captured"] > written:
                written, moved = counts["captured"], clock()
            await asyncio.sleep(0.01)  # it is busy writing: asking more often would only slow it down
        return False

    def _answers(self) -> int:
        return sum("received by filter" in line for line in self._lines)

    async def _end(self, process: asyncio.subprocess.Process) -> bool:
        """Whether tcpdump ended by itself, in order, within the time that it is given."""
        asked = False
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it has just ended: its status is read below
                process.send_signal(signal.SIGINT)
                asked = True
        try:
            status = await asyncio.wait_for(process.wait(), _PATIENCE)
        except TimeoutError:
            process.kill()
            status = await process.wait()
        if self._reader is not None:
            await self._reader
        return asked and status == 0

    async def _read(self) -> None:
        """Keeps what tcpdump says, until it ends."""
        assert self._process is not None
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self._lines.append(line.decode("utf-8", "replace").strip())
            self._news.set()
        self._news.set()

    async def _wait(self, reached: Callable[[], bool]) -> bool:
        """Waits for lines until `reached`; False where tcpdump ends or `_PATIENCE` runs out first."""
        assert self._reader is not None
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while not reached():
            left = deadline - asyncio.get_running_loop().time()
            if self._reader.done() or left <= 0:
                return reached()
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), left)
            except TimeoutError:
                return reached()
        return True

    def _statistics(self) -> dict[str, int]:
        """The newest figures: in one line when asked for, in several at the end."""
        return figures("\n".join(self._lines))

    def _said(self) -> str:
        return "; ".join(line for line in self._lines if line)


def figures(said: str) -> dict[str, int]:
    """The figures in a tcpdump's words, by what it calls them ("captured", "received by filter", …); the newest of each."""
    return {name: int(number) for number, name in _COUNT.findall(said)}


def count_frames(path: Path | str) -> tuple[int, bool]:
    """(whole frames in the file, whether the file ends where a frame ends)."""
    count = 0
    try:
        for frame in read_frames(path):
            count = frame.number
    except (CaptureError, OSError):
        return count, False
    return count, True


def facts_of_file(side: Side, path: Path | str, interface: str, dropped: int | None = None, orderly: bool = True) -> CaptureFacts:
    """Facts of a capture made elsewhere, such as inside the gateway's guest.

    `dropped` is what its own statistics said, None where they are lost: such a capture is not complete. `orderly`: its process ran
    from before the first packet to an end that was asked for.
    """
    frames, whole = count_frames(path)
    return CaptureFacts(side, str(path), interface, frames, dropped or 0, orderly and whole and dropped is not None)


def dropped_in(statistics: str) -> int | None:
    """The packets lost according to the closing lines of a tcpdump, None where `statistics` holds no such lines."""
    found = figures(statistics)
    if "received by filter" not in found:
        return None
    return found.get("dropped by kernel", 0) + found.get("dropped by interface", 0)
