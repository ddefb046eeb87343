"""Clients that come and go as chance will have it, for hours: who does what when is drawn before the first of them dials."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from harness.scenario.script import WITHOUT_KEEPALIVES, Script
from harness.storm import plan as plans
from harness.storm.engine import drive
from harness.storm.plan import Habits, Move, Turn

if TYPE_CHECKING:
    from harness.clients.client import Client
    from harness.scenario.play import Play

HOUR_S = 3600.0
SEED = 46


async def churn(play: Play, seconds: float, seed: int, habits: Habits) -> None:
    """Carries out a plan, as the step "churn", each joining a step "connect" within it, and takes a view every hour.

    The detail counts the turns that were taken; a client that is not up when it is to leave, because its set-up failed or its
    session ended, has none to take ("not-up").
    """
    moves = plans.churn([plan.name for plan in play.plans], seconds, seed, habits)
    taken: Counter[str] = Counter()
    began = play.clock.monotonic()
    async with play.step("churn", seconds=seconds, seed=seed) as detail:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_look(play, began, seconds))

            def take(move: Move) -> None:
                client = play.fleet[move.client]
                if move.turn is Turn.JOIN:
                    taken["still-here" if client.connected else "joins"] += 1
                    if not client.connected:
                        tasks.create_task(play.dial(move.client))
                elif not client.up:
                    taken["not-up"] += 1
                elif move.turn is Turn.VANISH:
                    taken["vanishings"] += 1
                    client.vanish()
                else:
                    taken["leaves"] += 1
                    tasks.create_task(_leave(play, client))

            await drive(play.fleet, moves, take)
            await asyncio.sleep(began + seconds - play.clock.monotonic())
        detail.update(taken)


async def _look(play: Play, began: float, seconds: float) -> None:
    for number in range(1, int(seconds // HOUR_S) + 1):
        await asyncio.sleep(began + number * HOUR_S - play.clock.monotonic())
        await play.view(f"churn:{number}")


async def _leave(play: Play, client: Client) -> None:
    """Not before the answers under way are here: one that crosses the good-bye would look like a loss."""
    life = client.life
    await play.come_to_rest(client.name)
    if client.up and client.life == life:
        client.disconnect()


async def hour(play: Play) -> None:
    await churn(play, HOUR_S, SEED, Habits(stay_s=600.0, away_s=180.0))


async def day(play: Play) -> None:
    await churn(play, 24 * HOUR_S, SEED, Habits())


CHURNS = (
    Script(
        "churn",
        "an hour in which 12 clients come and go as chance will have it, with SAs of 600 s",
        12,
        hour,
        any_number=True,
        time="virtual",
        gateway={"esp_lifetime_s": 600},
        marks_per_s=1 / 30,
        captures=WITHOUT_KEEPALIVES,
        overrun_s=2 * HOUR_S,
    ),
    Script(
        "churn-day",
        "a day of that with 100 clients",
        100,
        day,
        any_number=True,
        time="virtual",
        marks_per_s=1 / 120,
        captures=WITHOUT_KEEPALIVES,
        overrun_s=25 * HOUR_S,
    ),
)
