"""Simulated time: it jumps, it keeps order, it refuses the world outside, and it says who waits in vain."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from harness.errors import LabError
from harness.simulation import loop as simulated
from harness.simulation.loop import EPOCH, SimulatedLoop

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    with SimulatedLoop.runner() as runner:
        return runner.run(coroutine)


def test_a_day_passes_without_sleeping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("somebody sleeps"))

    async def day() -> tuple[float, int]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        for _ in range(24):
            await asyncio.sleep(3600)
        return loop.time(), loop.nanoseconds()

    assert run(day()) == (86400.0, (EPOCH + 86400) * 10**9)


def test_timers_fire_at_their_moment_and_in_order() -> None:
    fired: list[tuple[str, float]] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        for name, delay in (("late", 3.0), ("early", 0.000001), ("middle", 1.5)):
            loop.call_later(delay, lambda name=name: fired.append((name, loop.time())))
        loop.call_at(2.0, lambda: fired.append(("at", loop.time())))
        loop.call_later(1.0, lambda: fired.append(("never", 0))).cancel()
        await asyncio.sleep(5)

    run(scenario())
    assert fired == [("early", 0.000001), ("middle", 1.5), ("at", 2.0), ("late", 3.0)]


def test_what_asyncio_offers_for_waiting_works() -> None:
    async def scenario() -> list[str]:
        loop, told = asyncio.get_running_loop(), []
        barrier, event = asyncio.Barrier(3), asyncio.Event()

        async def one(name: str, delay: float) -> str:
            await asyncio.sleep(delay)
            await barrier.wait()
            told.append(f"{name} {loop.time():g}")
            return name

        assert await asyncio.gather(one("a", 1), one("b", 2), one("c", 3)) == ["a", "b", "c"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(7):
                await event.wait()
        told.append(f"timeout {loop.time():g}")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.sleep(5))
            loop.call_later(1, event.set)
            await event.wait()
            told.append(f"event {loop.time():g}")
        told.append(f"group {loop.time():g}")
        return told

    assert run(scenario()) == ["c 3", "a 3", "b 3", "timeout 10", "event 11", "group 15"]


def test_time_goes_on_from_one_run_to_the_next() -> None:
    with SimulatedLoop.runner() as runner:
        runner.run(asyncio.sleep(10))
        runner.run(asyncio.sleep(5))
        assert runner.get_loop().time() == 15


def test_who_waits_in_vain_is_named() -> None:
    async def forgotten() -> None:
        await asyncio.get_running_loop().create_future()

    async def scenario() -> None:
        await asyncio.create_task(forgotten(), name="the forgotten one")

    with pytest.raises(LabError, match=r"all wait for each other.*the forgotten one \(.*forgotten\) at .*test_loop\.py:\d+"):
        run(scenario())


def test_a_moment_that_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated, "STANDSTILL", 1000)

    async def busy() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(LabError, match=r"stands still at 0\.0.*busy"):
        run(busy())


def test_a_callback_that_raises_ends_the_run(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        asyncio.get_running_loop().call_later(3, lambda: {}["nothing"])
        await asyncio.sleep(10)

    with pytest.raises(LabError, match=r"a defect at 3\.0.*KeyError\('nothing'\)"):
        run(scenario())
    assert "Exception in callback" in caplog.text


@pytest.mark.parametrize(
    "ask",
    [
        lambda loop: loop.add_reader(0, print),
        lambda loop: loop.run_in_executor(None, print),
        lambda loop: loop.subprocess_exec(asyncio.SubprocessProtocol, "true"),
        lambda loop: loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)),
        lambda loop: loop.create_connection(asyncio.Protocol, "127.0.0.1", 1),
        lambda loop: loop.getaddrinfo("localhost", 1),
    ],
)
def test_the_world_outside_is_refused(ask: Any) -> None:
    async def scenario() -> None:
        await ask(asyncio.get_running_loop())

    with pytest.raises(LabError, match="live in another time"):
        run(scenario())


def test_every_way_to_real_io_is_refused() -> None:
    """Whatever AbstractEventLoop offers and this loop has of its own or inherits is either about time and tasks, or refused."""
    harmless = {
        "call_at", "call_exception_handler", "call_later", "call_soon", "call_soon_threadsafe", "close", "create_future",
        "create_task", "default_exception_handler", "get_debug", "get_exception_handler", "get_task_factory", "is_closed",
        "is_running", "run_forever", "run_until_complete", "set_debug", "set_default_executor", "set_exception_handler",
        "set_task_factory", "shutdown_asyncgens", "shutdown_default_executor", "stop", "time",
    }  # fmt: skip
    offered = {name for name in vars(asyncio.AbstractEventLoop) if not name.startswith("_")}
    refused = {name for name in offered if getattr(SimulatedLoop, name) is SimulatedLoop._refuse}
    assert offered - refused == harmless
