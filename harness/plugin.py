"""The pytest plugin, where all rooms meet: which behaviours run on which gateway variants, and from evidence to outcome.

A suite's test says what it needs and asks for judgement:

    @pytest.mark.behaviour("DMX-10")
    @pytest.mark.plays("pair", on=["demux*"])
    def test_first_client_gets_1024(judge):
        judge()

It becomes one case for each scenario and each variant of the testbed that fits one of the patterns (default: any). A scenario is
played once and serves all its tests.
Collection reads the testbed and the catalogue, and loads nothing heavy (pyATS, scapy): see tests/test_collection.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from harness.catalogue import SUITES
from harness.errors import NatstormError, UsageError
from harness.programme import DEFAULT_TESTBED, QUALIFIED, ROUTER, TIMES, VIRTUAL, WALL, Showing

if TYPE_CHECKING:
    from harness.model import Evidence
    from harness.model.behaviour import Behaviour
    from harness.model.router_lab import RouterLab
    from harness.model.testbed import Testbed
    from harness.report.pytest_sink import Sink
    from harness.routers.runner import RunnerBase
    from harness.routers.script import RouterScript
    from harness.scenario.runner import Runner

ROOT = Path(__file__).resolve().parents[1]

SESSION = pytest.StashKey["Session"]()


@dataclass(frozen=True, slots=True)
class Cast:
    """Which scenario on which variant with how many clients in whose time: what one piece of evidence is known by."""

    scenario: str
    variant: str
    clients: int
    time: str
    usual: bool = True  # as many clients as the script has of its own
    routers: bool = False  # a script for routers (harness/routers): the variant is their release, and there are no clients

    @property
    def name(self) -> str:
        return f"{self.variant}-{self.scenario}" + (self._when if self.routers else f"-{self.clients}{self._when}")

    @property
    def label(self) -> str:
        """The scenario's name in the report, with what is not usual about it."""
        return self.scenario + ("" if self.usual else f"-{self.clients}") + self._when

    @property
    def _when(self) -> str:
        return f"-{self.time}" if self.time == VIRTUAL else ""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("natstorm")
    group.addoption("--testbed", type=Path, default=DEFAULT_TESTBED, metavar="FILE", help="the testbed (testbeds/virtual.yaml)")
    group.addoption("--all-variants", action="store_true", help="every gateway variant of the testbed, not the usual ones alone")
    group.addoption("--variant", action="append", default=[], metavar="NAME", help="this gateway variant only (may be repeated)")
    group.addoption("--behaviour", action="append", default=[], metavar="ID", help="this behaviour only (may be repeated)")
    group.addoption("--clients", type=int, metavar="N", help="as many clients where a scenario can have any number (together)")
    group.addoption("--guests", action="store_true", help="clients in guests too, where the gateway needs none")
    group.addoption("--time", choices=TIMES, help="play everything in this time, where it can be")
    group.addoption("--seed", type=int, default=1, metavar="N", help="what chance decides in virtual time (1)")
    group.addoption("--fault", metavar="NAME", help="break this mechanism, to see who notices (virtual time)")
    group.addoption("--release", metavar="R", help="virtual IOS routers of this release, where a script is not about its own")
    group.addoption("--dry-run", action="store_true", help="say what would happen to which device, and do nothing")
    group.addoption("--no-html", action="store_true", help="no Allure page: results, summaries and captures only")
    group.addoption("--reports", type=Path, default=ROOT / "reports", metavar="DIR", help="where the run's folder goes (reports/)")


def pytest_configure(config: pytest.Config) -> None:
    """A session of suites lives in an enclosure: unless it already does, this call starts it again within one."""
    if not _runs_suites(config):
        return
    hypothesis = config.pluginmanager.get_plugin("hypothesispytest")
    if hypothesis is not None:  # suites hold no properties, and its summary would load all of Hypothesis
        config.pluginmanager.unregister(hypothesis)
    try:
        config.stash[SESSION] = session = Session(config)
        only_asks = ("dry_run", "collectonly", "help", "markers", "showfixtures")
        if any(getattr(config.option, one) for one in only_asks):
            return
        if config.option.time != VIRTUAL:
            from harness.lab import enclosure, place

            enclose = partial(enclosure.ensure_for_pytest, config)
            place.settle(session.described, guests=config.option.guests, enclose=enclose)
        session.begin()
    except NatstormError as error:
        refuse(error)


def refuse(error: NatstormError) -> NoReturn:
    """A mistake of the user's, or a machine that cannot: said in one sentence, without a trace."""
    status = pytest.ExitCode.USAGE_ERROR if isinstance(error, UsageError) else pytest.ExitCode.INTERNAL_ERROR
    raise _Said(str(error), returncode=status)


_Said = type("natstorm", (pytest.exit.Exception,), {"__module__": "builtins"})
"""pytest writes the name of the exception's class before the sentence, and that of its module where it has one of its own."""


def _runs_suites(config: pytest.Config) -> bool:
    """Whether the command line names suites: whoever runs the harness's own tests gets no lab."""
    named = [Path(str(argument).split("::")[0]) for argument in config.args]
    here = Path(config.invocation_params.dir)
    return any((here / path).resolve().is_relative_to(SUITES) for path in named)


class Session:
    """What one pytest session of suites knows and holds. Everything heavy begins with the first scenario."""

    def __init__(self, config: pytest.Config) -> None:
        from harness.catalogue import load_catalogue
        from harness.model.router_lab import RouterLab
        from harness.testbed.load import check_any

        self.config = config
        self.behaviours: dict[str, Behaviour] = load_catalogue(SUITES / "behaviours")
        self.described: Testbed | RouterLab = check_any(config.option.testbed)
        self.lab: RouterLab | None = self.described if isinstance(self.described, RouterLab) else None
        self._check_behaviours()
        if self.lab is None:
            self.variants = self._chosen_variants()
            self._check_clients()
            self._check_time()
        else:
            self.variants = ()
            self._check_for_routers(self.lab)
        self.foretold: tuple[str, ...] = ()  # with --dry-run: what would happen to which device
        self.clear: set[Cast] = set()  # those that a behaviour declares to carry L2TP in clear
        self.sink: Sink | None = None
        self._played: dict[Cast, Evidence | BaseException] = {}
        self._held = ExitStack()

    @property
    def testbed(self) -> Testbed:
        """Where it has a gateway that is judged."""
        from harness.model.router_lab import RouterLab

        assert not isinstance(self.described, RouterLab)
        return self.described

    def begin(self) -> None:
        """The run's folder is made, and everything from now on is kept in it. SIGTERM and SIGHUP end the run as Ctrl-C does."""
        from harness.lab import endings
        from harness.report.pytest_sink import install

        endings.as_ctrl_c()
        self.sink = install(
            self.config,
            root=self.config.option.reports,
            testbeds=[self.described.name],
            environment={"fault": self.config.option.fault} if self.config.option.fault else {},
            allure_html=not self.config.option.no_html,
            secrets=self.described.secrets,
        )

    def casts(self, scenarios: Sequence[str], on: Sequence[str] | None, *, in_any_time: bool = False) -> list[Cast]:
        """What of a test's scenarios, on the variants it can run on, the command line wants played, with `in_any_time` but for
        --time."""
        wanted = None if in_any_time else self.config.option.time
        return [
            cast
            for variant in self.variants
            if on is None or any(fnmatchcase(variant, pattern) for pattern in on)
            for name in scenarios
            for cast in self._showings(name, variant, wanted)
        ]

    def router_casts(self, scripts: Sequence[str], behaviour: str) -> list[Cast]:
        """The scripts for routers among a test's: in virtual time where the testbed's gateway is a virtual IOS router, in the
        wall's where the testbed is one of routers."""
        if self.lab is not None:
            from harness.routers.script import L2TP

            of_lab = (name for name in scripts if self.router_script(name).world == L2TP)
            return [Cast(name, self._variant_there(self.lab, name, behaviour), 0, WALL, routers=True) for name in of_lab]
        if not self.testbed.simulated:
            return []
        return [Cast(name, self.router_script(name).release, 0, VIRTUAL, routers=True) for name in scripts]

    def _variant_there(self, lab: RouterLab, script: str, behaviour: str) -> str:
        """How a script is played for it on routers that are there: as it is, unless its tunnels have to be read."""
        from harness.routers.script import NULL, THERE
        from harness.verdict.routers.table import CHECKS, NOTED

        check = {**CHECKS, **NOTED}.get(behaviour)
        reads = check is not None and check.opens == "esp" and not self.router_script(script).clear
        return NULL if reads and lab.esp_null else THERE

    def router_script(self, name: str) -> RouterScript:
        """With the release that the command line asks for."""
        from harness.routers.scripts import script

        chosen, release = script(name), self.config.option.release
        return chosen if release is None or chosen.about_release else replace(chosen, release=release)

    def lacking(self, cast: Cast) -> str:
        """Why the routers of this cast cannot be asked its script, "" where they can. What the release of a router lacks that is
        there shows when it is reached."""
        from harness.routers import wants
        from harness.routers.releases import lacking

        if not cast.routers:
            return ""
        script = self.router_script(cast.scenario)
        return lacking(script) if self.lab is None else wants.missing(script, self.lab)

    def foresee(self, casts: Sequence[Cast]) -> None:
        """Judges, before anything is reached or sent, what these would send to devices that are there already."""
        from harness.scenario import foreseen
        from harness.scenario.scripts import script

        if self.lab is not None:
            if self.config.option.dry_run:
                self.foretold = foreseen.told_of_routers(self.lab)
            return
        burdens = []
        for cast in (one for one in casts if not one.routers):
            chosen = script(cast.scenario)
            burdens.append(foreseen.Burden(cast.name, cast.clients, chosen.marks_per_s, chosen.arrivals_per_s))
        if self.testbed.field:
            foreseen.judge(self.testbed, burdens)
        if self.config.option.dry_run:
            self.foretold = foreseen.told(self.testbed, burdens)

    def _showings(self, scenario: str, variant: str, wanted: str | None) -> Iterator[Cast]:
        """`wanted` is the time in which alone it may be played; None where it may be in any."""
        from harness.scenario.scripts import script

        option, chosen = self.config.option, script(scenario)
        system = self.testbed.gateway.os if self.testbed.router is None else ROUTER
        guests = option.guests or self.testbed.gateway.in_guest
        if chosen.guest and (wanted == VIRTUAL or self.testbed.field or not guests):
            return
        if chosen.router is not None and system != "ios":
            return  # what it types no other gateway understands
        showings = [one for one in QUALIFIED[system].get(variant, ()) if one.scenario == scenario]
        if not showings and (option.all_variants or option.variant):
            showings = [Showing(scenario)]
        for one in showings:
            own = chosen.time if self.testbed.own_clock and one.time != WALL else one.time or chosen.time
            time = wanted or own
            if time == VIRTUAL and self.testbed.own_clock:
                continue  # what virtual time has to show is no device of this testbed
            if VIRTUAL == chosen.time != time and one.time != WALL:
                continue  # hours of the wall's time
            clients = one.clients or chosen.number_of(option.clients)
            yield Cast(scenario, variant, clients, time, clients == chosen.clients)

    def _chosen_variants(self) -> tuple[str, ...]:
        """Those of the testbed, or of these the ones that the command line names."""
        chosen = self.config.option.variant
        strange = set(chosen) - set(self.testbed.gateway.variants)
        if strange:
            raise UsageError(
                f"{self.testbed.file} has no gateway variant {', '.join(sorted(strange))}",
                cure=f"one of {', '.join(self.testbed.gateway.variants)}",
            )
        return tuple(v for v in self.testbed.gateway.variants if not chosen or v in chosen)

    def _check_behaviours(self) -> None:
        strange = set(self.config.option.behaviour) - set(self.behaviours)
        if strange:
            raise UsageError(f"the catalogue has no behaviour {', '.join(sorted(strange))}", cure="see suites/behaviours/")

    def _check_clients(self) -> None:
        wanted, most = self.config.option.clients, self.testbed.most_clients
        if wanted is not None and not 2 <= wanted <= most:
            raise UsageError(
                f"{wanted} clients: it takes 2 at least, for the question is who loses when the next one comes, and "
                f"{self.testbed.file} has prefix, users and addresses for {most}",
                cure=f"--clients 2 to {most}",
            )

    def _check_time(self) -> None:
        option = self.config.option
        if self.testbed.simulated:
            if option.time not in (None, VIRTUAL):
                cure = "leave --time out, or name a testbed whose routers are there"
                raise UsageError(f"the routers of {self.testbed.file} live in virtual time alone", cure=cure)
            option.time = VIRTUAL
        if option.time == VIRTUAL and self.testbed.own_clock:
            cure = "testbeds/virtual.yaml has one that lives in virtual time"
            raise UsageError(f"the gateway of {self.testbed.file} is a machine with a clock of its own", cure=cure)
        if option.release is not None:
            from harness.model import ios_releases

            ios_releases.parse(option.release)
            if not self.testbed.simulated:
                cure = "testbeds/virtual-ios.yaml has routers of any release"
                raise UsageError(f"the routers of {self.testbed.file} have the releases that they have", cure=cure)
        if option.fault:
            from harness import faults

            faults.named(option.fault)
            if option.time != VIRTUAL:
                raise UsageError("mechanisms are broken in virtual time only", cure=f"--fault {option.fault} --time virtual")

    def _check_for_routers(self, lab: RouterLab) -> None:
        """What of the command line is for a gateway, or for virtual time."""
        option = self.config.option
        for name in ("clients", "variant", "release", "fault"):
            if getattr(option, name):
                raise UsageError(f"--{name} says nothing of the routers of {lab.file}, which are as they are", cure="leave it out")
        if option.time == VIRTUAL:
            cure = "testbeds/virtual-ios.yaml has routers that live in virtual time"
            raise UsageError(f"the routers of {lab.file} have clocks of their own", cure=cure)

    def wanting(self, item: pytest.Item) -> str:
        """Why this testbed cannot give what the item's check rests on; "" where it can."""
        from harness.verdict.checks import CHECKS, NOTED
        from harness.verdict.obtainable import wanting

        cast, marker = _cast(item), item.get_closest_marker("behaviour")
        if self.lab is not None and cast is not None and marker is not None:
            return self._wanting_of_routers(cast, marker.args[0])
        if cast is None or cast.routers or marker is None or self.testbed.router is None:
            return ""
        check = CHECKS.get(marker.args[0]) or NOTED.get(marker.args[0])
        return "" if check is None else wanting(self.testbed, check.needs)

    def _wanting_of_routers(self, cast: Cast, behaviour: str) -> str:
        from harness.routers.script import NULL
        from harness.verdict.obtainable import wanting_there
        from harness.verdict.routers.table import CHECKS, NOTED

        check = {**CHECKS, **NOTED}.get(behaviour)
        if check is None:
            return ""
        clear = self.router_script(cast.scenario).clear
        return wanting_there(check, readable=("esp", "all") if clear else ("esp",) if cast.variant == NULL else ())

    def evidence(self, cast: Cast) -> Evidence:
        """Played at the first call. A scenario that could not be played raises the same error at every call; a mistake in the
        testbed, which would keep every other from being played too, ends the session."""
        if cast not in self._played:
            try:
                self._played[cast] = self._play(cast)
            except UsageError as error:
                if error.file == str(self.config.option.testbed):
                    refuse(error)
                self._played[cast] = error
            except Exception as error:  # kept, and raised for each test that needs it
                self._played[cast] = error
        found = self._played[cast]
        if isinstance(found, BaseException):
            trace = found.__traceback__
            try:
                raise found
            finally:
                found.__traceback__ = trace  # or it would grow with every test
        return found

    def close(self) -> None:
        """Takes down what was played on, and what it kept for itself."""
        self._held.close()

    @cached_property
    def runner(self) -> Runner:
        from tempfile import TemporaryDirectory

        from harness.scenario.runner import Runner
        from harness.testbed.load import load

        assert self.sink is not None
        with self.sink.bus.step("load the testbed"):
            testbed = load(self.config.option.testbed)
        scratch = Path(self._held.enter_context(TemporaryDirectory(prefix="natstorm-")))
        option = self.config.option
        return self._held.enter_context(Runner(testbed, scratch, self.sink.bus, seed=option.seed, fault=option.fault))

    @cached_property
    def router_runner(self) -> RunnerBase:
        if self.lab is not None:
            return self._field_runner()
        from harness import faults
        from harness.model.redact import Redactor
        from harness.routers.breaking import makers
        from harness.routers.makers import Makers
        from harness.routers.runner import RouterRunner

        assert self.sink is not None
        option = self.config.option
        made = makers(faults.named(option.fault)) if option.fault else Makers()
        return self._held.enter_context(
            RouterRunner(self.sink.bus, Redactor(self.testbed.secrets), seed=option.seed, makers=made)
        )

    def _field_runner(self) -> RunnerBase:
        from harness.model.router_lab import RouterLab
        from harness.routers.field_runner import FieldRunner
        from harness.testbed.load import load_any

        assert self.sink is not None
        with self.sink.bus.step("load the testbed"):
            lab = load_any(self.config.option.testbed)
        assert isinstance(lab, RouterLab)
        return self._held.enter_context(FieldRunner(lab, self.sink.bus))

    def _play_routers(self, cast: Cast) -> Evidence:
        from harness.routers.outcome import headline
        from harness.routers.script import NULL

        assert self.sink is not None
        name = self.described.name
        with self.sink.playing(cast.label, testbed=name, variant=cast.variant) as playing:
            chosen = replace(self.router_script(cast.scenario), null=cast.variant == NULL)
            clear = cast in self.clear
            evidence = self.router_runner.play(chosen, folder=playing.folder, testbed=name, clear_expected=clear)
            playing.played(replace(evidence, scenario=cast.label), {}, headline(evidence, chosen.summary))
            return evidence

    def _play(self, cast: Cast) -> Evidence:
        if cast.routers:
            return self._play_routers(cast)
        from harness.scenario.outcome import sum_up
        from harness.scenario.scripts import script

        assert self.sink is not None
        with self.sink.playing(cast.label, testbed=self.testbed.name, variant=cast.variant) as playing:
            played = self.runner.play(
                cast.scenario,
                cast.variant,
                folder=playing.folder,
                clients=cast.clients,
                time=cast.time,
                clear_expected=cast in self.clear,
            )
            evidence = replace(played, scenario=cast.label)
            playing.played(evidence, *sum_up(evidence, script(cast.scenario).not_up))
            return evidence


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One case for each scenario and variant."""
    if "cast" not in metafunc.fixturenames:
        return
    casts = []
    if marker := metafunc.definition.get_closest_marker("plays"):
        casts += metafunc.config.stash[SESSION].casts(marker.args, marker.kwargs.get("on"))
    if marker := metafunc.definition.get_closest_marker("routers"):
        behaviour = metafunc.definition.get_closest_marker("behaviour")
        casts += metafunc.config.stash[SESSION].router_casts(marker.args, "" if behaviour is None else behaviour.args[0])
    metafunc.parametrize("cast", [_unless_lacking(metafunc.config.stash[SESSION], cast) for cast in casts], scope="session")


def _unless_lacking(session: Session, cast: Cast) -> Any:
    """A case that is skipped, with the reason, where the routers' release lacks what its script needs."""
    why = session.lacking(cast)
    return pytest.param(cast, id=cast.name, marks=[pytest.mark.skip(reason=why)] if why else [])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Cases of one scenario run one after another, so that its verdicts come out together; the order of suites decides the rest."""
    if SESSION not in config.stash:
        return
    session = config.stash[SESSION]
    select(config, items)
    for item in items:
        describe(session, item)
        if why := session.wanting(item):
            item.add_marker(pytest.mark.skip(reason=why))
    order: dict[Any, int] = {}
    for item in items:
        order.setdefault(_cast(item), len(order))
    items.sort(key=lambda item: order[_cast(item)])
    try:
        session.foresee([cast for cast in order if cast is not None])
    except UsageError as error:
        refuse(error)
    if config.option.dry_run:
        config.hook.pytest_deselected(items=items[:])
        items[:] = []


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if SESSION in config.stash:
        for line in config.stash[SESSION].foretold:
            terminalreporter.write_line(line)


def select(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what no chosen variant can run, and with --behaviour ID all rows but these."""
    wanted = set(config.option.behaviour)
    left = []
    for item in items:
        marker = item.get_closest_marker("behaviour")
        plays = any(item.get_closest_marker(name) is not None for name in ("plays", "routers"))
        unfit = plays and _cast(item) is None
        if unfit or (wanted and (marker is None or marker.args[0] not in wanted)):
            left.append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


def _cast(item: pytest.Item) -> Cast | None:
    found = item.callspec.params.get("cast") if hasattr(item, "callspec") else None
    return found if isinstance(found, Cast) else None  # pytest has a stand-in for "no variant fits"


def describe(session: Session, item: pytest.Item) -> None:
    """What the report is to know of a case: the catalogue's row, and what it runs on."""
    from harness.report.pytest_sink import CASE
    from harness.report.result import Case

    marker = item.get_closest_marker("behaviour")
    cast = _cast(item)
    if marker is None:
        return
    if marker.args[0] not in session.behaviours:
        refuse(UsageError(f"{item.nodeid} names the behaviour {marker.args[0]}, which the catalogue does not have"))
    row = session.behaviours[marker.args[0]]
    if row.clear_expected and cast is not None:
        session.clear.add(cast)
    item.stash[CASE] = Case(
        id=row.id,
        nodeid=item.nodeid,
        title=row.title,
        source=row.source,
        kind="/".join(row.kinds),
        testbed=session.described.name,
        variant="" if cast is None else cast.variant,
        scenario="" if cast is None else cast.label,
        time_base=row.time if cast is None else cast.time,
    )


@pytest.fixture(scope="session")
def natstorm(request: pytest.FixtureRequest) -> Iterator[Session]:
    session = request.config.stash[SESSION]
    yield session
    session.close()


@pytest.fixture
def evidence(natstorm: Session, cast: Cast) -> Evidence:
    """What the scenario of this case left behind; played now, if it was not before. A router that is there is not asked what its
    release has not."""
    from harness.errors import ReleaseLacks

    try:
        return natstorm.evidence(cast)
    except ReleaseLacks as lacks:
        pytest.skip(str(lacks))


@pytest.fixture
def judge(request: pytest.FixtureRequest, natstorm: Session, evidence: Evidence, cast: Cast) -> Any:
    """`judge(**options)` puts the evidence to the check of this test's behaviour: FAIL fails the test, INCONCLUSIVE is an error.
    Where the source is silent, what was found is recorded, and not judged."""
    from harness.model import Outcome
    if cast.routers:
        from harness.verdict.routers.table import CHECKS, NOTED
    else:
        from harness.verdict.checks import CHECKS, NOTED  # type: ignore[assignment]

    behaviour = request.node.get_closest_marker("behaviour").args[0]
    assert natstorm.sink is not None
    sink = natstorm.sink

    def put(**options: Any) -> None:
        __tracebackhide__ = True
        verdict = {**CHECKS, **NOTED}[behaviour](evidence, **options)
        if behaviour in NOTED and verdict.outcome is Outcome.PASS:
            sink.record(request.node, verdict.facts, verdict.because)
        else:
            sink.conclude(request.node, verdict)

    return put
