"""Who multiplied a mark: told apart by where it becomes more, and by whether the copies are one ESP packet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import verdict_builders as b

from harness.model import Side
from harness.verdict.duplicates import Duplicates, duplicates
from harness.verdict.reading import Reading


def found(world: Any) -> tuple[Duplicates, ...]:
    return duplicates(Reading(world.evidence()))


def test_a_clean_run_has_none() -> None:
    assert found(b.clean()) == ()


@pytest.mark.parametrize(("name", "behind"), [("mark", "outside"), ("answer", "inside")])
def test_the_same_packet_again_behind_the_nat_is_the_nats(name: str, behind: str) -> None:
    world = b.clean()
    p = world.find(name, "c1")[9]
    copy = replace(getattr(p, behind), t=getattr(p, behind).t + 0.0001)
    other = {"inside": None, "outside": None, behind: copy}
    world.packets.append(b.Packet(p.direction, other["inside"], other["outside"], paired=False))
    (only,) = found(world)
    assert (only.box, only.owner) == ("nat", "c1")
    assert only.sentence == "the NAT delivered 1 marks of c1 more than once"


@pytest.mark.parametrize("name", ["mark", "answer"])
def test_the_same_packet_again_before_and_behind_the_nat_is_the_networks(name: str) -> None:
    world = b.clean()
    p = world.find(name, "c1")[9]
    later = [replace(o, t=o.t + 0.0001) for o in (p.inside, p.outside) if o is not None]
    world.packets.append(b.Packet(p.direction, *later))
    assert [d.box for d in found(world)] == ["network"]


def test_what_the_gateway_delivers_twice_and_the_far_end_answers_twice_is_one_fault() -> None:
    world = b.clean()
    p = world.find("answer", "c1")[9]
    mark = p.inside.inner.mark if p.inside is not None and p.inside.inner is not None else None
    assert mark is not None
    world.lone += [replace(o, t=o.t + 0.0001) for o in world.lone if o.side is Side.FAR_END and o.mark is not None
                   and (o.mark.owner, o.mark.sequence) == (mark.owner, mark.sequence)]  # fmt: skip
    world.esp("c1", b.T0 + 9, "down", "answer", ppp={"protocol": "IP", "src": b.FAR, "dst": world.ppp("c1")}, mark=mark)
    (only,) = found(world)
    assert only.box == "gateway"
    assert [o.side for o in only.frames] == [Side.FAR_END]


def test_a_question_sent_twice_is_the_clients_and_nobody_elses() -> None:
    world = b.clean()
    world.mark("c1", b.T0 + 11.0)
    world.sequence["c1"] -= 1
    world.mark("c1", b.T0 + 11.1)
    assert [d.box for d in found(world)] == ["client"]
