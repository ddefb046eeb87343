"""Plays scenarios, one after another, each on the bench of its time, and keeps the evidence of each."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.clients.journal import Journal
from harness.errors import DeviceError, LabError
from harness.model import ClientPlan, Evidence
from harness.model.redact import Redactor
from harness.model.secret import Secret
from harness.model.steps import StepBus
from harness.model.testbed import Testbed
from harness.probes import clocks
from harness.probes.dissect import Dissector
from harness.routers.script import GatewayStart
from harness.scenario.bench import Bench, Gathered
from harness.scenario.gather import gather
from harness.scenario.play import Play
from harness.scenario.script import Script
from harness.scenario.scripts import script
from harness.verdict.rules.nat import NO_NAT

if TYPE_CHECKING:
    from harness.scenario.simulated_network import Makers


class Runner:
    """`testbed` is loaded already; `scratch` lies on the enclosure's tmpfs. Blocking: owns one event loop for the whole session.
    `seed` decides what chance does in virtual time; `fault` names the mechanism that is broken there (harness/faults).

        with Runner(testbed, scratch, bus) as runner:
            evidence = runner.play("pair", "demux-kernel", clients=2, folder=folder)
    """

    def __init__(self, testbed: Testbed, scratch: Path, bus: StepBus, *, seed: int = 1, fault: str | None = None) -> None:
        self.testbed = testbed
        self._makers = None if fault is None else broken(fault)
        self._seed = seed
        self._bus = bus
        self._scratch = scratch
        self._loop = asyncio.Runner()
        self._known: set[Secret] = set()
        self._redactor: Redactor | None = None
        self._benches: dict[str, Bench] = {}
        # Its start-up takes as long as a gateway's: it begins at once and is needed last.
        self._dissector = Dissector()

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Takes the benches down. Safe after any failure."""
        try:
            while self._benches:
                self._benches.popitem()[1].close()
        finally:
            self._loop.close()
            self._dissector.close()

    def play(
        self,
        scenario: str | Script,
        variant: str,
        *,
        folder: Path,
        clients: int | None = None,
        time: str | None = None,
        clear_expected: bool = False,
    ) -> Evidence:
        """Plays the scenario (a script, or the name of one of the suites' scripts) on a fresh gateway of `variant` and returns what
        it left behind; its files are in `folder`. `time` is "wall" or "virtual" (None: the script's own). `clear_expected`: a
        behaviour declares that L2TP goes unprotected here.

        LabError where the bench does not come up. Whatever goes wrong later is in the evidence's `trouble`.
        """
        chosen = script(scenario) if isinstance(scenario, str) else scenario
        plans, bench, gathered = self._play(chosen, variant, folder, clients, time)
        found: list[Evidence] = []

        async def dissect() -> None:
            # Not as the task's result: when asyncio.Runner takes its signal handler back, Python prints that task to itself, and a
            # second of every scenario went into the text of its evidence.
            found.append(await self._dissect(gathered, bench, chosen, variant, plans, folder, clear_expected))

        self._loop.run(dissect())
        return found[0]

    def rehearse(
        self, chosen: Script, variant: str, *, folder: Path, clients: int | None = None, time: str | None = None
    ) -> Gathered:
        """Plays as `play` does, and leaves the captures as they are: for what is told by the clients' own account."""
        return self._play(chosen, variant, folder, clients, time)[2]

    def _play(
        self, chosen: Script, variant: str, folder: Path, clients: int | None, time: str | None
    ) -> tuple[tuple[ClientPlan, ...], Bench, Gathered]:
        number = clients or chosen.clients
        plans = chosen.plans(self.testbed.plans(number))
        for line in chosen.differs(self.testbed, number):
            self._bus.note(line)
        bench = self._bench(time or chosen.time)
        return plans, bench, bench.run(self._record(bench, chosen, variant, plans, folder))

    def _bench(self, time: str) -> Bench:
        if time not in self._benches:
            self._benches[time] = self._build(time)
        return self._benches[time]

    def _build(self, time: str) -> Bench:
        """Imports what is built alone: the benches' devices, and all faults, take a good part of a second."""
        if time == "virtual":
            from harness.scenario.simulated_bench import SimulatedBench
            from harness.scenario.simulated_network import Makers

            return SimulatedBench(self.testbed, self._bus, self._seed, self._makers or Makers())
        if self.testbed.field:
            from harness.scenario.field_bench import FieldBench

            return FieldBench(self.testbed, self._bus, self._loop)
        from harness.scenario.lab_bench import LabBench

        return LabBench(self.testbed, self._scratch, self._bus, self._loop)

    async def _record(self, bench: Bench, chosen: Script, variant: str, plans: tuple[ClientPlan, ...], folder: Path) -> Gathered:
        """The scenario itself, between the start and the end of all captures."""
        with self._bus.step(f"a fresh gateway, {variant}"):
            await bench.fresh(variant, chosen)
        clock = bench.clock()
        with Journal(folder, clock, redactor=self._knowing(plans)) as journal:
            gathered = Gathered(journal.records)
            async with bench.witnesses(folder, gathered), bench.fleet(journal) as fleet:
                for plan in plans:
                    fleet.add(plan)
                marks = chosen.marks_per_s, chosen.marks_to, chosen.mark_sizes
                play = Play(plans, fleet, bench, clock, self._bus, gathered, *marks)
                try:
                    async with asyncio.timeout(chosen.overrun_s):
                        await play.perform(chosen.run)
                except TimeoutError:
                    gathered.trouble.append(f"the scenario was not over after {chosen.overrun_s:g} s")
                except (DeviceError, LabError) as error:
                    # A gateway that dies is a result like any other: what was captured until then is kept, and says so.
                    gathered.trouble.append(str(error))
        return gathered

    def _knowing(self, plans: tuple[ClientPlan, ...]) -> Redactor:
        """What takes the testbed's secrets out of texts, and those that a script gives its clients instead."""
        secrets = dict.fromkeys((*self.testbed.secrets, *(one for plan in plans for one in (plan.psk, plan.password))))
        if self._redactor is None or secrets.keys() - self._known:
            self._known |= secrets.keys()
            self._redactor = Redactor(self._known)
        return self._redactor

    async def _dissect(
        self,
        gathered: Gathered,
        bench: Bench,
        chosen: Script,
        variant: str,
        plans: tuple[ClientPlan, ...],
        folder: Path,
        clear_expected: bool,
    ) -> Evidence:
        nat = chosen.nat or self.testbed.nat.personality
        with self._bus.step("dissect the captures"):
            evidence = await gather(
                gathered,
                self._dissector,
                self.testbed,
                chosen.name,
                variant,
                plans,
                folder,
                clear_expected,
                nat != NO_NAT,
                self._knowing(plans),
            )
            if self.testbed.two_clocks:
                self._bus.note(f"the clocks of the two captures: {clocks.in_words(evidence.clock)}")
        release = "" if bench.console is None else (chosen.router or GatewayStart()).release
        told = dict(chosen.gateway)
        return replace(evidence, time=bench.time, nat=nat, gateway_told=told, release=release)


def broken(fault: str) -> Makers:
    """What a simulated bench is built by, with that mechanism broken. UsageError where there is no fault of that name."""
    from harness import faults
    from harness.scenario import breaking

    return breaking.makers(faults.named(fault))
