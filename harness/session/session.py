"""One pytest session of suites: its testbed, the stages that it has, and the evidence that was played on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from harness.catalogue import SUITES
from harness.errors import NatstormError, UsageError
from harness.session.cast import Cast, Stage
from harness.session.clients import Clients
from harness.session.routers import Routers, RoutersThere, VirtualRouters

if TYPE_CHECKING:
    from harness.model import Evidence
    from harness.model.behaviour import Behaviour
    from harness.model.router_lab import RouterLab
    from harness.model.testbed import Testbed
    from harness.report.pytest_sink import Sink


def refuse(error: NatstormError) -> NoReturn:
    """A mistake of the user's, or a machine that cannot: said in one sentence, without a trace."""
    status = pytest.ExitCode.USAGE_ERROR if isinstance(error, UsageError) else pytest.ExitCode.INTERNAL_ERROR
    raise _Said(str(error), returncode=status)


_Said = type("natstorm", (pytest.exit.Exception,), {"__module__": "builtins"})
"""pytest writes the name of the exception's class before the sentence, and that of its module where it has one of its own."""


class Session:
    """What one pytest session of suites knows and holds. Everything heavy begins with the first scenario. `clients` and `routers`
    are its stages, None where the testbed has none of that kind; `foretold` says with --dry-run what would happen to which
    device."""

    def __init__(self, config: pytest.Config) -> None:
        from harness.catalogue import load_catalogue
        from harness.testbed.load import check_any

        self.config = config
        self.behaviours: Mapping[str, Behaviour] = load_catalogue(SUITES / "behaviours")
        self.testbed: Testbed | RouterLab = check_any(config.option.testbed)
        self._check_behaviours()
        self.clients, self.routers = stages(self.testbed, config.option)
        self.foretold: tuple[str, ...] = ()
        self.clear: set[Cast] = set()  # those that a behaviour declares to carry L2TP in clear
        self.sink: Sink | None = None
        self._played: dict[Cast, Evidence | BaseException] = {}

    def begin(self) -> None:
        """The run's folder is made, and everything from now on is kept in it. SIGTERM and SIGHUP end the run as Ctrl-C does."""
        from harness.lab import endings
        from harness.report.pytest_sink import install

        endings.as_ctrl_c()
        self.sink = install(
            self.config,
            root=self.config.option.reports,
            testbeds=[self.testbed.name],
            environment={"fault": self.config.option.fault} if self.config.option.fault else {},
            allure_html=not self.config.option.no_html,
            secrets=self.testbed.secrets,
        )

    def stage(self, cast: Cast) -> Stage:
        found = self.routers if cast.routers else self.clients
        assert found is not None
        return found

    def foresee(self, casts: Sequence[Cast]) -> None:
        """Before anything is reached or sent. UsageError for what the testbed does not allow."""
        told: list[str] = []
        for stage, of_routers in ((self.clients, False), (self.routers, True)):
            if stage is not None:
                told += stage.foresee([cast for cast in casts if cast.routers is of_routers], tell=self.config.option.dry_run)
        self.foretold = tuple(told)

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
        """Takes down what was played on."""
        try:
            if self.clients is not None:
                self.clients.close()
        finally:
            if self.routers is not None:
                self.routers.close()

    def _play(self, cast: Cast) -> Evidence:
        assert self.sink is not None
        with self.sink.playing(cast.label, testbed=self.testbed.name, variant=cast.variant) as playing:
            return self.stage(cast).play(cast, playing, self.sink.bus, clear_expected=cast in self.clear)

    def _check_behaviours(self) -> None:
        strange = set(self.config.option.behaviour) - set(self.behaviours)
        if strange:
            raise UsageError(f"the catalogue has no behaviour {', '.join(sorted(strange))}", cure="see suites/behaviours/")


def stages(testbed: Testbed | RouterLab, option: Any) -> tuple[Clients | None, Routers | None]:
    """Those that a testbed has, where `option` is pytest's. UsageError where that asks for what it cannot give."""
    from harness.model.router_lab import RouterLab

    if isinstance(testbed, RouterLab):
        return None, RoutersThere(testbed, option)
    return Clients(testbed, option), VirtualRouters(testbed, option) if testbed.simulated else None
