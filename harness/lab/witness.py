"""Captures inside a gateway, a guest or a box of somebody's: what an outsider sees where the tunnels end.

    far end      on every interface, the pings that come out of the PPP links and the answers that go in
    translated   in the demux variant, L2TP between IPsec and the server, where each client has a port of its own

tcpdump is asked for its statistics (SIGUSR1) until it has written all that its socket received; only then is it told to end
(SIGINT). A capture is complete if every frame that tcpdump counts is in its file.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from harness.devices.linux_config import GatewaySettings
from harness.devices.linux_config import variant as variant_named
from harness.devices.linux_parsers import parse_links
from harness.errors import CaptureError, DeviceError
from harness.lab.guest_link import Result
from harness.lab.uml import UmlGuest
from harness.model import CaptureFacts, Side

EXCHANGE = "/run/exchange"  # the guest's name for UmlGuest.exchange
READY_S = 10.0
BUFFER_KIB = 8192
SNAPSHOT = 3_968
"""Bytes kept of a frame. In immediate mode every frame takes a slot of that size in the buffer; with tcpdump's own 256 KiB there
would be 32 of them. This makes a slot one page, 2,048 of them, for frames up to an MTU of 3,900."""

_COUNT = re.compile(r"(\d+) packets? (captured|received by filter|dropped by kernel|dropped by interface)")

# Interfaces come and go, and each frame bears its interface's number alone. No number is given twice, so one that is written down
# with its name when it comes stands for that name for ever. Listening begins before the list is asked for: none is missed.
_LINKS = """
: > FILE
ip -o monitor link >> FILE & monitor=$!
for ((tries = 0; tries < 250; tries++)); do [[ $(</proc/net/netlink) == *" $monitor "* ]] && break; sleep 0.02; done
[[ $(</proc/net/netlink) == *" $monitor "* ]] || { echo "ip monitor does not listen"; exit 1; }
ip -o link >> FILE && echo listening >&2; wait $monitor
"""


class Job(Protocol):
    """A command under way. `output` grows: what it says on its standard error at least."""

    @property
    def output(self) -> str: ...

    @property
    def running(self) -> bool: ...

    async def seen(self, pattern: str, within: float) -> object:
        """Until `output` matches; DeviceError if it ends or `within` seconds pass first."""

    def signal(self, number: int) -> None: ...

    async def wait(self) -> Result: ...


class Machine(Protocol):
    """Where a witness works. `place` is a directory there, for its files."""

    @property
    def name(self) -> str: ...

    @property
    def place(self) -> str: ...

    async def spawn(self, command: str) -> Job: ...

    async def fetch(self, name: str, target: Path) -> None:
        """Moves a file of `place` to this machine."""


class InGuest:
    """A guest, whose files are this machine's anyway."""

    place = EXCHANGE

    def __init__(self, guest: UmlGuest) -> None:
        self.name = f"guest {guest.name}"
        self._guest = guest

    async def spawn(self, command: str) -> Job:
        return self._guest.spawn(command)

    async def fetch(self, name: str, target: Path) -> None:
        shutil.move(self._guest.exchange / name, target)


class Witness:
    """One tcpdump on the machine, from `start` to `stop`. The file grows in the machine's `place`.

    On the interface "any" the names of all interfaces are kept beside it, in a file of the same name that ends in `.links`: a line
    "INDEX NAME" for each.
    """

    def __init__(self, machine: Machine, side: Side, interface: str, expression: str, patience: float = READY_S) -> None:
        self.side = side
        self.interface = interface
        self.name = f"{side.value}.pcap"
        self._links_name = f"{side.value}.links"
        self._machine = machine
        self._expression = expression
        self._patience = patience  # seconds for tcpdump to begin, and to go on writing: milliseconds where nothing is wrong
        self._job: Job | None = None
        self._links: Job | None = None
        self._before = 0  # packets that count as received, and came before there was a filter

    async def start(self) -> None:
        """Return when the kernel captures. PPP interfaces come and go: `any` sees them all, as Linux cooked frames (version 2)."""
        link = ""
        try:
            if self.interface == "any":
                link = "-y LINUX_SLL2 "
                self._links = await self._machine.spawn(_LINKS.replace("FILE", f"{self._machine.place}/{self._links_name}"))
                await self._links.seen("listening", self._patience)
            self._job = await self._machine.spawn(
                f"exec tcpdump -n -p -U -s {SNAPSHOT} -B {BUFFER_KIB} --immediate-mode -Z root -i {self.interface} {link}"
                f"-w {self._machine.place}/{self.name} '{self._expression}'"
            )
            await self._job.seen("listening on", self._patience)
            await self._look_before(self._job)
        except DeviceError as error:
            raise CaptureError(f"capture of {self.side.value} in {self._machine.name}: {error}") from error

    async def _look_before(self, job: Job) -> None:
        """What came between tcpdump's opening of its socket and its filter counts as received, and is never captured: over SSH that
        is the session's own packets."""
        job.signal(signal.SIGUSR1)
        with suppress(DeviceError):  # one that is dumb is found out at the end, and says so
            await job.seen("dropped by kernel", self._patience)
            counts = _statistics(job.output)
            self._before = max(0, counts["received by filter"] - counts["dropped by kernel"] - counts["captured"])

    async def stop(self, folder: Path) -> CaptureFacts:
        """End the capture, move its file into `folder` and say how far it is to be trusted."""
        if self._job is None:
            raise CaptureError(f"capture of {self.side.value} in {self._machine.name} was never started")
        orderly = self._job.running and await self._drain(self._job)
        self._job.signal(signal.SIGINT)
        result = await self._job.wait()
        counts = _statistics(result.output)
        if "captured" not in counts or "dropped by kernel" not in counts:
            raise CaptureError(f"capture of {self.side.value} in {self._machine.name}: {result.output.strip()}")
        path = folder / self.name
        await self._machine.fetch(self.name, path)
        await self._keep_links(folder)
        frames, whole = count_frames(path)
        dropped = counts["dropped by kernel"] + counts.get("dropped by interface", 0)
        complete = orderly and result.status == 0 and whole and frames == counts["captured"]
        return CaptureFacts(self.side, str(path), self.interface, frames, dropped, complete)

    async def _drain(self, job: Job) -> bool:
        """Waits until all that the socket had received by now is written; False where tcpdump dies, is dumb or gets no further."""
        clock = asyncio.get_running_loop().time
        goal: int | None = None
        written, moved = -1, clock()
        while clock() - moved < self._patience:
            answers = _answers(job.output)
            job.signal(signal.SIGUSR1)
            try:
                await job.seen(rf"(?s)(?:received by filter.*?){{{answers + 1}}}dropped by kernel", self._patience)
            except DeviceError:
                return False  # the caller says that the capture is not complete
            counts = _statistics(job.output)
            if goal is None:
                goal = counts["received by filter"] - counts["dropped by kernel"] - self._before
            if counts["captured"] >= goal:
                return True
            if counts["captured"] > written:
                written, moved = counts["captured"], clock()
            await asyncio.sleep(0.01)  # it is busy writing: asking more often would only slow it down
        return False

    async def _keep_links(self, folder: Path) -> None:
        if self._links is None:
            return
        self._links.signal(signal.SIGTERM)
        await self._links.wait()
        told = folder / self._links_name
        await self._machine.fetch(self._links_name, told)
        names = interface_names(parse_links(told.read_text(encoding="utf-8")).rows)
        told.write_text("".join(f"{i} {name}\n" for i, name in sorted(names.items())), encoding="utf-8")


def far_end(machine: Machine, networks: Iterable[str], interface: str = "any") -> Witness:
    """The end host's traffic, where ESP, L2TP and PPP are off: pings from or to `networks`, those of the PPP addresses."""
    return Witness(machine, Side.FAR_END, interface, f"icmp and ({' or '.join(f'net {network}' for network in networks)})")


def translated(machine: Machine) -> Witness:
    """L2TP as the demux variant's server sees it: each packet with its client's own port."""
    return Witness(machine, Side.TRANSLATED, "l2tp0", "udp port 1701")


def of_variant(machine: Machine, settings: GatewaySettings) -> list[Witness]:
    """All that a gateway with these settings has to show."""
    found = [far_end(machine, settings.ppp_networks)]
    if variant_named(settings.variant).ipsec == "demux":
        found.append(translated(machine))
    return found


def interface_names(told: Iterable[tuple[int, str]]) -> Mapping[int, str]:
    """Index → name. An interface that changed its name has none: nothing says when it did."""
    names: dict[int, set[str]] = {}
    for index, name in told:
        names.setdefault(index, set()).add(name)
    return {index: next(iter(known)) for index, known in names.items() if len(known) == 1}


def count_frames(path: Path) -> tuple[int, bool]:
    """(whole frames in a pcap file written on this machine, whether the file ends where a frame ends)."""
    count = 0
    with path.open("rb") as file:
        if len(file.read(24)) < 24:
            return 0, False
        while header := file.read(16):
            if len(header) < 16:
                return count, False
            kept = struct.unpack("=I", header[8:12])[0]
            if len(file.read(kept)) < kept:
                return count, False
            count += 1
    return count, True


def _answers(output: str) -> int:
    return output.count("received by filter")


def _statistics(output: str) -> dict[str, int]:
    """The newest figures: in one line when asked for, in several at the end."""
    return {name: int(number) for number, name in _COUNT.findall(output)}
