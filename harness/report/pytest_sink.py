"""The pytest half of the report: hooks that watch a session and keep what they see in a Run.

`harness.plugin` calls install() from its pytest_configure, and the sink's methods from its fixtures:

    sink = install(config, root=Path("reports"), testbeds=["linux"], secrets=[...])
    with sink.playing("two-clients", testbed="linux", variant="plain") as playing:
        evidence = await play(..., bus=sink.bus, folder=playing.folder)
        playing.played(evidence, {"survival": …, "confusion": …})
    sink.uses(request.node, evidence)
    sink.conclude(request.node, verdict)      # raises unless it is a PASS
    sink.record(request.node, value, "…")     # kind ?
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import allure_commons
import pytest

from harness.errors import NatstormError
from harness.model import Evidence, Secret, Verdict
from harness.model.steps import StepBus, StepChange, StepEvent
from harness.report import terminal
from harness.report.allure_html import Generated
from harness.report.allure_sink import AllureSink, write_surroundings
from harness.report.digest import broken, tell
from harness.report.finish import Told, remarks, write_reports
from harness.report.judge import NOT_OF_THE_DEVICE, SAID_IN_FULL, Said, clean
from harness.report.junit import plain_errors
from harness.report.markup import visible
from harness.report.outcome import enforce
from harness.report.redact import Redactor
from harness.report.result import Case, CaseResult
from harness.report.run import Run, State
from harness.report.screen import Screen
from harness.report.steps import StepRecorder
from harness.report.story import Headline, Story, save, stories

SINK = pytest.StashKey["Sink"]()
CASE = pytest.StashKey[Case]()
"""What the plugin knows of an item; case_of() is the default."""

SAID = pytest.StashKey[Said]()

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})

MARKED = frozenset({"title", "source", "kind", "testbed", "variant", "scenario", "time_base"})
"""What the behaviour marker may say of a case beside its ID."""


def install(
    config: pytest.Config,
    *,
    root: Path,
    testbeds: Sequence[str] = (),
    secrets: Iterable[Secret] = (),
    environment: Mapping[str, str] | None = None,
    describe: Callable[[pytest.Item], Case] | None = None,
    allure_html: bool = True,
) -> Sink:
    """Begin a run below `root`, and register the sink. To be called from a pytest_configure that is tryfirst, because
    allure-pytest and JUnit read the paths set here in theirs. Paths the user gave (--alluredir, --junitxml) are left alone.
    """
    redactor = Redactor(secrets)
    about = {"testbeds": list(testbeds), "command": [str(word) for word in config.invocation_params.args], **(environment or {})}
    run = Run.create(root, about=redactor.value(about))
    config.option.allure_report_dir = config.option.allure_report_dir or str(run.allure_results)
    config.option.xmlpath = config.option.xmlpath or str(run.junit)
    sink = Sink(config, run, redactor, describe or case_of, redactor.value(environment or {}), allure_html=allure_html)
    config.stash[SINK] = sink
    config.pluginmanager.register(sink, "natstorm-report")
    return sink


def case_of(item: pytest.Item) -> Case:
    """From @pytest.mark.behaviour("DMX-01", title=…, source=…, kind=…) and the parameters testbed and variant, if there are any."""
    if CASE in item.stash:
        return item.stash[CASE]
    marker = item.get_closest_marker("behaviour")
    named = {} if marker is None else marker.kwargs
    params = getattr(getattr(item, "callspec", None), "params", {})
    known: dict[str, Any] = {name: str(params[name]) for name in ("testbed", "variant", "scenario") if name in params}
    known |= {name: str(value) for name, value in named.items() if name in MARKED}
    return Case(id=str(marker.args[0]) if marker is not None and marker.args else item.name, nodeid=item.nodeid, **known)


@dataclass(slots=True)
class Playing:
    """A scenario while it is played. `folder` takes its files."""

    folder: Path
    steps: StepRecorder
    story: Callable[[Evidence, Mapping[str, Verdict], Headline | Iterable[str] | None], Story]
    told: Story | None = field(default=None)

    def played(self, evidence: Evidence, verdicts: Mapping[str, Verdict], head: Headline | Iterable[str] | None = None) -> Story:
        """The scenario is over and judged. `verdicts` by subject, the telling one first."""
        self.told = self.story(evidence, verdicts, head)
        return self.told


class Sink:
    """One session's reporter. `bus` is where steps are to be told; `redactor` learns secrets that turn up late."""

    def __init__(
        self,
        config: pytest.Config,
        run: Run,
        redactor: Redactor,
        describe: Callable[[pytest.Item], Case],
        environment: Mapping[str, str],
        *,
        allure_html: bool,
    ) -> None:
        self.run = run
        self.redactor = redactor
        self.bus = StepBus(time.time)
        self.told: Told | None = None
        self.unwritten: OSError | None = None
        """Why nothing more could be kept: the file system is full, or not to be written any more, or the run's folder is gone."""
        self._config = config
        self._describe = describe
        self._environment = dict(environment)
        self._allure_html = allure_html
        self._generated = Generated(None)
        self._current: CaseResult | None = None
        self._why = ""
        self._left: list[str] = []  # what went wrong after tests, such as a device that was not given back
        self._logging = False
        self._screen = Screen(config)
        self._results = Path(config.option.allure_report_dir).resolve()
        self._results.mkdir(parents=True, exist_ok=True)
        self._allure = AllureSink(self._results, redactor, lambda: self._current)
        allure_commons.plugin_manager.register(self._allure, "natstorm-report")

    # What the fixtures call.

    def conclude(self, item: pytest.Item, verdict: Verdict) -> None:
        """Keep the verdict and let pytest know: VerdictFailed, VerdictInconclusive, or nothing."""
        __tracebackhide__ = True
        clean = Verdict(verdict.outcome, self.redactor.text(verdict.because), self.redactor.value(verdict.facts), verdict.frames)
        item.stash[SAID].verdict = clean
        enforce(clean)

    def interrupt(self, why: str) -> None:
        """Ends the session as Ctrl-C does, for a reason of its own; nothing happens to one that is over."""
        if self.told is None:
            self._why = why
            signal.raise_signal(signal.SIGINT)

    def record(self, item: pytest.Item, value: Any, because: str = "") -> None:
        """A kind-? behaviour: what was observed, to be kept and not judged."""
        item.stash[SAID].recorded = (self.redactor.value(value), self.redactor.text(because))

    def uses(self, item: pytest.Item, evidence: Evidence) -> None:
        """The test rests on this evidence: its scenario's steps and captures belong to it."""
        case = self._case(item)
        item.stash[CASE] = replace(case, scenario=evidence.scenario, testbed=evidence.testbed, variant=evidence.variant)

    @contextmanager
    def playing(self, scenario: str, *, testbed: str, variant: str) -> Iterator[Playing]:
        """Around the playing of a scenario: its steps are kept and shown. An exception makes its story inconclusive."""
        folder = self.run.scenario_folder(f"{variant}-{scenario}" if variant else scenario)
        recorder = StepRecorder(self.redactor, folder / "steps.jsonl")
        began = time.time()

        def story(evidence: Evidence, verdicts: Mapping[str, Verdict], head: Headline | Iterable[str] | None) -> Story:
            return tell(
                evidence,
                verdicts,
                run_folder=self.run.folder,
                scenario_folder=folder,
                redactor=self.redactor,
                head=head,
                steps=recorder.roots,
            )

        playing = Playing(folder, recorder, story)
        unsubscribe = [self.bus.subscribe(recorder), self.bus.subscribe(lambda event: self._show(f"{variant} · {scenario}", event))]
        reason = "the scenario was played and never judged"
        try:
            yield playing
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            reason = "the run was interrupted while the scenario was played" if interrupted else str(error) or type(error).__name__
            playing.told = None
            raise
        finally:
            if playing.told is None:
                playing.told = broken(scenario, testbed, variant, reason, began=began, steps=recorder.roots, redactor=self.redactor)
            for stop in unsubscribe:
                stop()
            recorder.close()
            save(playing.told, folder)
            self._allure.scenario(playing.told, self.run.folder)

    # Hooks, in the order in which a session calls them.

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.run.plan(self._case(item) for item in session.items)
        self._screen.progress.start(len(session.items))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._why = f"{report.nodeid or 'the suites'} could not be collected"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """What cannot be kept need not be played: such an end is told in a sentence. Ctrl-C is a wish, and no place in the code."""
        try:
            return (yield)
        except KeyboardInterrupt:
            self._why = self._why or "Ctrl-C"
            raise pytest.exit.Exception(self._why, returncode=pytest.ExitCode.INTERRUPTED) from None
        except OSError as error:
            if not self._nowhere(error):
                raise
            self.unwritten = error
            pytest.exit(f"nothing more can be kept: {error}", returncode=pytest.ExitCode.INTERNAL_ERROR)

    def pytest_runtest_logstart(self) -> None:
        self._current = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, None, None]:
        item.stash[SAID] = Said(began=time.time())
        yield

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Innermost, so that all other listeners get the report without secrets."""
        said = item.stash.setdefault(SAID, Said(began=call.start))
        if call.when == "teardown":  # the last report takes the properties along that JUnit writes
            item.user_properties.extend((*self._case(item).properties(), *said.properties()))
        report = yield
        error = None if call.excinfo is None else call.excinfo.value
        if isinstance(error, SAID_IN_FULL):
            report.longrepr = str(error)
        if isinstance(error, NatstormError) and call.when == "teardown":
            self._left.append(f"after the tests: {self.redactor.text(str(error))}")
        clean(report, self.redactor)
        said.hear(report, error, self.redactor)
        if report.when == "teardown":
            self._current = said.result(self._case(item))
            self.run.add(self._current)
            self._screen.progress.case(self._current)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, None, None]:
        """Terminal and JUnit call it an error where the phase is not "call"; for this moment they are told so."""
        error_in_call = getattr(report, NOT_OF_THE_DEVICE, False) and report.when == "call"
        self._logging = True
        if error_in_call:
            report.when = "setup"
        try:
            return (yield)
        finally:
            self._logging = False
            if error_in_call:
                report.when = "call"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> Generator[None, Any, Any]:
        """While tests run, the progress lines of this sink take the place of pytest's dots, unless -v asks for pytest's own."""
        status = yield
        if getattr(report, NOT_OF_THE_DEVICE, False):
            status = ("error", "E", "ERROR")
        return (status[0], "", "") if self._logging and self._screen.own and status else status

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """pytest calls this for its own reasons to stop as well, such as errors in collection."""
        self._why = self._why or ("Ctrl-C" if excinfo.type is KeyboardInterrupt else str(excinfo.value))

    def pytest_internalerror(self, excrepr: Any) -> None:
        self._why = f"an internal error: {self.redactor.text(str(excrepr).strip().splitlines()[-1])}"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None, None, None]:
        """Outermost: after the yield JUnit has been written and every fixture is torn down."""
        self._screen.progress.end()
        try:
            try:
                yield
            finally:
                self._finish(session, exitstatus)
        except OSError as error:
            if not self._nowhere(error):
                raise
            self.unwritten = self.unwritten or error

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Generator[None, None, None]:
        """pytest's own sections tell one reason once, however many cases it kept from running; its counts keep them all."""
        errors = terminalreporter.stats.get("error", [])
        first = {report.longreprtext: report for report in reversed(errors)}
        if errors:
            terminalreporter.stats["error"] = [report for report in errors if first[report.longreprtext] is report]
        try:
            return (yield)
        finally:
            if errors:
                terminalreporter.stats["error"] = errors

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        allure_commons.plugin_manager.unregister(name="natstorm-report")
        if self.told is None:
            return
        report = self._generated.report or self.run.folder / "summary.html"
        self._screen.write(
            terminal.closing(
                self.told.summary,
                self.told.stories,
                self.told.archive.results,
                report=os.path.relpath(report) if report.is_relative_to(Path.cwd()) else str(report),
                remarks=[*map(visible, self._left), *remarks(self._generated)],
                colour=self._screen.colour,
            )
        )

    # What they are made of.

    def _nowhere(self, error: OSError) -> bool:
        """Whether it says that nothing can be kept: no room, or the run's folder is gone (JUnit makes an empty one)."""
        return error.errno in NO_ROOM or not (self.run.folder / "run.json").exists()

    def _case(self, item: pytest.Item) -> Case:
        if CASE not in item.stash:
            item.stash[CASE] = self._describe(item)
        return item.stash[CASE]

    def _finish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED) and not self.run.results:
            self.run.discard()  # a mistake of the command line: `latest` goes on pointing at a run that says something
            return
        done = {result.case.nodeid for result in self.run.results}
        stopped = session.shouldfail or session.shouldstop
        cut_short = (
            bool(stopped)
            or exitstatus in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR)
            or any(item.nodeid not in done for item in getattr(session, "items", ()))
        )
        why = self._why or (str(stopped) if stopped else "")
        write_surroundings(self._results, self._environment, stories(self.run.folder), self.run.id)
        plain_errors(Path(self._config.option.xmlpath))
        self.run.finish(State.INTERRUPTED if cut_short else State.FINISHED, why=why)
        self.told, self._generated = write_reports(self.run.folder, allure=self._allure_html, allure_results=self._results)

    def _show(self, scenario: str, event: StepEvent) -> None:
        if event.change in (StepChange.BEGAN, StepChange.NOTED):
            self._screen.progress.activity(f"{scenario}: {self.redactor.text(event.name)}")
