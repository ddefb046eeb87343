"""A short storm against every target, the same in every run; and that the fuzzer sees what it is to see. `make fuzz` is long."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from enclosed import enclosed

from fuzzing import findings, life, memory, sockets
from fuzzing.__main__ import Campaign, run
from fuzzing.crew import Report
from fuzzing.life import Life, Shot, live
from fuzzing.memory import Sample
from fuzzing.reassembly import ReassemblyLife
from fuzzing.targets import SOCKETS, TARGETS, Target, seed_of
from harness.errors import LabError

DATAGRAMS = 6_000
IN_PROCESS = [name for name, target in TARGETS.items() if target.life is not None]


@pytest.fixture(autouse=True)
def _watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a datagram costs is for `make fuzz` to judge, which looks twice: here others use the machine."""
    monkeypatch.setattr(life, "BUDGET_S", 5.0)
    before = signal.getsignal(signal.SIGVTALRM)
    life.watch()
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


@pytest.mark.parametrize("target", IN_PROCESS)
def test_a_short_storm(target: str) -> None:
    kind = TARGETS[target].life
    assert kind is not None
    thrown = 0
    for number in count():
        tally = live(kind, seed_of(0, target, number), most=DATAGRAMS - thrown)
        assert tally.failure is None, tally.failure.story
        thrown += tally.thrown
        if thrown >= DATAGRAMS:
            break


@pytest.mark.parametrize("target", IN_PROCESS)
def test_a_seed_throws_the_same_again(target: str) -> None:
    kind = TARGETS[target].life
    assert kind is not None
    lives = [kind(seed_of(3, target, 1)) for _ in range(2)]
    for _ in range(40):
        one, other = ([*each.aim()] for each in lives)
        assert one == other
        for each in lives:
            for shot in one:
                each.take(shot)


class Brittle(ReassemblyLife):
    """Raises at datagrams that hold a certain byte, once it has seen another."""

    primed = False

    def take(self, shot: Shot) -> None:
        if b"\x99" in shot.data and self.primed:
            raise IndexError("brittle")
        self.primed = self.primed or b"\x98" in shot.data


class Endless(ReassemblyLife):
    def take(self, shot: Shot) -> None:
        while True:
            pass


class Hoarding(ReassemblyLife):
    weight_limit = 100_000

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self.hoard: list[bytes] = []

    def take(self, shot: Shot) -> None:
        self.hoard.append(shot.data)

    def parts(self) -> list[object]:
        return [self.hoard]


def test_an_exception_is_found_made_short_and_played_again(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setitem(TARGETS, "brittle", Target(Brittle, 1))
    failure = live(Brittle, seed_of(1, "brittle", 0)).failure
    assert failure is not None
    assert failure.signature.startswith("IndexError")
    found = findings.finding("brittle", 1, 0, failure)
    assert len(found.shots) == 2 < len(failure.shots)
    path = findings.write(found, tmp_path)
    assert path.with_suffix(".bin").read_bytes() == found.shots[-1].data
    again = findings.replay(path)
    assert again is not None
    assert again.signature == failure.signature
    written = json.loads(path.read_text())
    written["shots"].pop()
    path.write_text(json.dumps(written))
    assert findings.replay(path) is None


def test_a_hang_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "PATIENCE_S", 0.1)
    failure = live(Endless, "1").failure
    assert failure is not None
    assert failure.signature == "Hang"


def test_a_hoard_is_weighed() -> None:
    failure = live(Hoarding, "1").failure
    assert failure is not None
    assert "holds more than 100000 bytes" in failure.signature


def test_cost_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "BUDGET_S", 0.0)
    failure = live(ReassemblyLife, "1").failure
    assert failure is not None
    assert "CPU time" in failure.signature


def test_growth_is_told_from_noise() -> None:
    def samples(each: float, noise: int) -> list[Sample]:
        return [Sample(n * 100_000, int(50e6 + each * n * 100_000) + noise * (n % 3), None) for n in range(100)]

    assert memory.growth(samples(0.0, 1 << 20)).flat
    assert memory.growth(samples(0.5, 1 << 20)).flat
    assert not memory.growth(samples(8.0, 1 << 20)).flat
    assert memory.growth(samples(0.0, 0)[:2]).flat


def test_a_gateway_that_is_not_left_alone_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its replay window taken away, a stranger's copy of a bystander's packet is taken for the bystander's."""
    from harness.wire.esp.replay import ReplayWindow

    monkeypatch.setattr(ReplayWindow, "check", lambda self, sequence: None)
    monkeypatch.setattr(ReplayWindow, "mark", lambda self, sequence: setattr(self, "highest", sequence))
    kind: type[Life] | None = TARGETS["gateway"].life
    assert kind is not None
    failures = [live(kind, seed_of(0, "gateway", number)).failure for number in range(3)]
    assert any(failure is not None and "bystander" in failure.signature for failure in failures)


# The campaign


def test_a_target_that_cannot_be_done_is_not_complete(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    obstacle = LabError("make namespaces", "Operation not permitted", "root")
    monkeypatch.setattr("fuzzing.sockets.enclosure.obstacle", lambda: obstacle)
    assert run(Campaign(0, 4_000, ["reassembly", SOCKETS], tmp_path), jobs=1, minutes=10) == 2
    said = capsys.readouterr().out
    assert "not done: lab: make namespaces: Operation not permitted" in said
    assert "NOT COMPLETE: sockets 0 of 1,600" in said
    assert "nothing was found" not in said


def test_a_campaign_that_threw_all_is_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Campaign(0, 1_000, ["reassembly"], tmp_path), jobs=1, minutes=10) == 0
    assert "nothing was found" in capsys.readouterr().out


def test_what_did_not_reach_its_target_was_not_thrown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    campaign = Campaign(0, 1_000, [SOCKETS], tmp_path)
    order = campaign.next()
    assert order is not None
    campaign.hear(0, Report(order, thrown=999))
    assert campaign.summary() == 2
    assert "NOT COMPLETE: sockets 999 of 1,000" in capsys.readouterr().out


@pytest.mark.lab
@enclosed(timeout=180.0)
def test_the_insider_at_the_sockets_dials_anew_in_each_round() -> None:
    sockets.ROUND = 150
    told = asyncio.run(sockets.storm(400, 1))
    notes = told["notes"]
    assert told["wrong"] == ""
    assert told["thrown"] == 400
    assert notes["insider admitted"] >= 3
    assert notes["gateway"]["wire"]["received"] >= 400  # what the gateway heard, and not what was offered to it
