"""`natstorm prove`: break every mechanism in turn, play the suites, and compare what turned red with what was predicted."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any

from harness.catalogue import SUITES, load_catalogue
from harness.errors import UsageError, typed
from harness.prove import predictions as told
from harness.prove.account import CLEAN_RUNS, LEAST_MUTANTS, MUTANTS_LEFT, Account, Mutants, account, show
from harness.prove.ledger import CLEAN, Ledger, Played, fingerprint
from harness.prove.matrix import RED, seen
from harness.prove.mutants import KEPT, Records, hunt, tally
from harness.prove.play import ROOT, play
from harness.prove.worlds import WORLDS, Run, run_of, world_of, worlds_of

DESCRIPTION = """\
Plays the suites in virtual time once for each fault, with that one mechanism of gateway, NAT, client or router broken, and some
times with nothing broken. Faults of routers have a world of their own (testbeds/virtual-ios.yaml), with clean runs of its own,
where only the scripts for routers are played for them. Prints which behaviours each fault turned red against what was predicted,
whom the verdicts blame, and what is still missing. What has been played is kept: an interrupted proof goes on where it was, and
clean runs add up.
With --mutants it changes harness/virtual in N places that chance chooses, one by one, in a copy of the project, and tells which of
these mutants no test notices; without, what was tried before counts for the proof.
Exit status: 0 the proof holds, 1 it has gaps, 2 a mistake in the usage, 3 the suites could not be played.
"""
LEDGER = ROOT / "reports" / "prove" / "ledger.jsonl"


def add_commands(commands: Any) -> None:
    command = commands.add_parser("prove", help="break every mechanism in turn: which test notices?", description=DESCRIPTION)
    add = command.add_argument
    add("--fault", action="append", default=[], metavar="NAME", help="only this one (may be repeated)")
    add("--world", choices=WORLDS, help="only the faults, and the clean runs, of this world")
    clean = f"runs with nothing broken in each world, each of another seed ({CLEAN_RUNS}; with --fault 1)"
    add("--clean", type=int, default=None, metavar="N", help=clean)
    add("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="runs at once (default: one a core)")
    add("--fresh", action="store_true", help="forget what was played before")
    add("--mutants", type=int, default=0, metavar="N", help="try N mutants of the virtual gateway, and play no faults")
    add("--mutants-seed", type=int, default=1, metavar="N", help="which mutants chance chooses (1)")
    add("--list", action="store_true", help="the faults, what each breaks, and what is predicted of it")
    add("--json", action="store_true", help="the account as JSON; progress goes to stderr")
    command.set_defaults(run=prove)


def prove(arguments: argparse.Namespace) -> int:
    from harness.faults import FAULTS

    unknown = set(arguments.fault) - set(FAULTS)
    if unknown:
        raise UsageError(f"there is no fault {', '.join(sorted(unknown))}", cure="natstorm prove --list")
    chosen = [name for name in arguments.fault or FAULTS if arguments.world in (None, world_of(FAULTS[name].box))]
    if not chosen:
        raise UsageError(f"none of these faults is of the world {arguments.world}", cure="leave --world out")
    clean = arguments.clean if arguments.clean is not None else 1 if arguments.fault else CLEAN_RUNS
    if arguments.jobs < 1 or clean < 0 or arguments.mutants < 0:
        raise UsageError("--jobs takes a number from 1, --clean and --mutants one from 0")
    behaviours = load_catalogue(SUITES / "behaviours")
    predicted = told.predictions(FAULTS, behaviours)
    explained = told.explanations(FAULTS, behaviours)
    if arguments.list:
        for fault in (FAULTS[name] for name in chosen):
            guess = predicted.get(fault.name)
            print(f"{fault.name}  ({fault.box})\n    {fault.breaks}")
            print(f"    predicted red: {', '.join(sorted(guess.red)) if guess else 'nothing predicted yet'}")
        return 0
    say = _speaker(sys.stderr if arguments.json else sys.stdout)
    if arguments.mutants:
        return _mutants(arguments, say)
    if arguments.fresh:
        LEDGER.unlink(missing_ok=True)
    ledger = Ledger(LEDGER, fingerprint(ROOT))
    mutants = tally(Records())
    whole = not arguments.fault and arguments.world is None
    if whole and mutants.tried < LEAST_MUTANTS:
        say(f"{mutants.tried} mutants were tried of this code, and a proof counts {LEAST_MUTANTS}: {typed('prove --mutants 120')}")
    broken = [FAULTS[name] for name in chosen]
    worlds = worlds_of(fault.box for fault in broken)
    wanted = [Run(CLEAN, seed, world) for world in worlds for seed in range(1, clean + 1)]
    wanted += map(run_of, broken)
    _play_all([one for one in wanted if ledger.of(one.fault, one.seed, one.world) is None], ledger, arguments.jobs, say)
    spared = told.unbroken(behaviours)
    found = account(broken, ledger, predicted, explained, mutants, whole=whole, unbroken=spared)
    print(json.dumps(found.to_dict(), indent=1) if arguments.json else f"\n{show(found, predicted)}".rstrip())
    return _status(found)


def _status(found: Account) -> int:
    return 1 if found.gaps else 0


def _mutants(arguments: argparse.Namespace, say: Callable[[str], None]) -> int:
    if arguments.fresh:
        KEPT.unlink(missing_ok=True)
    found = hunt(arguments.mutants, arguments.mutants_seed, arguments.jobs, Records(), say)
    if arguments.json:
        print(json.dumps({"mutants": found.tried, "mutants_survived": found.left, "survivors": found.survived}, indent=1))
    else:
        print("".join(f"\n{name}\n    {why or 'UNEXPLAINED'}" for name, why in (found.survived or {}).items()))
    return _mutants_status(found)


def _mutants_status(found: Mutants) -> int:
    few = found.left <= MUTANTS_LEFT * found.tried
    return 0 if few and all((found.survived or {}).values()) else 1


def _play_all(wanted: Sequence[Run], ledger: Ledger, jobs: int, say: Callable[[str], None]) -> None:
    if not wanted:
        say("everything was played before; --fresh plays it anew")
        return
    say(f"{len(wanted)} runs to play, {len(ledger.played)} are there already, {jobs} at once")
    for number, played in enumerate(_finished(wanted, ledger, jobs), 1):
        ledger.add(played)
        red = sorted(behaviour for behaviour, colour in seen(played.outcomes).items() if colour == RED)
        name = Run(played.fault, played.seed, played.world).name
        say(f"[{number}/{len(wanted)}] {name}: {', '.join(red) or 'all green'} ({played.took:.0f} s)")


def _finished(wanted: Sequence[Run], ledger: Ledger, jobs: int) -> Iterator[Played]:
    """The runs in the order in which they end. Where one cannot be played, those that have not begun are given up."""
    with ThreadPoolExecutor(jobs) as pool:
        futures: list[Future[Played]] = [pool.submit(play, run, ledger.fingerprint) for run in wanted]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _speaker(stream: Any) -> Callable[[str], None]:
    return lambda line: print(line, file=stream, flush=True)
