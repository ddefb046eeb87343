"""`natstorm storm`: many clients arrive at once on a testbed, and stay; or the search for how many a second it bears."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.programme import DEFAULT_TESTBED, TIMES, VIRTUAL, WALL
from harness.storm.ramp import FIRST_RATE, WITHIN_S, Found, Outcome, Tried, found
from harness.storm.shape import Kind, Shape

if TYPE_CHECKING:
    from harness.model import Verdict
    from harness.model.steps import StepEvent
    from harness.model.testbed import Testbed
    from harness.scenario.foreseen import Burden
    from harness.scenario.play import Play
    from harness.scenario.runner import Runner
    from harness.scenario.storms import Storm

DESCRIPTION = """\
Clients arrive by the shape and at the rate that is asked for, whatever becomes of those before; then all of them send and
receive for a while. Prints what happened second by second and how long each stage of a set-up took, and judges whether an
established client was lost, and whether all came up and are alive at the end. --ramp first searches for the highest rate that is
sustained (docs/storm.md says what that is), and plays the storm at it.
Exit status: 0 all came up and are alive at the end, 1 somebody did not come up or was lost (or no rate is sustained), 2 a mistake
in the usage or the testbed, 3 inconclusive.
"""
BEHAVIOUR = "DMX-75"
VERSION = 1
STATUS = {"pass": 0, "fail": 1, "inconclusive": 3}
SPARE_S = 120.0
"""How long a storm may last beyond its arrivals and its hold, before it counts as stuck."""

RAMP_S = 1800.0
LONGEST_S = 86_400
"""How long arrivals may take, and the hold after them: a day each."""



def add_commands(commands: Any) -> None:
    command = commands.add_parser("storm", help="many clients arrive at once; how many a second are borne", description=DESCRIPTION)
    add = command.add_argument
    add("--testbed", type=Path, default=DEFAULT_TESTBED, metavar="FILE", help="testbed file (default: testbeds/virtual.yaml)")
    add("--clients", type=int, required=True, metavar="N", help="how many arrive")
    add("--rate", type=float, metavar="R", help=f"arrivals a second (default {FIRST_RATE:g}); with --ramp, the first that is tried")
    add("--shape", choices=[kind.value for kind in Kind], default=Kind.STEADY.value, help="how they arrive (default steady)")
    add("--hold", type=float, default=60.0, metavar="SEC", help="traffic on all of them, after the last has arrived (default 60)")
    add("--marks", type=float, default=0.5, metavar="R", help="marked packets that each sends a second (default 0.5)")
    add("--ramp", action="store_true", help="search the highest rate that is sustained, and play the storm at it")
    add("--variant", metavar="NAME", help="gateway variant (default: the testbed's first)")
    add("--time", choices=TIMES, default=WALL, help="virtual: a simulated link, NAT and clock (virtual testbed only)")
    add("--seed", type=int, default=1, metavar="N", help="what chance decides (default 1)")
    add("--dry-run", action="store_true", help="say what would happen to which device, and do nothing")
    add("--keep", type=Path, metavar="DIR", help="keep captures and records in this folder")
    add("--json", type=Path, metavar="OUT", help="write all figures there as JSON")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from harness.lab import endings, place
    from harness.scenario import foreseen
    from harness.testbed import check, load

    testbed = check(arguments.testbed)
    shape = checked(arguments, testbed)
    burden = _burden(arguments, shape)
    if testbed.field:
        foreseen.judge(testbed, [burden])
    if arguments.dry_run:
        print("\n".join(foreseen.told(testbed, [burden])))
        return 0
    if arguments.time == WALL:
        place.settle(testbed)
    testbed = load(arguments.testbed)  # as pyATS reads it, with what is to be typed
    endings.as_ctrl_c()  # what is under way is cancelled, and all is given back
    told = Storming(arguments, shape, testbed).play()
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return STATUS[told["outcome"]]


def checked(arguments: argparse.Namespace, testbed: Testbed) -> Shape:
    """UsageError for what can be seen to be wrong beforehand."""
    from harness.scenario.storms import calm_s

    file = str(arguments.testbed)
    if not 2 <= arguments.clients <= testbed.most_clients:
        room = f"there are prefix, users and addresses for {testbed.most_clients}"
        cure = f"--clients 2 to {testbed.most_clients}"
        raise UsageError(f"{arguments.clients} clients: it takes 2 at least, and {room}", file=file, cure=cure)
    if arguments.variant is not None and arguments.variant not in testbed.gateway.variants:
        cure = f"one of {', '.join(testbed.gateway.variants)}"
        raise UsageError(f"there is no gateway variant {arguments.variant!r}", file=file, cure=cure)
    if arguments.time == VIRTUAL and testbed.own_clock:
        cure = f"--testbed {DEFAULT_TESTBED.name}, which has one that lives in virtual time"
        raise UsageError("the gateway is a machine with a clock of its own", file=file, cure=cure)
    if not 0 <= arguments.hold <= LONGEST_S:
        raise UsageError(f"--hold {arguments.hold:g} is not possible", cure=f"0 to {LONGEST_S} seconds")
    if not 0 < arguments.marks <= 100:
        raise UsageError(f"--marks {arguments.marks:g} is not possible", cure="more than 0, up to 100 a second")
    least = calm_s(arguments.marks)
    if arguments.hold < least:
        told = f"--hold {arguments.hold:g} is too short to tell at {arguments.marks:g} marks a second who is cut off"
        raise UsageError(told, cure=f"--hold {math.ceil(least * 10) / 10:g} or longer, or more --marks")
    kind = Kind(arguments.shape)
    if arguments.ramp and kind is Kind.BURST:
        raise UsageError("a burst has no rate that could be searched for", cure="--shape steady, rising or poisson with --ramp")
    if arguments.rate is not None and kind is Kind.BURST:
        raise UsageError("a burst has no rate: all arrive in one moment", cure="leave --rate out, or choose another --shape")
    for option, path in (("--json", arguments.json), ("--keep", arguments.keep)):
        if path is not None:
            _check_writable(option, path, folder=option == "--keep")
    shape = Shape(kind, FIRST_RATE if arguments.rate is None else arguments.rate, arguments.seed)
    arrive_s = shape.times(arguments.clients)[-1]
    if arrive_s > LONGEST_S:
        told = f"--rate {shape.rate:g} is too slow: {arguments.clients} clients would take {arrive_s:.3g} s to arrive"
        raise UsageError(told, cure=f"so many that all have come within {LONGEST_S} seconds")
    return shape


def _check_writable(option: str, path: Path, *, folder: bool) -> None:
    """What would only be found out when the storm is over. UsageError where `path` cannot become a file, or a folder."""
    at = path.absolute()
    if not at.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", file=str(path), cure=f"mkdir -p {path.parent}")
    if at.exists() and at.is_dir() is not folder:
        here, wanted = ("a folder", "a file") if at.is_dir() else ("a file", "a folder")
        raise UsageError(f"this is {here}, and {option} takes {wanted}", file=str(path), cure=f"another name for {option}")
    if not os.access(at if at.exists() else at.parent, os.W_OK):
        raise UsageError("nothing can be written there", file=str(path), cure=f"a place of your own for {option}")


def _burden(arguments: argparse.Namespace, shape: Shape) -> Burden:
    """A ramp and a burst may have all come in one second; a Poisson shape has twice its rate in a second now and then."""
    from harness.scenario.foreseen import Burden

    peak = None if arguments.ramp or shape.kind is Kind.BURST else shape.rate * (2 if shape.kind is Kind.POISSON else 1)
    return Burden("the storm", arguments.clients, arguments.marks, peak)


class Storming:
    """One call of the command. `play` returns what goes into the JSON."""

    def __init__(self, arguments: argparse.Namespace, shape: Shape, testbed: Testbed) -> None:
        from harness.report.terminal import Progress

        self._arguments = arguments
        self._shape = shape
        self._testbed = testbed
        self._variant: str = arguments.variant or testbed.gateway.variants[0]
        self._progress = Progress(_put, tty=sys.stdout.isatty())

    def play(self) -> dict[str, Any]:
        from harness.model.steps import StepBus
        from harness.scenario.runner import Runner

        arguments = self._arguments
        told: dict[str, Any] = {
            "version": VERSION,
            "testbed": self._testbed.name,
            "variant": self._variant,
            "time": arguments.time,
            "clients": arguments.clients,
            "hold_s": arguments.hold,
            "seed": arguments.seed,
        }
        bus = StepBus(time.time)
        bus.subscribe(self._show)
        with ExitStack() as closing:
            folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="natstorm-")))
            kept: Path = arguments.keep or folder / "storm"
            kept.mkdir(exist_ok=True)
            runner = closing.enter_context(Runner(self._testbed, folder, bus, seed=arguments.seed))
            shape: Shape | None = self._shape
            if arguments.ramp:
                tried = self._search(runner, folder / "ramp")
                told["ramp"] = _ramp_told(tried)
                self._progress.line(_answer(found(tried)))
                best = found(tried).rate
                shape = None if best is None else Shape(self._shape.kind, best, arguments.seed)
            if shape is None:
                return told | {"outcome": "inconclusive" if found(tried).by_generator else "fail"}
            return told | self._storm(runner, shape, kept)

    def _search(self, runner: Runner, folder: Path) -> tuple[Tried, ...]:
        """The climb, without a look into its captures."""
        from harness.scenario.script import Script
        from harness.scenario.storms import climb

        tried: list[Tried] = []

        async def search(play: Play) -> None:
            tried.extend(await climb(play, self._shape.rate, float(self._arguments.clients), self._step_told))

        script = Script(
            "ramp", "the highest rate", self._arguments.clients, search, marks_per_s=self._arguments.marks, overrun_s=RAMP_S
        )
        gathered = runner.rehearse(script, self._variant, folder=folder, time=self._arguments.time)
        for trouble in gathered.trouble:
            self._progress.line(f"trouble: {trouble}")
        return tuple(tried)

    def _storm(self, runner: Runner, shape: Shape, folder: Path) -> dict[str, Any]:
        from harness.scenario.script import Script
        from harness.scenario.storms import storm
        from harness.storm.meter import table
        from harness.verdict.checks import CHECKS

        arguments = self._arguments
        stormed: list[Storm] = []

        async def arrive(play: Play) -> None:
            stormed.append(await storm(play, shape, arguments.hold))

        lasts = shape.times(arguments.clients)[-1] + arguments.hold + SPARE_S
        script = Script("storm", str(shape), arguments.clients, arrive, marks_per_s=arguments.marks, overrun_s=lasts)
        evidence = runner.play(script, self._variant, folder=folder, time=arguments.time)
        verdict: Verdict = CHECKS[BEHAVIOUR](evidence)
        self._progress.end()
        told: dict[str, Any] = {"shape": shape.kind.value, "rate": None if shape.kind is Kind.BURST else shape.rate}
        for one in stormed:  # none where it was stuck, or where the gateway died in it
            print("\n".join(table(one.measured)))
            print(f"\n{one.sentence()}")
            told |= one.to_dict()
        outcome, because = verdict.outcome.value, verdict.because
        short = stormed[0].shortfall(arguments.clients) if stormed else "the storm did not come to its end"
        if short and outcome == "pass":  # the behaviour asks after those who came up; whoever calls a storm wants them all
            outcome, because = "fail", f"{short}; {because}"
        print(f"{outcome.upper()}: {because}")
        if arguments.keep is not None:
            print(f"captures and records: {folder}")
        return told | {"outcome": outcome, "because": because}

    def _show(self, event: StepEvent) -> None:
        from harness.model.steps import StepChange

        if event.change in (StepChange.BEGAN, StepChange.NOTED):
            self._progress.activity(event.name)

    def _step_told(self, tried: Tried) -> None:
        why = f": {tried.because}" if tried.because else ""
        self._progress.line(f"{tried.rate:8.1f} a second  {tried.outcome.value}{why}")


def _put(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _answer(now: Found) -> str:
    if now.rate is None:
        return f"no rate was sustained: not even {now.limit:.2f} a second"
    if now.limit is None:
        return f"sustained: {now.rate:.1f} a second, and more was not asked for"
    why = "where the generator itself was too late" if now.by_generator else f"where a set-up failed or took over {WITHIN_S:g} s"
    return f"sustained: {now.rate:.1f} a second; not {now.limit:.1f}, {why}"


def _ramp_told(tried: tuple[Tried, ...]) -> dict[str, Any]:
    now = found(tried)
    return {
        "rate": now.rate,
        "limit": now.limit,
        "by_generator": now.by_generator,
        "within_s": WITHIN_S,
        "steps": [
            {"rate": one.rate, "sustained": one.outcome is Outcome.SUSTAINED, "outcome": one.outcome.value, "because": one.because}
            for one in tried
        ],
    }
