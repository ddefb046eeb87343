"""What the scripts promise to the verdicts: enough traffic, and enough quiet, to judge by."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from harness.scenario.basics import IDLE_S
from harness.scenario.script import MARKS_PER_S
from harness.scenario.scripts import SCRIPTS
from harness.testbed.load import check
from harness.verdict.floating import KEEPALIVE_S, TIMER_S
from harness.verdict.survival import ANSWER_WITHIN_S, SILENCE_MARKS


@dataclass
class Steps:
    """Stands for a play: takes every step without doing anything."""

    taken: list[tuple[str, Any]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        async def take(argument: Any) -> None:
            self.taken.append((name, argument))

        return take


def steps_of(name: str) -> list[tuple[str, Any]]:
    played = Steps()
    asyncio.run(SCRIPTS[name].run(cast(Any, played)))
    return played.taken


def test_whoever_is_hurt_by_an_ending_is_judged_before_the_next() -> None:
    """Questions of the last ANSWER_WITHIN_S before a client's own end are not judged."""
    between: list[float] = []
    endings = 0
    for name, argument in steps_of("endings"):
        if name in ("vanish", "delete_ipsec", "gateway_close", "client_close"):
            endings += 1
            between.append(0.0)
        elif name == "hold" and between:
            between[-1] += argument
    assert endings == 4
    assert min(between) * MARKS_PER_S >= ANSWER_WITHIN_S * MARKS_PER_S + SILENCE_MARKS


def test_an_idle_client_is_idle_for_long_enough_to_miss_its_keepalive() -> None:
    assert ("idle", IDLE_S) in steps_of("alone")
    assert IDLE_S > KEEPALIVE_S + TIMER_S + 1 / MARKS_PER_S


def test_whatever_a_script_has_otherwise_is_told() -> None:
    testbed = check(Path(__file__).resolve().parents[2] / "testbeds" / "virtual.yaml")
    told = {name: script.differs(testbed, script.clients) for name, script in SCRIPTS.items()}
    assert told["pair"] == ()
    assert told["nat-timeout"] == (
        "the gateway differs from its variant: echo 600.0, hello 600.0", "the NAT is timer-30", "c1: no-keepalive"
    )
    assert told["windows-xp"] == ("every client is windowsxp",)
    assert told["two-nats"] == ("c2 differs from the testbed's clients: site 2, address 10.0.0.2",)
    silent = {name for name, script in SCRIPTS.items() if not told[name] and (script.gateway or script.nat or script.overrides)}
    assert silent == set()
