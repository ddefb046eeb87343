from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path

import pytest

from harness.model import Secret
from harness.model.steps import StepBus, StepChange, StepEvent
from harness.report.redact import Redactor
from harness.report.steps import StepRecorder


def bus() -> StepBus:
    ticks = itertools.count(100)
    return StepBus(lambda: float(next(ticks)))


def test_steps_nest_and_carry_times_notes_and_files(tmp_path: Path) -> None:
    steps = bus()
    recorder = StepRecorder(Redactor([Secret("hushhush")]), tmp_path / "steps.jsonl")
    steps.subscribe(recorder)
    with steps.step("lab up"):
        with steps.step("gateway boots", client="c1"):
            steps.note("said hushhush")
        steps.attach("console", "/x/console.log")
    steps.attach("loose", "/x/loose")
    recorder.close()
    (root,) = recorder.roots
    assert (root.name, root.began, root.ended) == ("lab up", 100, 105)
    (child,) = root.children
    assert (child.name, child.began, child.ended, child.detail) == ("gateway boots", 101, 103, {"client": "c1"})
    assert child.children[0].name == "said ***"
    assert root.attachments == [("console", "/x/console.log")]
    assert recorder.attachments == [("loose", "/x/loose")]
    lines = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    assert [line["change"] for line in lines] == ["began", "began", "noted", "ended", "attached", "ended", "attached"]
    assert "hushhush" not in (tmp_path / "steps.jsonl").read_text()


def test_a_step_that_breaks_says_why_and_the_error_goes_on() -> None:
    steps, recorder = bus(), StepRecorder(Redactor())
    steps.subscribe(recorder)
    with pytest.raises(ValueError, match="no tap"), steps.step("lab up"):
        raise ValueError("no tap")
    assert recorder.roots[0].problem == "ValueError: no tap"
    with steps.step("next"):
        pass
    assert [node.name for node in recorder.roots] == ["lab up", "next"]


def test_concurrent_tasks_nest_each_below_their_own_step() -> None:
    steps, recorder = bus(), StepRecorder(Redactor())
    steps.subscribe(recorder)

    async def client(name: str) -> None:
        with steps.step(f"connect {name}"):
            await asyncio.sleep(0)
            with steps.step(f"main mode {name}"):
                await asyncio.sleep(0)

    async def both() -> None:
        with steps.step("storm"):
            await asyncio.gather(client("c1"), client("c2"))

    asyncio.run(both())
    (storm,) = recorder.roots
    assert [node.name for node in storm.children] == ["connect c1", "connect c2"]
    assert [[c.name for c in node.children] for node in storm.children] == [["main mode c1"], ["main mode c2"]]


def test_whoever_unsubscribes_hears_no_more_and_errors_of_subscribers_are_not_kept_quiet() -> None:
    steps = bus()
    heard: list[StepEvent] = []
    stop = steps.subscribe(heard.append)
    steps.note("one")
    stop()
    stop()
    steps.note("two")
    assert [(event.change, event.name) for event in heard] == [(StepChange.NOTED, "one")]

    def broken(event: StepEvent) -> None:
        raise OSError("disk full")

    steps.subscribe(broken)
    with pytest.raises(OSError, match="disk full"):
        steps.note("three")
