"""How far a device's clock is from this machine's, asked over SSH.

A device answers between the question and the hearing of its answer, so its clock is known to within half of that round trip (as in
NTP, RFC 5905 section 8); of several the quickest counts. They go over one session, that no login is in a round trip.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from harness.devices.ssh import SshConnection, in_thread
from harness.devices.ssh_line import SshLine
from harness.errors import DeviceError

COMMAND = "while read -r _; do date +%s.%N; done"
ASKED = 8
TIMEOUT_S = 15.0


class Asked(NamedTuple):
    """One round trip. `sent` and `heard` are seconds since the epoch by this machine's clock, `there` by the device's."""

    sent: float
    there: float
    heard: float


class Offset(NamedTuple):
    """The device's clock is `seconds` later than this machine's, give or take `bound`."""

    seconds: float
    bound: float

    def __str__(self) -> str:
        return f"{self.seconds * 1000:+.1f} ms off this machine's, within ±{self.bound * 1000:.1f} ms"


def offset(asked: Iterable[Asked]) -> Offset:
    """By the quickest round trip. ValueError where there is none."""
    best = min(asked, key=lambda one: one.heard - one.sent)
    return Offset(best.there - (best.sent + best.heard) / 2, (best.heard - best.sent) / 2)


async def measure(device: SshConnection) -> Offset:
    """DeviceError where the device does not tell its time."""
    line = await SshLine.open(device, COMMAND)
    try:
        return await in_thread(lambda: ask(line.socket))
    except (OSError, ValueError) as error:
        raise device.trouble(COMMAND, line.said or str(error)) from error
    finally:
        line.close()


async def told(device: SshConnection, apart_s: float) -> str:
    """A sentence on the device's clock, with what to do where it is more than `apart_s` off; that it is not known where the device
    does not tell: a run needs no device's time."""
    try:
        found = await measure(device)
    except DeviceError as error:
        seen = " ".join(error.seen.split())
        return f"the clock of {device.name} is not known ({seen}): let NTP set it and this machine's, or verdicts are INCONCLUSIVE"
    ntp = "" if abs(found.seconds) - found.bound <= apart_s else ": let NTP set both, or verdicts are INCONCLUSIVE"
    return f"the clock of {device.name} is {found}{ntp}"


def ask(there: socket.socket, now: Callable[[], float] = time.time) -> Offset:
    """Of whoever answers each line with the time. Blocks. OSError where no answer comes, ValueError where it is none."""
    there.settimeout(TIMEOUT_S)
    found = []
    with there.makefile("rb") as answers:
        for _ in range(ASKED):
            sent = now()
            there.sendall(b"\n")
            answer = answers.readline().decode(errors="replace").strip()
            heard = now()
            if not re.fullmatch(r"\d+\.\d+", answer):
                raise ValueError(f"this is no time: {answer!r}")
            found.append(Asked(sent, float(answer), heard))
    return offset(found)
