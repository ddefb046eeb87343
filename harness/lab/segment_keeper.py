"""The process that puts lent interfaces back when the run that lent them is gone, however it went.

It is told what the interfaces were, says "watching", and then waits for its standard input: "let go" means that the run has put
them back by itself; an end without it means that nobody is left to do so.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext

from harness.errors import NatstormError, typed
from harness.lab import libc
from harness.lab.nic import Nic
from harness.lab.segment import names_of, nobody_else, put_back


def main(arguments: Sequence[str]) -> None:
    """`arguments`: what each interface was (nic.Nic), as JSON; then "now", where they are to be put back at once (`natstorm
    restore`)."""
    now = arguments[-1] == "now"
    nics = [Nic.from_json(one) for one in (arguments[:-1] if now else arguments)]
    if now:
        _put_back(nics, now=True)
        return
    libc.process_name("natstorm-keeper")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends when its work is done, and not before
    print("watching", flush=True)
    if sys.stdin.readline() == "let go\n":
        return
    _put_back(nics)


def _put_back(nics: Sequence[Nic], *, now: bool = False) -> None:
    """`now`: on behalf of a run that is gone, so that another may have the namespace. A keeper has the lock itself."""
    try:
        with nobody_else(nics) if now else nullcontext():
            put_back(*nics)
    except (NatstormError, OSError) as error:
        said = f"natstorm: {names_of(nics)} was not put back: {error}\n  cure: {typed('restore')}"
        print(said, file=sys.stderr, flush=True)
        raise SystemExit(3) from error
