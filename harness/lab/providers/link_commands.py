"""`natstorm lab link down|up FILE NAME`: cuts a link of the testbed's lab through its provider, and mends it.

A cut stands in the restore journal before it is made, as a change of this testbed: `natstorm restore` mends it, and no run begins
on the testbed before. The provider's own ledger of it lies apart from that of runs (`links/`): a link can be cut under a run.

Not so in a lab of software. The cut ends with the lab, so that no journal has it and nobody else is locked out; and no run has that
lab, for each run builds its own.
"""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.devices import journal
from harness.devices.journal import Journal, Undo
from harness.errors import LabError, UsageError, typed
from harness.lab import enclosure
from harness.lab.providers.ledger import state_directory
from harness.lab.providers.of_testbed import provider_of
from harness.lab.providers.provider import Link, Provider, find_link
from harness.lab.providers.static import Static
from harness.model.testbed import Testbed

UNDER_A_RUN = "--during-run"


def add_commands(verbs: Any) -> None:
    """Mounts `link` below `natstorm lab`. The function that reads a testbed file is `load_testbed` in the arguments."""
    link = verbs.add_parser("link", help="cut a link of the testbed's lab, and mend it")
    ways = link.add_subparsers(dest="way", required=True, metavar="down|up")
    for way, about, run in (("down", "nothing passes it until it is up again", link_down), ("up", "mend it", link_up)):
        one = ways.add_parser(way, help=about)
        one.add_argument("file", metavar="FILE", help="the testbed")
        one.add_argument("name", metavar="NAME", help="the link, by the nodes that it joins, as `natstorm lab status` shows it")
        one.add_argument(UNDER_A_RUN, action="store_true", help="also while a run has the lab")
        one.add_argument("--dry-run", action="store_true", help="say which link it is, and do nothing")
        one.set_defaults(run=run)


def link_down(arguments: argparse.Namespace) -> int:
    testbed: Testbed = arguments.load_testbed(Path(arguments.file))
    provider, name = _provider(testbed, arguments), arguments.name
    mend = typed(f"lab link up {shlex.quote(arguments.file)} {shlex.quote(name)}")
    if arguments.dry_run:
        return _would("cut", testbed, provider, name)
    with _alone(testbed, provider, arguments):
        if not _link(provider, name).up:
            print(f"link {name} is down already")
            return 0
        if not testbed.field:
            provider.link_down(name)
            print(f"link {name} is down: nothing passes it until\n  {mend}\nor until the lab ends, and the cut with it")
            return 0
        book = Journal.create(testbed.name, testbed.file)
        try:
            command = enclosure.python("harness.cli", "lab", "link", "up", os.path.abspath(testbed.file), name)
            what = f"mend link {name} of {testbed.lab.project or testbed.name}"
            number = book.before(Undo((what,), device=_device(name), commands=(tuple(command),)))
            try:
                provider.link_down(name)
            except LabError as error:
                if _is_whole(provider, name):
                    book.done(number)
                    raise
                raise LabError(error.step, error.seen, f"{error.cure or 'see to it'}; then {mend}") from error
        finally:
            book.close()
    print(f"link {name} is down: nothing passes it until\n  {mend}")
    return 0


def link_up(arguments: argparse.Namespace) -> int:
    testbed: Testbed = arguments.load_testbed(Path(arguments.file))
    provider, name = _provider(testbed, arguments), arguments.name
    if arguments.dry_run:
        return _would("mend", testbed, provider, name)
    with _alone(testbed, provider, arguments):
        _link(provider, name)
        provider.link_up(name)
        if not _link(provider, name).up:
            raise LabError(f"mend link {name}", "it is down still: not by natstorm", "mend it where it was cut")
    if testbed.field:
        _mended(testbed, name)
    print(f"link {name} is up")
    return 0


def _would(do: str, testbed: Testbed, provider: Provider, name: str) -> int:
    link = find_link(provider.status().links, name)
    print(f"would {do} link {link} of {testbed.lab.project or testbed.name}, which is {'up' if link.up else 'down'}")
    return 0


def _provider(testbed: Testbed, arguments: argparse.Namespace) -> Provider:
    if arguments.during_run and not testbed.field:
        problem = "no run has the lab of `natstorm lab up`: each builds its own, which nothing outside it reaches"
        raise UsageError(problem, cure=f"leave {UNDER_A_RUN} out")
    return provider_of(testbed, "natstorm lab link", state_directory() / "links")


def _link(provider: Provider, name: str) -> Link:
    """LabError with the names of those there; from one that has no links, in its own words."""
    links = provider.status().links
    if not links:
        provider.link_down(name)
    return find_link(links, name)


def _is_whole(provider: Provider, name: str) -> bool:
    """After a cut that failed. It may be cut all the same, where the server was gone before it answered."""
    try:
        return _link(provider, name).up
    except LabError:
        return False


@contextmanager
def _alone(testbed: Testbed, provider: Provider, arguments: argparse.Namespace) -> Iterator[None]:
    """With the locks that a run has on the lab and its devices. LabError where a run has one."""
    if arguments.during_run or not testbed.field:
        yield
        return
    locks = [Static.of(testbed, "natstorm lab link").lock]
    if isinstance(own := getattr(provider, "lock", None), type(locks[0])) and own.devices != locks[0].devices:
        locks.insert(0, own)  # the project's, as a run takes them
    try:
        for lock in locks:
            try:
                lock.acquire()
            except LabError as error:
                raise LabError(error.step, error.seen, f"{error.cure}; {UNDER_A_RUN} does it all the same") from error
        yield
    finally:
        for lock in locks:
            lock.release()


def _mended(testbed: Testbed, name: str) -> None:
    """The journals forget the cut; one that somebody works on (`natstorm restore`, which has called this) sees to it itself."""
    for one in journal.kept():
        if one.alive or one.file != os.path.abspath(testbed.file):
            continue
        if not (cuts := [number for number, undo in one.open if undo.device == _device(name)]):
            continue
        book = journal.reopen(one)
        try:
            for number in cuts:
                book.done(number)
        finally:
            book.close()


def _device(name: str) -> str:
    return f"link {name}"
