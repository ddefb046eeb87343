"""A software lab that outlives the command which asked for it: its keeper started, and ended."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

from harness.errors import LabError, UsageError, typed
from harness.lab import control, enclosure, packages
from harness.model.testbed import Testbed

DOWN_S = 20.0
"""How long the keeper is given to end, before the lab is ended by force."""


Launcher = subprocess.Popen[bytes]
"""The process outside, whose end is the lab's. Whoever started it and lives on waits for it once the lab is down."""


def start(testbed: Testbed, variant: str | None, tell: Callable[[str], None]) -> tuple[dict[str, Any], Launcher]:
    """Starts a keeper, tells of each step as it begins, and returns the keeper's status once the lab is up (harness/lab/keeper.py).

    UsageError for a variant that the testbed has not, and where a lab is up already. LabError where it does not come up: nothing of
    it is left then.
    """
    if variant and variant not in testbed.gateway.variants:
        cure = f"one of {', '.join(testbed.gateway.variants)}"
        raise UsageError(f"no gateway variant {variant!r} in this testbed", file=testbed.file, cure=cure)
    packages.require(guest=testbed.gateway.in_guest)
    with control.listen() as listener:
        enclosure.rehearse()
        report_read, report_write = os.pipe()
        keep = enclosure.python("harness.lab.keeper", variant or "", str(listener.fileno()), str(report_write))
        keeper = subprocess.Popen(
            enclosure.command(keep),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(listener.fileno(), report_write),
            start_new_session=True,
        )
        os.close(report_write)
    try:
        assert keeper.stdin is not None
        with suppress(BrokenPipeError), keeper.stdin:  # a keeper that is gone already says why in its report, or on stderr
            pickle.dump(testbed, keeper.stdin)
        with os.fdopen(report_read, encoding="utf-8") as report:
            said = _follow(report, tell)
        if said is None:
            assert keeper.stderr is not None
            last = keeper.stderr.read().decode(errors="replace").strip()
            raise LabError("bring the lab up", last or "the keeper ended without a word", typed("doctor"))
    except BaseException:
        # The launcher is asked, not killed: it ends the keeper, and that the lab, in order. If this process is killed
        # instead, the keeper finds nobody to report to and ends by itself.
        if keeper.poll() is None:
            keeper.send_signal(signal.SIGTERM)
        await_launcher(keeper)
        raise
    if "failed" in said:
        await_launcher(keeper)
        raise LabError(**said["failed"])
    return said["ready"], keeper


def end(lab: control.Control) -> bool:
    """Ends the lab and its keeper, to whom `lab` is a connection; it is closed. False where the keeper had to be killed, with which
    the kernel takes everything else away. LabError where that does not help either."""
    launcher = None
    try:
        launcher = lab.ask({"do": "status"})["launcher"]
        lab.ask({"do": "down"})
    except LabError as error:
        if launcher is None:
            raise LabError("take the lab down", str(error), "kill the process natstorm-launch: the rest goes with it") from error
    finally:
        lab.close()
    if control.await_end(DOWN_S):
        return True
    os.kill(launcher, signal.SIGKILL)
    if not control.await_end(DOWN_S):
        raise LabError("take the lab down", f"process {launcher} does not die", "look at it with ps")
    return False


def _follow(report: IO[str], tell: Callable[[str], None]) -> dict[str, Any] | None:
    """The last word of the keeper, or None where it ended without one."""
    for line in report:
        message: dict[str, Any] = json.loads(line)
        if "step" not in message:
            return message
        tell(message["step"])
    return None


def await_launcher(keeper: Launcher) -> None:
    """Until the keeper's launcher is gone, and the lab with it."""
    try:
        keeper.wait(DOWN_S)
    except subprocess.TimeoutExpired:
        keeper.kill()
        keeper.wait()
    if keeper.stderr is not None:
        keeper.stderr.close()
