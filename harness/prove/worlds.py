"""The two worlds of a proof: what is played in each, on which testbed.

    gateway   our own gateway, NATs and clients (testbeds/virtual.yaml): everything that the suites play there
    routers   virtual IOS routers (testbeds/virtual-ios.yaml): the scripts for routers; for a fault that shows with clients, and
              where nothing is broken, also what they play with the router as a gateway

A fault is played in the world of its box alone; clean runs count by worlds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.programme import DEFAULT_TESTBED
from harness.prove.ledger import GATEWAY
from harness.prove.matrix import BOXES

ROUTERS = "routers"
WORLDS = (GATEWAY, ROUTERS)
TESTBEDS: Mapping[str, Path] = {GATEWAY: DEFAULT_TESTBED, ROUTERS: DEFAULT_TESTBED.with_name("virtual-ios.yaml")}
SCRIPTS_ONLY = ("-m", "routers")
"""Of the suites, for pytest: what scripts for routers are played for."""


class Broken(Protocol):
    """What a proof knows of a fault; `harness.faults.fault.Fault` is the real one. Its box, and `with_clients`, decide where it is
    played."""

    @property
    def name(self) -> str: ...

    @property
    def box(self) -> str: ...

    @property
    def breaks(self) -> str: ...

    @property
    def with_clients(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Run:
    """One that is to be played: `options` are pytest's."""

    fault: str
    seed: int
    world: str
    options: tuple[str, ...] = ()

    @property
    def testbed(self) -> Path:
        return TESTBEDS[self.world]

    @property
    def name(self) -> str:
        if self.fault:
            return self.fault
        return f"clean, seed {self.seed}" + ("" if self.world == GATEWAY else f", {self.world}")


def world_of(box: str) -> str:
    return GATEWAY if box in BOXES else ROUTERS


def worlds_of(boxes: Iterable[str]) -> tuple[str, ...]:
    """Those that these boxes are in, the gateway's first."""
    there = set(map(world_of, boxes))
    return tuple(world for world in WORLDS if world in there)


def run_of(fault: Broken) -> Run:
    world = world_of(fault.box)
    return Run(fault.name, 1, world, SCRIPTS_ONLY if world == ROUTERS and not fault.with_clients else ())
