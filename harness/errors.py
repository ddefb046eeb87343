"""One exception tree for the whole harness.

    NatstormError
    ├── ProtocolError      bytes from the wire that break their RFC (layer, reason, offset)
    ├── UsageError         the command line, or a file the user wrote (file, line, cure)
    ├── LabError           a lab step that did not work (step, what was seen, cure)
    │   └── MissingTool    a program, package or right that this machine lacks
    ├── DeviceError        a device that answered, but not as it should (device, command, what was seen)
    ├── CaptureError       a capture that could not be taken or read
    ├── ReleaseLacks       a router that is there, and has not what a script needs: it is not asked
    └── Inconclusive       evidence not to be trusted: neither a pass nor a failure of the device

Every message is a sentence for the person at the terminal; the parts stay readable as attributes.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys


class NatstormError(Exception):
    """Root of every error the harness raises on purpose."""


class ProtocolError(NatstormError):
    """Bytes or events that break the protocol named by `layer` ("ike", "esp", "l2tp", "lcp", …).

    `offset` is the position in the message at which reading stopped, where one is known.
    """

    def __init__(self, layer: str, reason: str, offset: int | None = None) -> None:
        where = "" if offset is None else f" at byte {offset}"
        super().__init__(f"{layer}: {reason}{where}")
        self.layer = layer
        self.reason = reason
        self.offset = offset


class UsageError(NatstormError):
    """A mistake of the user's, with the file and line where it stands and the way to mend it."""

    def __init__(self, problem: str, *, file: str | None = None, line: int | None = None, cure: str | None = None) -> None:
        place = "" if file is None else f"{file}:{line}: " if line is not None else f"{file}: "
        super().__init__(f"{place}{problem}" + (f"\n  cure: {cure}" if cure else ""))
        self.problem = problem
        self.file = file
        self.line = line
        self.cure = cure


class LabError(NatstormError):
    """A lab step that failed: which step, what was seen, and what would mend it."""

    def __init__(self, step: str, seen: str, cure: str | None = None) -> None:
        super().__init__(f"lab: {step}: {seen}" + (f"\n  cure: {cure}" if cure else ""))
        self.step = step
        self.seen = seen
        self.cure = cure


class MissingTool(LabError):
    """Something this machine lacks; `natstorm doctor` lists all of them at once."""


class DeviceError(NatstormError):
    """A device that was reached but did not do as asked."""

    def __init__(self, device: str, command: str, seen: str) -> None:
        super().__init__(f"{device}: {command!r}: {seen}")
        self.device = device
        self.command = command
        self.seen = seen


class CaptureError(NatstormError):
    """A capture that could not be started, stopped or read."""


class ReleaseLacks(NatstormError):
    """A router's release has not what a script needs: the script is skipped, and this says with what it came."""

    def __init__(self, device: str, lack: str) -> None:
        super().__init__(f"{device}: {lack}")


class Inconclusive(NatstormError):
    """The evidence is not to be trusted (capture lost packets, lab half up, device unreachable, clock skew).

    In pytest this is an error, never a failure, a skip or an expected failure.
    """


def typed(words: str) -> str:
    """`natstorm WORDS` as it has to be typed here, for a cure: with its path where the shell would not find it, or find another."""
    program = os.path.join(sys.prefix, "bin", "natstorm")
    found = shutil.which("natstorm")
    if not os.path.exists(program) or (found is not None and os.path.samefile(found, program)):
        return f"natstorm {words}"
    near = os.path.relpath(program)
    return f"{shlex.quote(program if near.startswith(os.pardir) else near)} {words}"
