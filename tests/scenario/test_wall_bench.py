"""What a bench in the time of the wall leaves where a scenario does not come to its end."""

import asyncio
from types import SimpleNamespace

import pytest

from harness.errors import CaptureError, LabError
from harness.model.steps import StepBus
from harness.scenario.bench import Gathered
from harness.scenario.field_bench import FieldBench
from harness.scenario.wall_bench import WallBench


class Node:
    def __init__(self, fails):
        self.fails = fails
        self.running = False
        self.driver = self

    async def start_witnesses(self):
        self.running = True
        if self.fails:
            raise CaptureError("no witness")

    async def stop_witnesses(self, folder):
        self.running = False
        if self.fails:
            raise CaptureError("it was never started")
        return []

    async def logs(self):
        return {}

    async def events(self):
        return ()


class Bench(WallBench):
    node = nat = clients = None

    def __init__(self, node):
        self.node = node

    async def fresh(self, variant, script): ...

    def captures(self, folder):
        return ()

    def close(self): ...

    async def rest(self): ...


@pytest.mark.parametrize("ends_by", [LabError, asyncio.CancelledError, KeyError, None])
def test_its_witnesses_are_ended_whatever_ends_the_scenario(tmp_path, ends_by):
    node = Node(fails=False)

    async def play():
        async with Bench(node).witnesses(tmp_path, Gathered([])):
            assert node.running
            if ends_by is not None:
                raise ends_by(*("x", "y")[: 2 if ends_by is LabError else 1])

    if ends_by is None:
        asyncio.run(play())
    else:
        with pytest.raises(ends_by):
            asyncio.run(play())
    assert not node.running


def test_witnesses_that_do_not_begin_are_ended_too_and_their_own_words_are_heard(tmp_path):
    node = Node(fails=True)

    async def play():
        async with Bench(node).witnesses(tmp_path, Gathered([])):
            raise AssertionError("it must not begin")

    with pytest.raises(CaptureError, match="no witness"):
        asyncio.run(play())
    assert not node.running


class Lab:
    def __init__(self, testbed, tell):
        self.lost = None
        self.downs = 0

    async def up(self, look):
        raise KeyboardInterrupt

    async def down(self):
        self.downs += 1


def test_a_lab_that_was_left_half_up_is_taken_down_and_a_lost_lock_is_trouble(monkeypatch):
    monkeypatch.setattr("harness.scenario.field_bench.FieldLab", Lab)
    loop = asyncio.Runner()
    bench = FieldBench(SimpleNamespace(file="x.yaml"), StepBus(lambda: 0.0), loop)
    bench.close()
    assert bench.lab.downs == 0  # nothing was begun
    with pytest.raises(KeyboardInterrupt):
        loop.run(bench.fresh("demux", SimpleNamespace(nat=None)))
    bench.close()
    assert bench.lab.downs == 1
    assert bench.trouble() == []
    bench.lab.lost = LabError("keep the lock on nat", "it was lost")
    assert bench.trouble() == ["lab: keep the lock on nat: it was lost"]
    loop.close()


def test_a_bench_that_cannot_cut_the_link_says_how_it_is_done_by_hand():
    with pytest.raises(LabError, match=r"cut the link between NAT and gateway[\s\S]*natstorm lab link down FILE NAME --during-run"):
        _ = Bench(Node(fails=False)).link
