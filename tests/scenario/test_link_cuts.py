"""The link between NAT and gateway is cut, in simulated time: who lives on, who gives up, who is blamed, and who is not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from harness.model import Evidence, FrameKind, Observation, Outcome, RecordKind, Side, Step
from harness.model.steps import StepBus
from harness.report.story import Tone
from harness.scenario.hardships import CUT_S, HARDSHIPS
from harness.scenario.outcome import sum_up
from harness.scenario.play import Play
from harness.scenario.runner import Runner
from harness.scenario.script import Script
from harness.testbed import check
from harness.verdict.link_cuts import FOUND_AGAIN_S, LAST_WAIT_S
from harness.verdict.reading import Reading, l2tp_message, ppp

TESTBED = Path(__file__).resolve().parents[2] / "testbeds" / "virtual.yaml"
GATEWAY = "203.0.113.231"
ON_ITS_WAY_S = 0.002  # longer than any packet is under way here


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Script], Evidence]]:
    with Runner(check(TESTBED), tmp_path_factory.mktemp("scratch"), StepBus(time.time)) as runner:

        def played(script: Script) -> Evidence:
            evidence = runner.play(script, "demux", folder=tmp_path_factory.mktemp(script.name), time="virtual")
            assert evidence.trouble == ()
            return evidence

        yield played


@pytest.fixture(scope="module")
def outage(play: Callable[[Script], Evidence]) -> Evidence:
    return play(HARDSHIPS["outage"])


def cut_of(evidence: Evidence) -> Step:
    (step,) = [step for step in evidence.steps if step.name == "link-down"]
    return step


def during(evidence: Evidence, side: Side, direction: str) -> list[Observation]:
    """The frames of the cut, without those that were under way as it began."""
    reading, step = Reading(evidence), cut_of(evidence)
    return [o for o in reading.way(side, direction) if step.began + ON_ITS_WAY_S < o.t < step.ended]


def times(evidence: Evidence, client: str, kind: RecordKind) -> list[float]:
    return [record.t for record in evidence.records_of(client) if record.kind is kind]


def asking_for_life(evidence: Evidence, client: str, *names: str) -> list[tuple[float, str]]:
    """(time, name) of the client's frames of those names, inside, both ways."""
    reading = Reading(evidence)
    own = (o for o in evidence.observations[Side.INSIDE] if reading.flow_owner(o) == client)
    return [one for one in ((o.t, l2tp_message(o) or " ".join(ppp(o) or ())) for o in own) if one[1] in names]


# Two clients, and everybody has the patience


def test_nothing_passes_the_cut_and_the_captures_are_on_the_nats_side(outage: Evidence) -> None:
    step = cut_of(outage)
    assert step.ended - step.began == pytest.approx(CUT_S)
    assert len(during(outage, Side.INSIDE, "up")) == len(during(outage, Side.OUTSIDE, "up")) > 2 * 4 * CUT_S
    assert during(outage, Side.INSIDE, "down") == during(outage, Side.OUTSIDE, "down") == []
    far_end = [o for o in outage.observations[Side.FAR_END] if step.began + ON_ITS_WAY_S < o.t < step.ended]
    assert far_end == []


def test_both_live_on_and_nobody_is_blamed(outage: Evidence) -> None:
    verdicts, head = sum_up(outage)
    assert {name: verdict.outcome for name, verdict in verdicts.items()} == dict.fromkeys(verdicts, Outcome.PASS)
    assert (head.tone, head.blame, head.kills) == (Tone.SURVIVED, (), ())
    assert "both live, on ports 1024 and 1025" in head.sentence
    assert f"cut the link between NAT and gateway for {CUT_S:.1f} s: what was asked then is not judged" in head.sentence
    ended = cut_of(outage).ended
    for client in ("c1", "c2"):
        lost = len(times(outage, client, RecordKind.MARK_SENT)) - len(times(outage, client, RecordKind.MARK_ANSWERED))
        assert lost >= 4 * CUT_S
        assert len([t for t in times(outage, client, RecordKind.MARK_ANSWERED) if t > ended]) > 40
        assert [r.data["by"] for r in outage.records_of(client) if r.kind is RecordKind.ENDED] == ["client"]


def test_an_echo_that_goes_unanswered_in_the_cut_ends_nothing_and_the_next_is_answered(outage: Evidence) -> None:
    step = cut_of(outage)
    said = asking_for_life(outage, "c1", "LCP Echo-Request", "LCP Echo-Reply")
    assert [name for t, name in said if step.began < t < step.ended] == ["LCP Echo-Request"]
    assert [name for t, name in said if t > step.ended] == ["LCP Echo-Request", "LCP Echo-Reply"]


@pytest.mark.parametrize("told", [False, True])
def test_the_same_outage_that_no_step_tells_of_is_the_gateways(told: bool, outage: Evidence) -> None:
    """What excuses it is the step and nothing else."""
    steps = outage.steps if told else tuple(step for step in outage.steps if step.name != "link-down")
    verdicts, head = sum_up(replace(outage, steps=steps))
    assert verdicts["survival"].outcome is (Outcome.PASS if told else Outcome.FAIL)
    assert head.blame == (() if told else ("gateway",))


def test_a_nat_that_lets_nothing_out_while_it_finds_nobody_is_not_blamed(outage: Evidence) -> None:
    """As a kernel's does, once it has asked for the gateway's hardware address in vain; but what came before the cut it has to let
    out."""
    step = cut_of(outage)
    gone = {o.frame for o in during(outage, Side.OUTSIDE, "up") if o.t > step.began + 4}
    assert len(gone) > 20

    def without(frames: set[int]) -> Evidence:
        left = tuple(o for o in outage.observations[Side.OUTSIDE] if o.frame not in frames)
        pairs = tuple(pair for pair in outage.pairs if pair.outside not in frames)
        return replace(outage, observations={**outage.observations, Side.OUTSIDE: left}, pairs=pairs)

    verdicts, head = sum_up(without(gone))
    assert (verdicts["survival"].outcome, head.blame) == (Outcome.PASS, ())
    up = [o for o in Reading(outage).way(Side.OUTSIDE, "up") if o.t > step.ended + FOUND_AGAIN_S and o.kind is FrameKind.ESP]
    assert sum_up(without({o.frame for o in up[:20]}))[1].blame == ("nat",)


# Somebody has not


async def mute(play: Play) -> None:
    await play.connect("c1")
    await play.connect("c2")
    await play.hold(3.0)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(play.link_cut(4.0))
        tasks.create_task(play.gateway_silent())
    await play.hold(8.0)


def test_a_gateway_that_does_not_come_back_with_the_link_is_to_blame(play: Callable[[Script], Evidence]) -> None:
    evidence = play(Script("mute", "", 2, mute))
    verdicts, head = sum_up(evidence)
    assert verdicts["survival"].outcome is Outcome.FAIL
    assert (head.tone, head.blame) == (Tone.LOST, ("gateway",))
    for client in ("c1", "c2"):
        life = verdicts["survival"].facts["clients"][client]
        assert life["end"] == "the gateway fell silent"
        assert life["end_t"] > cut_of(evidence).ended  # not of the cut is it accused


def idle_for(seconds: float) -> Script:
    async def cut(play: Play) -> None:
        await play.connect("c1")
        await play.connect("c2")
        await play.hold(3.0)
        await play.link_cut(seconds)
        await play.hold(25.0)

    return Script(f"cut-for-{seconds:g}", "", 2, cut)


def test_a_hello_is_sent_again_until_the_link_is_back(play: Callable[[Script], Evidence]) -> None:
    """Windows asks after 40 s without a word, and again after 1, 2, 4 and 8 s (RFC 2661 section 5.8): the last comes through."""
    evidence = play(idle_for(50.0))
    ended = cut_of(evidence).ended
    for client in ("c1", "c2"):
        hellos = [t for t, name in asking_for_life(evidence, client, "Hello")][:5]
        assert [round(later - earlier) for earlier, later in pairwise(hellos)] == [1, 2, 4, 8]
        assert hellos[3] < ended < hellos[4]
    verdicts, head = sum_up(evidence)
    assert (verdicts["survival"].outcome, head.tone, head.blame) == (Outcome.PASS, Tone.SURVIVED, ())


def test_who_gives_up_over_a_cut_accuses_nobody_and_nothing_is_said_of_survival(play: Callable[[Script], Evidence]) -> None:
    """All five Hellos fell into it: the clients give up as the last has not been acknowledged, after the link is back."""
    evidence = play(idle_for(60.0))
    ended = cut_of(evidence).ended
    for client in ("c1", "c2"):
        (record,) = [r for r in evidence.records_of(client) if r.kind is RecordKind.ENDED]
        assert record.data["cause"].endswith("no acknowledgement of HELLO after 5 transmissions")
        assert ended < record.t < ended + LAST_WAIT_S
    verdicts, head = sum_up(evidence)
    assert (verdicts["survival"].outcome, head.tone, head.blame) == (Outcome.INCONCLUSIVE, Tone.UNDECIDED, ())
    assert "Client 1 gave up, for nothing came to it through the link that was cut." in head.sentence
    # Without the cut, whoever leaves unasked has to answer for it.
    assert sum_up(replace(evidence, steps=tuple(s for s in evidence.steps if s.name != "link-down")))[1].blame != ()


async def dialled_in_the_dark(play: Play) -> None:
    await play.connect("c1")
    await play.hold(3.0)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(play.link_cut(15.0))
        tasks.create_task(play.dial("c2"))
    await play.hold(5.0)


def test_the_impatient_give_up_in_the_cut_and_whoever_dials_then_never_comes_up(play: Callable[[Script], Evidence]) -> None:
    brisk = {"personality": "brisk"}
    evidence = play(Script("dark", "", 2, dialled_in_the_dark, overrides={"c1": brisk, "c2": brisk}))
    (gone,) = [r for r in evidence.records_of("c1") if r.kind is RecordKind.ENDED]
    assert (gone.data["cause"], gone.data["by"]) == ("LCP: no answer to 3 LCP Echo-Requests", "silence")
    (failed,) = [r for r in evidence.records_of("c2") if r.kind is RecordKind.FAILED]
    assert failed.data["reason"] == "no answer to MM1 after 3 tries"
    verdicts, head = sum_up(evidence)
    assert (verdicts["survival"].outcome, head.tone, head.never_up, head.blame) == (Outcome.FAIL, Tone.LOST, ("c2",), ())


async def half_way(play: Play) -> None:
    await play.connect("c1")
    await play.hold(1.0)
    await play.connect_while("c2", RecordKind.IKE_UP, lambda: play.link_cut(10.0))
    await play.hold(5.0)


def test_a_set_up_that_the_cut_came_between_is_nobody_s_fault(play: Callable[[Script], Evidence]) -> None:
    evidence = play(Script("half-way", "", 2, half_way, overrides={"c2": {"personality": "brisk"}}))
    verdicts, head = sum_up(evidence)
    assert verdicts["survival"].facts["clients"]["c2"]["stage"] == "quick mode"
    assert (verdicts["survival"].outcome, head.tone, head.never_up, head.blame) == (Outcome.FAIL, Tone.LOST, ("c2",), ())
