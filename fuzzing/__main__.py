"""`make fuzz`: hostile datagrams against every core and the virtual gateway's sockets.

Exit status 0: all were thrown, and nothing was found; 1: something was; 2: not all were thrown (time was
up, it was interrupted, or this machine cannot carry out a target).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

from fuzzing import findings, life, memory
from fuzzing.crew import ORDER, Crew, Order, Report
from fuzzing.targets import SOCKETS, TARGETS, seed_of

EVERY_S = 15.0
"""How often progress is told."""


class Campaign:
    """One run: what is still to throw, and what came of what was."""

    def __init__(self, seed: int, datagrams: int, names: list[str], folder: Path) -> None:
        self.seed, self.datagrams, self.folder = seed, datagrams, folder
        self.began = time.monotonic()
        whole = sum(TARGETS[name].share for name in names)
        self.left = {name: round(datagrams * TARGETS[name].share / whole) for name in names}
        self.planned = dict(self.left)
        self.lives: Counter[str] = Counter()
        self.thrown: Counter[str] = Counter()
        self.seconds: dict[str, float] = defaultdict(float)
        self.slowest: dict[str, float] = defaultdict(float)
        self.weight: dict[str, int] = defaultdict(int)
        self.found: dict[str, findings.Finding] = {}
        self.times: Counter[str] = Counter()
        self.samples: dict[object, list[memory.Sample]] = defaultdict(list)
        self.cannot: dict[str, str] = {}
        self.notes: dict[str, object] = {}
        self.sockets_busy = False

    def next(self) -> Order | None:
        """Of the target that is furthest behind."""
        ready = [name for name, left in self.left.items() if left > 0 and not (name == SOCKETS and self.sockets_busy)]
        if not ready:
            return None
        name = max(ready, key=lambda one: self.left[one] / self.planned[one])
        kind = TARGETS[name].life
        size = self.left[name] if kind is None else min(self.left[name], max(ORDER, kind.shots))
        order = Order(name, self.seed, self.lives[name], size, frozenset(self.found))
        self.left[name] -= size
        # The number of an order's lives is known afterwards; the next ones keep clear of it in any case.
        self.lives[name] += size
        self.sockets_busy = self.sockets_busy or name == SOCKETS
        return order

    def hear(self, process: int, report: Report) -> None:
        name = report.order.target
        if name == SOCKETS:
            self.sockets_busy = False
        if report.cannot is not None:
            self.cannot[name] = report.cannot
            self.left[name] = 0
            return
        self.thrown[name] += report.thrown
        self.seconds[name] += report.seconds
        self.slowest[name] = max(self.slowest[name], report.slowest)
        self.weight[name] = max(self.weight[name], report.weight)
        if report.notes:
            self.notes[name] = report.notes
        if report.sample is not None:
            self.samples[SOCKETS if name == SOCKETS else process].append(report.sample)
        for one in report.findings:
            self.times[one.signature] += 1
            if one.signature not in self.found:
                self.found[one.signature] = one
                path = findings.write(one, self.folder)
                print(f"FOUND in {one.target}, life {one.life}, datagram {one.number}: {one.signature}", flush=True)
                print(f"    play it again: python -m fuzzing --replay {path}", flush=True)
                print(
                    f"    or from its seed: python -m fuzzing --target {one.target} --seed {one.seed} --life {one.life}", flush=True
                )

    def progress(self) -> str:
        done, spent = sum(self.thrown.values()), time.monotonic() - self.began
        wanted = sum(number for name, number in self.planned.items() if name not in self.cannot)
        rate = done / spent if spent else 0.0
        eta = (wanted - done) / rate if rate else 0.0
        return f"{done:,} of {wanted:,} datagrams, {rate:,.0f}/s, {eta / 60:.0f} min to go, {len(self.found)} found"

    def growths(self) -> dict[str, memory.Growth]:
        return {str(process): memory.growth(samples) for process, samples in self.samples.items() if len(samples) > 3}

    @property
    def complete(self) -> bool:
        """Whether every target got all that was planned for it."""
        return not self.cannot and all(self.thrown[name] >= number for name, number in self.planned.items())

    def summary(self) -> int:
        spent = time.monotonic() - self.began
        print(f"\n{'target':12}{'datagrams':>12}{'per CPU s':>11}{'slowest ms':>12}{'most held kB':>14}")
        for name in self.planned:
            if name in self.cannot:
                print(f"{name:12}  not done: {self.cannot[name]}")
                continue
            rate = self.thrown[name] / self.seconds[name] if self.seconds[name] else 0.0
            held = self.weight[name] / 1024
            print(f"{name:12}{self.thrown[name]:12,}{rate:11,.0f}{self.slowest[name] * 1e3:12.1f}{held:14,.0f}")
        total = sum(self.thrown.values())
        print(f"{'all':12}{total:12,}   in {spent:.0f} s, {total / spent:,.0f}/s; seed {self.seed}")
        for name, note in self.notes.items():
            print(f"{name}: {json.dumps(note)}")
        growths = self.growths()
        for process, grown in growths.items():
            told = "flat" if grown.flat else "GROWS"
            print(f"memory of {process}: {grown.resident:+.3f} bytes and {grown.objects:+.5f} objects a datagram: {told}")
        if not growths:
            print("memory: too few samples to tell")
        for signature, one in self.found.items():
            print(f"\nFOUND {self.times[signature]} times or more: {signature}\n{self.folder / one.name}.json\n{one.story}")
        grows = any(not one.flat for one in growths.values())
        if self.found or grows:
            return 1
        if self.complete:
            print("nothing was found")
            return 0
        short = (f"{name} {self.thrown[name]:,} of {many:,}" for name, many in self.planned.items() if self.thrown[name] < many)
        print(f"NOT COMPLETE: {', '.join(short)}; what was thrown did no harm")
        return 2


def run(campaign: Campaign, jobs: int, minutes: float) -> int:
    until, told = campaign.began + minutes * 60, campaign.began
    try:
        with Crew(jobs) as crew:
            while True:
                while crew.idle and time.monotonic() < until and (order := campaign.next()) is not None:
                    crew.give(order)
                if not crew.busy:
                    break
                for process, report in crew.reports(1.0):
                    campaign.hear(process, report)
                if time.monotonic() - told > EVERY_S:
                    told = time.monotonic()
                    print(campaign.progress(), flush=True)
    except KeyboardInterrupt:
        print("\ninterrupted", flush=True)
    return campaign.summary()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzzing", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--datagrams", type=int, default=10_000_000, help="how many (default: ten million)")
    parser.add_argument("--minutes", type=float, default=60.0, help="after which no more are thrown (default: 60)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed throws the same datagrams (default: 1)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--target", action="append", choices=TARGETS, help="only this one; may come more than once")
    parser.add_argument("--life", type=int, help="with one --target and --seed: this one life only")
    parser.add_argument("--replay", metavar="FILE", type=Path, help="the datagrams of something found")
    parser.add_argument(
        "--findings", metavar="FOLDER", type=Path, default=Path("reports/fuzz"), help="where they go (reports/fuzz)"
    )
    given = parser.parse_args()
    if given.replay is not None or given.life is not None:
        return again(parser, given)
    return run(Campaign(given.seed, given.datagrams, given.target or list(TARGETS), given.findings), given.jobs, given.minutes)


def again(parser: argparse.ArgumentParser, given: argparse.Namespace) -> int:
    """One life, or the datagrams of a file; and what came of it."""
    life.watch()
    if given.replay is not None:
        failure = findings.replay(given.replay)
    else:
        kind = TARGETS[given.target[0]].life if given.target and len(given.target) == 1 else None
        if kind is None:
            parser.error("--life goes with one --target that lives in this process")
        failure = life.live(kind, seed_of(given.seed, given.target[0], given.life)).failure
    print("nothing is wrong with it" if failure is None else f"{failure.signature}, datagram {failure.number}\n{failure.story}")
    return int(failure is not None)


if __name__ == "__main__":
    sys.exit(main())
