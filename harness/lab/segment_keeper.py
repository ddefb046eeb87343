"""The process that puts a lent interface back when the run that lent it is gone, however it went.

It is told what the interface was, says "watching", and then waits for its standard input: "let go" means that the run has put the
interface back by itself; an end without it means that nobody is left to do so.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext

from harness.errors import NatstormError, typed
from harness.lab import libc
from harness.lab.nic import Nic
from harness.lab.segment import nobody_else, put_back


def main(arguments: Sequence[str]) -> None:
    """`arguments`: what the interface was (segment.Nic), as JSON; then "now", where it is to be put back at once (`natstorm
    restore`)."""
    nic = Nic.from_json(arguments[0])
    if arguments[1:] == ["now"]:
        _put_back(nic, now=True)
        return
    libc.process_name("natstorm-keeper")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends when its work is done, and not before
    print("watching", flush=True)
    if sys.stdin.readline() == "let go\n":
        return
    _put_back(nic)


def _put_back(nic: Nic, *, now: bool = False) -> None:
    """`now`: on behalf of a run that is gone, so that another may have the namespace. A keeper has the lock itself."""
    try:
        with nobody_else(nic) if now else nullcontext():
            put_back(nic)
    except (NatstormError, OSError) as error:
        print(f"natstorm: {nic.name} was not put back: {error}\n  cure: {typed('restore')}", file=sys.stderr, flush=True)
        raise SystemExit(3) from error
