"""Scripts for routers: on virtual ones in virtual time, and on those that a testbed of routers describes."""

from __future__ import annotations

import argparse
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.programme import VIRTUAL, WALL
from harness.session.cast import Cast

if TYPE_CHECKING:
    from harness.model import Evidence
    from harness.model.router_lab import RouterLab
    from harness.model.steps import StepBus
    from harness.model.testbed import Testbed
    from harness.report.pytest_sink import Playing
    from harness.routers.runner import RunnerBase
    from harness.routers.script import RouterScript


class Routers(ABC):
    """A Stage. `option` is pytest's."""

    def __init__(self, testbed: Testbed | RouterLab, option: argparse.Namespace) -> None:
        self._name = testbed.name
        self._option = option
        self._runner: RunnerBase | None = None

    @abstractmethod
    def casts(self, scripts: Sequence[str], behaviour: str) -> list[Cast]:
        """What of a test's scripts can be played there for that behaviour."""

    @abstractmethod
    def wanting(self, cast: Cast, behaviour: str) -> str: ...

    @abstractmethod
    def foresee(self, casts: Sequence[Cast], *, tell: bool) -> tuple[str, ...]: ...

    @abstractmethod
    def _build(self, bus: StepBus) -> RunnerBase: ...

    def play(self, cast: Cast, playing: Playing, bus: StepBus, *, clear_expected: bool) -> Evidence:
        from harness.routers.outcome import headline
        from harness.routers.script import NULL

        if self._runner is None:
            self._runner = self._build(bus)
        chosen = replace(self._script(cast.scenario), null=cast.variant == NULL)
        evidence = self._runner.play(chosen, folder=playing.folder, testbed=self._name, clear_expected=clear_expected)
        playing.played(replace(evidence, scenario=cast.label), {}, headline(evidence, chosen.summary))
        return evidence

    def close(self) -> None:
        if self._runner is not None:
            self._runner.close()
            self._runner = None

    def _script(self, name: str) -> RouterScript:
        """With the release that the command line asks for."""
        from harness.routers.scripts import script

        chosen, release = script(name), self._option.release
        return chosen if release is None or chosen.about_release else replace(chosen, release=release)


class VirtualRouters(Routers):
    """In a fresh laboratory of virtual IOS routers each."""

    def __init__(self, testbed: Testbed, option: argparse.Namespace) -> None:
        super().__init__(testbed, option)
        self._secrets = testbed.secrets

    def casts(self, scripts: Sequence[str], behaviour: str) -> list[Cast]:
        return [Cast(name, self._script(name).release, 0, VIRTUAL, routers=True) for name in scripts]

    def wanting(self, cast: Cast, behaviour: str) -> str:
        from harness.routers.releases import lacking

        return lacking(self._script(cast.scenario))

    def foresee(self, casts: Sequence[Cast], *, tell: bool) -> tuple[str, ...]:
        return ()

    def _build(self, bus: StepBus) -> RunnerBase:
        from harness import faults
        from harness.model.redact import Redactor
        from harness.routers.breaking import makers
        from harness.routers.makers import Makers
        from harness.routers.runner import RouterRunner

        made = makers(faults.named(self._option.fault)) if self._option.fault else Makers()
        return RouterRunner(bus, Redactor(self._secrets), seed=self._option.seed, makers=made)


class RoutersThere(Routers):
    """On routers that stand there, configured anew for each script. UsageError where the command line asks for what is a gateway's,
    or virtual time's."""

    def __init__(self, lab: RouterLab, option: argparse.Namespace) -> None:
        super().__init__(lab, option)
        self._lab = lab
        for name in ("clients", "variant", "release", "fault"):
            if getattr(option, name):
                raise UsageError(f"--{name} says nothing of the routers of {lab.file}, which are as they are", cure="leave it out")
        if option.time == VIRTUAL:
            cure = "testbeds/virtual-ios.yaml has routers that live in virtual time"
            raise UsageError(f"the routers of {lab.file} have clocks of their own", cure=cure)

    def casts(self, scripts: Sequence[str], behaviour: str) -> list[Cast]:
        of_lab = (name for name in scripts if self._script(name).world == self._lab.world)
        return [Cast(name, self._variant(name, behaviour), 0, WALL, routers=True) for name in of_lab]

    def _variant(self, script: str, behaviour: str) -> str:
        """How a script is played for it: as it is, unless its tunnels have to be read."""
        from harness.routers.script import NULL, THERE
        from harness.verdict.routers.table import CHECKS, NOTED

        check = {**CHECKS, **NOTED}.get(behaviour)
        reads = check is not None and check.opens == "esp" and not self._script(script).clear
        return NULL if reads and self._lab.esp_null else THERE

    def wanting(self, cast: Cast, behaviour: str) -> str:
        """What the release of a router lacks shows when it is reached."""
        from harness.routers import wants
        from harness.routers.script import NULL
        from harness.verdict.obtainable import wanting_there
        from harness.verdict.routers.table import CHECKS, NOTED

        script = self._script(cast.scenario)
        if why := wants.missing(script, self._lab):
            return why
        check = {**CHECKS, **NOTED}.get(behaviour)
        readable = ("esp", "all") if script.clear else ("esp",) if cast.variant == NULL else ()
        return "" if check is None else wanting_there(check, readable=readable)

    def foresee(self, casts: Sequence[Cast], *, tell: bool) -> tuple[str, ...]:
        from harness.scenario import foreseen

        return foreseen.told_of_routers(self._lab) if tell else ()

    def _build(self, bus: StepBus) -> RunnerBase:
        from harness.model.router_lab import RouterLab
        from harness.routers.field_runner import FieldRunner
        from harness.testbed.load import load_any

        with bus.step("load the testbed"):
            lab = load_any(self._option.testbed)
        assert isinstance(lab, RouterLab)
        return FieldRunner(lab, bus)
