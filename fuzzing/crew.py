"""The processes that live lives, an order of some thousand datagrams at a time, and report after each."""

from __future__ import annotations

import gc
import multiprocessing as mp
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from fuzzing import life, memory, sockets
from fuzzing.findings import Finding, finding
from fuzzing.targets import SOCKETS, TARGETS, seed_of

ORDER = 12_000
"""Datagrams of one order, or one life where that bears more."""
PATIENCE_S = 240.0
"""After which an order is taken for a hang in code that no signal interrupts."""


@dataclass(frozen=True, slots=True)
class Order:
    """Lives from number `first` on, until `datagrams` are thrown. `known`: signatures that need not be made short again."""

    target: str
    seed: int
    first: int
    datagrams: int
    known: frozenset[str] = frozenset()


@dataclass(slots=True)
class Report:
    """What came of an order. `seconds` of CPU time, `slowest` of one datagram's; `cannot`: why this machine cannot carry it out."""

    order: Order
    lives: int = 0
    thrown: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    weight: int = 0
    findings: list[Finding] = field(default_factory=list)
    again: int = 0
    sample: memory.Sample | None = None
    cannot: str | None = None
    notes: dict[str, Any] = field(default_factory=dict)


def carry_out(order: Order) -> Report:
    report = Report(order)
    began = time.process_time()
    kind = TARGETS[order.target].life
    if kind is None:
        sockets.carry_out(order, report)
        return report
    known = set(order.known)
    while report.thrown < order.datagrams:
        number = order.first + report.lives
        tally = life.live(kind, seed_of(order.seed, order.target, number), most=order.datagrams - report.thrown)
        report.lives += 1
        report.thrown += max(1, tally.thrown)
        report.slowest, report.weight = max(report.slowest, tally.slowest), max(report.weight, tally.weight)
        if tally.failure is None:
            continue
        if tally.failure.signature in known:
            report.again += 1
            continue
        known.add(tally.failure.signature)
        found = _confirmed(order, number, kind, tally.failure)
        if found is not None:
            report.findings.append(found)
    report.seconds = time.process_time() - began
    return report


def _confirmed(order: Order, number: int, kind: type[life.Life], failure: life.Failure) -> Finding | None:
    """A datagram may have cost more than its budget because the machine, or the garbage collector, had other things to do: that
    counts if it happens again."""
    if "CPU time" in failure.signature or failure.signature == "Hang":
        again = life.live(kind, seed_of(order.seed, order.target, number), failure.shots).failure
        if again is None or again.signature != failure.signature:
            return None
    return finding(order.target, order.seed, number, failure)


def _work(line: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's affair
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # which ends a lab of its own, too
    life.watch()
    gc.collect()
    gc.freeze()
    thrown = 0
    while True:
        order = line.recv()
        if order is None:
            return
        report = carry_out(order)
        thrown += report.thrown if order.target != SOCKETS else 0
        if order.target != SOCKETS:
            report.sample = memory.sample(thrown)
        line.send(report)


class Crew:
    """`jobs` processes. A context manager: they end with it."""

    def __init__(self, jobs: int) -> None:
        self._context = mp.get_context("fork")
        self._busy: dict[Connection, tuple[Order, float]] = {}
        self._idle: list[Connection] = []
        self._processes: dict[Connection, mp.process.BaseProcess] = {}
        for _ in range(jobs):
            self._hire()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *exception: object) -> None:
        for line, process in self._processes.items():
            if line in self._busy:
                process.terminate()
            else:
                line.send(None)
        for line, process in self._processes.items():
            process.join(10.0)
            if process.is_alive():
                process.kill()
            line.close()

    def _hire(self) -> None:
        ours, its = self._context.Pipe()
        process = self._context.Process(target=_work, args=(its,), daemon=True)
        process.start()
        its.close()
        self._processes[ours] = process
        self._idle.append(ours)

    @property
    def idle(self) -> bool:
        return bool(self._idle)

    @property
    def busy(self) -> bool:
        return bool(self._busy)

    def give(self, order: Order) -> None:
        line = self._idle.pop()
        line.send(order)
        self._busy[line] = order, time.monotonic()

    def reports(self, seconds: float) -> Iterator[tuple[int, Report]]:
        """(process ID, its report) of whoever has finished within that time; of whoever never will, a Hang."""
        for line in wait(list(self._busy), seconds):
            assert isinstance(line, Connection)
            order, _ = self._busy.pop(line)
            process = self._processes[line]
            try:
                report = line.recv()
            except EOFError:
                yield process.pid or 0, self._lost(line, order, "the process died")
                continue
            self._idle.append(line)
            yield process.pid or 0, report
        for line, (order, since) in list(self._busy.items()):
            if time.monotonic() - since > PATIENCE_S and order.target != SOCKETS:
                del self._busy[line]
                self._processes[line].kill()
                yield (
                    self._processes[line].pid or 0,
                    self._lost(line, order, f"not done after {PATIENCE_S:.0f} s, and deaf to signals"),
                )

    def _lost(self, line: Connection, order: Order, story: str) -> Report:
        self._processes.pop(line).join(5.0)
        line.close()
        self._hire()
        found = Finding(order.target, order.seed, order.first, 0, "process lost", story, ())
        return Report(order, thrown=order.datagrams, findings=[found])
