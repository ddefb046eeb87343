"""Scenarios with clients: which of them a testbed's gateway is asked on the command line's behalf, and playing them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.programme import QUALIFIED, ROUTER, VIRTUAL, WALL, Showing
from harness.session.cast import Cast

if TYPE_CHECKING:
    from harness.model import Evidence
    from harness.model.steps import StepBus
    from harness.model.testbed import Testbed
    from harness.report.pytest_sink import Playing
    from harness.scenario.runner import Runner


class Clients:
    """A Stage. `option` is pytest's; `time` in it becomes "virtual" where the testbed lives in no other. UsageError where it asks
    for what the testbed cannot give."""

    def __init__(self, testbed: Testbed, option: argparse.Namespace) -> None:
        self._testbed = testbed
        self._option = option
        self._bus: StepBus | None = None
        self._held = ExitStack()
        self.variants = self._chosen_variants()
        self._check_clients()
        self._check_time()

    def casts(self, scenarios: Sequence[str], on: Sequence[str] | None, *, in_any_time: bool = False) -> list[Cast]:
        """What of a test's scenarios, on the variants it can run on, the command line wants played, with `in_any_time` but for
        --time."""
        wanted = None if in_any_time else self._option.time
        return [
            cast
            for variant in self.variants
            if on is None or any(fnmatchcase(variant, pattern) for pattern in on)
            for name in scenarios
            for cast in self._showings(name, variant, wanted)
        ]

    # --- a Stage ---

    def wanting(self, cast: Cast, behaviour: str) -> str:
        from harness.verdict.checks import CHECKS, NOTED
        from harness.verdict.obtainable import wanting

        check = CHECKS.get(behaviour) or NOTED.get(behaviour)
        return "" if check is None or self._testbed.router is None else wanting(self._testbed, check.needs)

    def foresee(self, casts: Sequence[Cast], *, tell: bool) -> tuple[str, ...]:
        from harness.scenario import foreseen
        from harness.scenario.scripts import script

        burdens = []
        for cast in casts:
            chosen = script(cast.scenario)
            burdens.append(foreseen.Burden(cast.name, cast.clients, chosen.marks_per_s, chosen.arrivals_per_s))
        if self._testbed.field:
            foreseen.judge(self._testbed, burdens)
        return foreseen.told(self._testbed, burdens) if tell else ()

    def play(self, cast: Cast, playing: Playing, bus: StepBus, *, clear_expected: bool) -> Evidence:
        from harness.scenario.outcome import sum_up
        from harness.scenario.scripts import script

        self._bus = bus
        played = self._runner.play(
            cast.scenario,
            cast.variant,
            folder=playing.folder,
            clients=cast.clients,
            time=cast.time,
            clear_expected=clear_expected,
        )
        evidence = replace(played, scenario=cast.label)
        playing.played(evidence, *sum_up(evidence, script(cast.scenario).not_up))
        return evidence

    def close(self) -> None:
        self._held.close()

    @cached_property
    def _runner(self) -> Runner:
        from tempfile import TemporaryDirectory

        from harness.scenario.runner import Runner
        from harness.testbed.load import load

        assert self._bus is not None
        option = self._option
        with self._bus.step("load the testbed"):
            testbed = load(option.testbed)
        scratch = Path(self._held.enter_context(TemporaryDirectory(prefix="natstorm-")))
        return self._held.enter_context(Runner(testbed, scratch, self._bus, seed=option.seed, fault=option.fault))

    # --- what the command line asks for ---

    def _showings(self, scenario: str, variant: str, wanted: str | None) -> Iterator[Cast]:
        """`wanted` is the time in which alone it may be played; None where it may be in any."""
        from harness.scenario.scripts import script

        option, chosen = self._option, script(scenario)
        system = self._testbed.gateway.os if self._testbed.router is None else ROUTER
        guests = option.guests or self._testbed.gateway.in_guest
        if chosen.guest and (wanted == VIRTUAL or self._testbed.field or not guests):
            return
        if chosen.router is not None and system != "ios":
            return  # what it types no other gateway understands
        showings = [one for one in QUALIFIED[system].get(variant, ()) if one.scenario == scenario]
        if not showings and (option.all_variants or option.variant):
            showings = [Showing(scenario)]
        for one in showings:
            own = chosen.time if self._testbed.own_clock and one.time != WALL else one.time or chosen.time
            time = wanted or own
            if time == VIRTUAL and self._testbed.own_clock:
                continue  # what virtual time has to show is no device of this testbed
            if VIRTUAL == chosen.time != time and one.time != WALL:
                continue  # hours of the wall's time
            clients = one.clients or chosen.number_of(option.clients)
            yield Cast(scenario, variant, clients, time, clients == chosen.clients)

    def _chosen_variants(self) -> tuple[str, ...]:
        """Those of the testbed, or of these the ones that the command line names."""
        chosen = self._option.variant
        strange = set(chosen) - set(self._testbed.gateway.variants)
        if strange:
            raise UsageError(
                f"{self._testbed.file} has no gateway variant {', '.join(sorted(strange))}",
                cure=f"one of {', '.join(self._testbed.gateway.variants)}",
            )
        return tuple(v for v in self._testbed.gateway.variants if not chosen or v in chosen)

    def _check_clients(self) -> None:
        wanted, most = self._option.clients, self._testbed.most_clients
        if wanted is not None and not 2 <= wanted <= most:
            raise UsageError(
                f"{wanted} clients: it takes 2 at least, for the question is who loses when the next one comes, and "
                f"{self._testbed.file} has prefix, users and addresses for {most}",
                cure=f"--clients 2 to {most}",
            )

    def _check_time(self) -> None:
        option = self._option
        if self._testbed.simulated:
            if option.time not in (None, VIRTUAL):
                cure = "leave --time out, or name a testbed whose routers are there"
                raise UsageError(f"the routers of {self._testbed.file} live in virtual time alone", cure=cure)
            option.time = VIRTUAL
        if option.time == VIRTUAL and self._testbed.own_clock:
            cure = "testbeds/virtual.yaml has one that lives in virtual time"
            raise UsageError(f"the gateway of {self._testbed.file} is a machine with a clock of its own", cure=cure)
        if option.release is not None:
            from harness.model import ios_releases

            ios_releases.parse(option.release)
            if not self._testbed.simulated:
                cure = "testbeds/virtual-ios.yaml has routers of any release"
                raise UsageError(f"the routers of {self._testbed.file} have the releases that they have", cure=cure)
        if option.fault:
            from harness import faults

            faults.named(option.fault)
            if option.time != VIRTUAL:
                raise UsageError("mechanisms are broken in virtual time only", cure=f"--fault {option.fault} --time virtual")
