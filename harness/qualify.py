"""`natstorm qualify`: the suites on a testbed, inside an enclosure, and the run's outcome as exit status."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.catalogue import SUITES
from harness.errors import LabError, UsageError
from harness.programme import DEFAULT_TESTBED, TIMES, VIRTUAL

if TYPE_CHECKING:
    import pytest

    from harness.session.cast import Cast
    from harness.session.session import Session

DESCRIPTION = """\
Plays the scenarios of the suites on the testbed, judges every behaviour from what crossed the wire, and writes a report.
The report's path is the last line. Exit status: 0 all passed, 1 a failure, 2 a mistake in the usage or the testbed, 3 inconclusive.
"""


def add_commands(commands: Any) -> None:
    command = commands.add_parser("qualify", help="the suites on a testbed, and the report", description=DESCRIPTION)
    add = command.add_argument
    add("--testbed", type=Path, metavar="FILE", help="testbed file (default: testbeds/virtual.yaml)")
    add("--clients", type=int, metavar="N", help="as many clients where a scenario can have any number (default 6)")
    add("-k", dest="expression", metavar="EXPR", help="only cases whose name matches, as pytest's -k: 'plain and pair'")
    add("--behaviour", action="append", default=[], metavar="ID", help="this behaviour only (may be repeated)")
    add("--variant", action="append", default=[], metavar="NAME", help="only this gateway variant (may be repeated)")
    add("--all-variants", action="store_true", help="every gateway variant of the testbed")
    add("--guests", action="store_true", help="clients in guests too, where the gateway needs none")
    add("--time", choices=TIMES, help="play everything in this time, where it can be (virtual: a simulated link, NAT and clock)")
    add("--seed", type=int, metavar="N", help="what chance decides in virtual time (default 1): the same seed, the same packets")
    add("--fault", metavar="NAME", help="break this mechanism, to see who notices (virtual time; natstorm prove lists them)")
    add("--release", metavar="R", help='virtual IOS routers of this release: "12.2(11)T" (default: what each script is for)')
    add("--reports", type=Path, metavar="DIR", help="where the run's folder goes (default: the project's reports/)")
    add("--dry-run", action="store_true", help="say what would happen to which device, and do nothing")
    add("--coverage", action="store_true", help="play nothing: say which of the documents' behaviours the suites judge, and how")
    add("--json", action="store_true", help="print summary.json, or the coverage; progress goes to stderr")
    command.set_defaults(run=qualify)


def qualify(arguments: argparse.Namespace) -> int:
    from harness.lab import place
    from harness.testbed import check_any

    if arguments.coverage:
        return tell_coverage(as_json=arguments.json)
    words = pytest_words(arguments)
    if arguments.dry_run:
        return _dry_run(words)
    if arguments.time != "virtual":
        place.settle(check_any(arguments.testbed or DEFAULT_TESTBED), guests=arguments.guests)
    import pytest

    from harness.report.outlet import Outlet, drain

    grab = _Grab()
    progress = sys.stderr if arguments.json else sys.stdout
    outlet = Outlet(progress, grab.nobody_reads)
    with redirect_stdout(outlet):
        status = pytest.main(words, plugins=[grab])
    if outlet.closed_by_reader:
        drain(progress)
    if status == pytest.ExitCode.NO_TESTS_COLLECTED:
        if (why := grab.why_none(arguments.behaviour, arguments.time)) is not None:
            raise UsageError(why)
        cure = f"pytest {SUITES.name} --collect-only -q names the cases"
        raise UsageError("no case of the suites is all that was asked for", cure=cure)
    if grab.config is None or status == pytest.ExitCode.USAGE_ERROR:
        return 2
    return grab.outcome(as_json=arguments.json)


def tell_coverage(*, as_json: bool) -> int:
    """Prints how much of the documents is judged: 0, or 1 where a behaviour is missing."""
    from harness.catalogue import DOCUMENTED, load_catalogue
    from harness.report import coverage
    from harness.verdict import checks
    from harness.verdict.routers import table

    behaviours = load_catalogue(SUITES / "behaviours")
    judged, noted = {*checks.CHECKS, *table.CHECKS}, {*checks.NOTED, *table.NOTED}
    found = coverage.cover(DOCUMENTED, behaviours, judged, noted)
    print(json.dumps(coverage.to_dict(found), indent=2) if as_json else "\n".join(coverage.in_words(found, behaviours)))
    return int(any(one.missing for one in found))


def _dry_run(words: list[str]) -> int:
    """Prints what would happen. UsageError where nothing would, for want of cases; the status of a refusal otherwise."""
    import pytest

    grab, said = _Grab(), io.StringIO()
    with redirect_stdout(said):
        status = pytest.main(words, plugins=[grab])
    if grab.session is None or not grab.session.foretold:
        print(said.getvalue(), end="", file=sys.stderr)
        return 2 if status == pytest.ExitCode.USAGE_ERROR else 3
    print("\n".join(grab.session.foretold))
    return 0


def pytest_words(arguments: argparse.Namespace) -> list[str]:
    """The command line for pytest. UsageError for what can be seen to be wrong beforehand."""
    if not SUITES.is_dir():
        raise UsageError(f"there are no suites at {SUITES}", cure="run natstorm from a checkout: pip install -e .")
    words = [str(SUITES), f"--rootdir={SUITES.parent}", f"--confcutdir={SUITES.parent}", "-p", "no:cacheprovider"]
    words += ["--tb=no", "-rN"]  # the closing words name every case that did not pass; traces are in the report
    for option in ("testbed", "reports"):
        value = getattr(arguments, option)
        if value is not None:
            words.append(f"--{option}={value}")
    for option in ("clients", "time", "seed", "fault", "release"):
        value = getattr(arguments, option)
        if value is not None:
            words.append(f"--{option}={value}")
    if arguments.expression:
        words += ["-k", arguments.expression]
    words += [f"--variant={name}" for name in arguments.variant]
    words += [f"--behaviour={name}" for name in arguments.behaviour]
    for option in ("all_variants", "guests", "dry_run"):
        if getattr(arguments, option):
            words.append(f"--{option.replace('_', '-')}")
    if arguments.json:
        words += ["-q", "--no-summary", "--no-header"]
    return words


class _Grab:
    """A plugin that keeps hold of the session's configuration: its sink knows the outcome."""

    def __init__(self) -> None:
        self.config: Any = None
        self.collected: list[pytest.Item] = []  # before anything was left out

    def pytest_configure(self, config: Any) -> None:
        self.config = config

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        self.collected.append(item)

    @property
    def session(self) -> Session | None:
        from harness.plugin import SESSION

        return None if self.config is None else self.config.stash.get(SESSION, None)

    @property
    def sink(self) -> Any:
        return None if self.session is None else self.session.sink

    def why_none(self, behaviours: Sequence[str], time: str | None) -> str | None:
        """Of the behaviours asked for: which no test asks, which not in this time, and which not on this testbed. None where
        nothing can be said."""
        told = []
        excluded = {name: row.excluded for name, row in self.session.behaviours.items()} if self.session is not None else {}
        routers = self.session is not None and self.session.routers is not None
        for row in dict.fromkeys(behaviours):
            asking = [item for item in self.collected if (of := item.get_closest_marker("behaviour")) and of.args[0] == row]
            times = {cast.time for item in asking for cast in self._casts(item)}
            if not asking:
                why = excluded.get(row)
                told.append(f"no test asks {row}: {why}" if why else f"{row} is in the catalogue, but no test asks it yet")
            elif not times and not routers:
                told.append(f"{row} is played on Cisco routers only: --testbed testbeds/virtual-ios.yaml has virtual ones")
            elif time and times and time not in times:
                whose = "virtual time" if times == {VIRTUAL} else "the wall's time"
                told.append(f"{row} is played in {whose} only: leave --time out")
        return "; ".join(told) or None

    def _casts(self, item: pytest.Item) -> list[Cast]:
        plays = item.get_closest_marker("plays")
        if self.session is None or self.session.clients is None or plays is None:
            return []
        return self.session.clients.casts(plays.args, plays.kwargs.get("on"), in_any_time=True)

    def nobody_reads(self) -> None:
        """`natstorm qualify | head`: what there is by now is reported, and no more is played."""
        if self.sink is not None:
            self.sink.interrupt("nobody read its output any more")

    def outcome(self, *, as_json: bool) -> int:
        from harness.report.summary import exit_status

        if self.sink is not None and self.sink.unwritten is not None:
            folder, why = self.sink.run.folder, self.sink.unwritten.strerror
            raise LabError("keep what the run finds", f"{folder}: {why}", "make room there, or name another place: --reports DIR")
        if self.sink is None or self.sink.told is None:
            return 2
        summary = self.sink.told.summary
        if as_json:
            print(summary.to_json(), end="")
        return exit_status(summary)
