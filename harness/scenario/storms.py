"""Clients that arrive faster than one by one: a storm in open loop, and the search for the rate that is still borne."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.model import RecordKind
from harness.scenario.script import Script
from harness.storm import plan as plans
from harness.storm import ramp
from harness.storm.engine import Driven, drive
from harness.storm.meter import Measured, measure
from harness.storm.ramp import Tried
from harness.storm.shape import Shape
from harness.verdict.survival import ANSWER_WITHIN_S, SILENCE_MARKS

if TYPE_CHECKING:
    from harness.clients.client import Client
    from harness.scenario.play import Play

CLIENTS = 25
RATE = 10.0
HOLD_S = 12.0
MARKS_PER_S = 0.5
"""Hundreds of clients send it. In HOLD_S each sends six: see `calm_s`."""

TELL_S = 2.0
ALIVE_MARKS = 2

CROWD = 500
CROWD_RATE = 100.0
CROWD_MARKS_PER_S = 0.1
CROWD_HOLD_S = 1.0

LEAVE_RATE = 25.0
LEAVE_S = 30.0


@dataclass(frozen=True, slots=True)
class Storm:
    """`measured` over arrivals and hold together, `driven` how the generator kept to its plan, `alive` how many were up at the end
    of the hold and had been answered within the time of its last ALIVE_MARKS marks."""

    measured: Measured
    driven: Driven
    alive: int

    def sentence(self) -> str:
        m = self.measured
        failed = "".join(f", {number} failed in {stage}" for stage, number in m.failed.items())
        undecided = f", {m.waiting} not decided" if m.waiting else ""
        return (
            f"{m.arrivals} arrived, {m.up} came up{failed}{undecided}; {len(m.lost)} were lost, {self.alive} are alive at the end; "
            f"the generator was {self.driven.worst_s:.3f} s late at most"
        )

    def shortfall(self, clients: int) -> str:
        """What is amiss where not all of `clients` came up and were alive at the end, in a sentence; "" where they did."""
        if self.measured.up < clients:
            return f"{clients - self.measured.up} of {clients} clients did not come up"
        if self.alive < clients:
            return f"{clients - self.alive} of {clients} clients were not alive at the end"
        return ""

    def to_dict(self) -> dict[str, Any]:
        late = {"worst_s": round(self.driven.worst_s, 6), "arrivals": self.driven.over(ramp.LATE_S), "beyond_s": ramp.LATE_S}
        return {**self.measured.to_dict(), "alive": self.alive, "late": late}


def calm_s(marks_per_s: float) -> float:
    """How long traffic has to flow once the last is up until it shows who is cut off: the marks that make a silence, and the time
    for an answer to the last of them."""
    return SILENCE_MARKS / marks_per_s + ANSWER_WITHIN_S


async def storm(play: Play, shape: Shape, hold_s: float) -> Storm:
    """All clients arrive by that shape, as the step "storm", each arrival a step "connect" within it; then traffic on all of them.

    The step's detail holds how many arrived at which rate, how many came up, the others by the stage that failed, and how many
    were dialled more than half a second late; the last is the generator's fault, and makes the run inconclusive.
    """
    since = len(play.fleet.journal.records)
    names = [plan.name for plan in play.plans]
    async with play.step("storm", arrivals=len(names), rate=shape.rate, shape=str(shape)) as detail:
        driven = await _arrive(play, plans.storm(names, shape))
        measured = measure(play.fleet.journal.records[since:])
        failed = dict(measured.failed) | ({"not decided": measured.waiting} if measured.waiting else {})
        detail.update(up=measured.up, failed=failed, late=driven.over(ramp.LATE_S), latest_s=round(driven.worst_s, 3))
    await play.hold(hold_s)
    recently = play.clock.epoch(play.clock.monotonic()) - ALIVE_MARKS / play.marks_per_s
    alive = sum(_answered_since(play.fleet[name], recently) for name in names)
    return Storm(measure(play.fleet.journal.records[since:]), driven, alive)


def _answered_since(client: Client, moment: float) -> bool:
    answered = client.last.get(RecordKind.MARK_ANSWERED)
    return client.up and answered is not None and answered.t >= moment


async def climb(play: Play, first: float, highest: float, tell: Callable[[Tried], None]) -> tuple[Tried, ...]:
    """The search for the highest rate that is sustained (harness/storm/ramp.py): step by step all arrive and all leave."""
    tried: tuple[Tried, ...] = ()
    while (rate := ramp.next_rate(tried, first=first, highest=highest)) is not None:
        names = [plan.name for plan in play.plans[: ramp.arrivals_of(rate, len(play.plans))]]
        tried += (await _try(play, rate, names),)
        tell(tried[-1])
    return tried


async def _try(play: Play, rate: float, names: Sequence[str]) -> Tried:
    records = play.fleet.journal.records
    since = len(records)
    async with play.step("ramp", arrivals=len(names), rate=rate) as detail:
        driven = await _arrive(play, plans.storm(names, Shape(rate=rate)), patience_s=2 * ramp.WITHIN_S)
        since_calm = play.clock.epoch(play.clock.monotonic())
        await play.fleet.until(lambda fleet: False, calm_s(play.marks_per_s))
        silent = [name for name in names if not _answered_since(play.fleet[name], since_calm)]
        behind = [str(record.data["reason"]) for record in records[since:] if record.kind is RecordKind.IMPAIRED]
        tried = ramp.judge(rate, measure(records[since:]), driven.worst_s, behind, silent=silent)
        detail.update(outcome=tried.outcome.value, because=tried.because)
    await _leave(play, names)
    return tried


async def _arrive(play: Play, plan: plans.Plan, patience_s: float | None = None) -> Driven:
    """Until each has come up or has failed, or its patience is over."""
    telling = asyncio.create_task(_tell(play, len(plan)))

    def dial(move: plans.Move) -> None:
        tasks.create_task(play.dial(move.client, patience_s=patience_s, told=False))

    try:
        async with asyncio.TaskGroup() as tasks:
            return await drive(play.fleet, plan, dial)
    finally:
        telling.cancel()


async def _tell(play: Play, arrivals: int) -> None:
    while True:
        await asyncio.sleep(TELL_S)
        clients = play.fleet.clients.values()
        told = sum(client.connected for client in clients), sum(client.up for client in clients)
        play.bus.note(f"{told[1]} of {arrivals} are up, {told[0] - told[1]} on their way")


async def _leave(play: Play, names: Sequence[str]) -> None:
    """All hang up, as Windows does; whoever has not gone after LEAVE_S is taken away."""
    clients = [play.fleet[name] for name in names]
    await play.come_to_rest(*names)

    def hang_up(move: plans.Move) -> None:
        if play.fleet[move.client].up:
            play.fleet[move.client].disconnect()

    await drive(play.fleet, plans.departure(names, Shape(rate=LEAVE_RATE)), hang_up)
    for client in clients:
        if client.connected and client.account.stage is None:
            client.vanish()
    await play.fleet.until(lambda fleet: not any(client.connected for client in clients), LEAVE_S)
    for client in clients:
        if client.connected:
            client.vanish()


async def usual(play: Play) -> None:
    await storm(play, Shape(rate=RATE), HOLD_S)


async def crowd(play: Play) -> None:
    """All come, for five seconds, and are there together for a moment. It takes minutes, so that --all-variants alone plays it."""
    await storm(play, Shape(rate=CROWD_RATE), CROWD_HOLD_S)


STORMS = (
    Script(
        "crowd",
        f"{CROWD} clients behind one NAT, so that the gateway has {2 * CROWD} ESP SAs",
        CROWD,
        crowd,
        time="virtual",
        personality="modp1024",  # what is asked is who is found, and not how keys are agreed
        marks_per_s=CROWD_MARKS_PER_S,
    ),
    Script(
        "storm",
        f"{CLIENTS} clients arrive at {RATE:g} a second, whatever becomes of those before",
        CLIENTS,
        usual,
        any_number=True,
        marks_per_s=MARKS_PER_S,
        arrivals_per_s=RATE,
    ),
)
