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

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.catalogue import SUITES
from harness.errors import NatstormError, UsageError
from harness.programme import DEFAULT_TESTBED, TIMES, VIRTUAL
from harness.session.cast import Cast
from harness.session.session import Session, refuse

if TYPE_CHECKING:
    from harness.model import Evidence

ROOT = Path(__file__).resolve().parents[1]

SESSION = pytest.StashKey[Session]()


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
            place.settle(session.testbed, guests=config.option.guests, enclose=enclose)
        session.begin()
    except NatstormError as error:
        refuse(error)


def _runs_suites(config: pytest.Config) -> bool:
    """Whether the command line names suites: whoever runs the harness's own tests gets no lab."""
    named = [Path(str(argument).split("::")[0]) for argument in config.args]
    here = Path(config.invocation_params.dir)
    return any((here / path).resolve().is_relative_to(SUITES) for path in named)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One case for each scenario and variant."""
    if "cast" not in metafunc.fixturenames:
        return
    session, definition = metafunc.config.stash[SESSION], metafunc.definition
    casts = []
    if session.clients is not None and (marker := definition.get_closest_marker("plays")):
        casts += session.clients.casts(marker.args, marker.kwargs.get("on"))
    if session.routers is not None and (marker := definition.get_closest_marker("routers")):
        casts += session.routers.casts(marker.args, _behaviour(definition))
    metafunc.parametrize("cast", casts, ids=[cast.name for cast in casts], scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Cases of one scenario run one after another, so that its verdicts come out together; the order of suites decides the rest."""
    if SESSION not in config.stash:
        return
    session = config.stash[SESSION]
    select(config, items)
    for item in items:
        describe(session, item)
        cast = _cast(item)
        if cast is not None and (why := session.stage(cast).wanting(cast, _behaviour(item))):
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


def _behaviour(item: pytest.Item) -> str:
    marker = item.get_closest_marker("behaviour")
    return "" if marker is None else marker.args[0]


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
        testbed=session.testbed.name,
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
