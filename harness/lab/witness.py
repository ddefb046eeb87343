"""Captures inside a guest: what an outsider sees where the tunnels end.

    far end      on every interface, the pings that come out of the PPP links and the answers that go in
    translated   in the demux variant, L2TP between IPsec and the server, where each client has a port of its own
"""

from __future__ import annotations

import re
import shutil
import signal
from pathlib import Path

from harness.errors import CaptureError, DeviceError
from harness.lab.guest_link import Job
from harness.lab.uml import UmlGuest
from harness.model import CaptureFacts, Side

EXCHANGE = "/run/exchange"  # the guest's name for UmlGuest.exchange
READY_S = 10.0
BUFFER_KIB = 4096


class Witness:
    """One tcpdump in the guest, from `start` to `stop`. The file appears in the guest's exchange directory as it grows."""

    def __init__(self, guest: UmlGuest, side: Side, interface: str, expression: str) -> None:
        self.side = side
        self.interface = interface
        self.name = f"{side.value}.pcap"
        self._guest = guest
        self._expression = expression
        self._job: Job | None = None

    async def start(self) -> None:
        """Return when the kernel captures. PPP interfaces come and go: `any` sees them all, as Linux cooked frames."""
        link = "-y LINUX_SLL " if self.interface == "any" else ""
        self._job = self._guest.spawn(
            f"exec tcpdump -n -p -U -s 0 -B {BUFFER_KIB} --immediate-mode -Z root -i {self.interface} {link}"
            f"-w {EXCHANGE}/{self.name} '{self._expression}'"
        )
        try:
            await self._job.seen("listening on", READY_S)
        except DeviceError as error:
            raise CaptureError(f"capture of {self.side.value} in guest {self._guest.name}: {error}") from error

    async def stop(self, folder: Path) -> CaptureFacts:
        """End the capture, move its file into `folder` and say how far it is to be trusted."""
        if self._job is None:
            raise CaptureError(f"capture of {self.side.value} in guest {self._guest.name} was never started")
        ended_early = not self._job.running
        self._job.signal(signal.SIGINT)
        result = await self._job.wait()
        frames = re.search(r"(\d+) packets? captured", result.output)
        dropped = re.search(r"(\d+) packets? dropped by kernel", result.output)
        if frames is None or dropped is None:
            raise CaptureError(f"capture of {self.side.value} in guest {self._guest.name}: {result.output.strip()}")
        path = folder / self.name
        shutil.move(self._guest.exchange / self.name, path)
        return CaptureFacts(self.side, str(path), self.interface, int(frames[1]), int(dropped[1]), not ended_early)


def far_end(guest: UmlGuest, network: str = "172.16.1.0/24") -> Witness:
    """The end host's traffic, where ESP, L2TP and PPP are off."""
    return Witness(guest, Side.FAR_END, "any", f"icmp and net {network}")


def translated(guest: UmlGuest) -> Witness:
    """L2TP as the demux variant's server sees it: each packet with its client's own port."""
    return Witness(guest, Side.TRANSLATED, "l2tp0", "udp port 1701")
