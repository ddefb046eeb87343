"""A NAT that misbehaves: what it changes, delays or sends twice is found and named, and no reason to doubt the captures."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import verdict_builders as b

from harness.model import FrameKind, Outcome, Side
from harness.verdict import altered as module
from harness.verdict.altered import altered, copied, made
from harness.verdict.checks import CHECKS
from harness.verdict.reading import Reading
from harness.verdict.trust import TRAFFIC, doubts

NAT_ROWS = {"up": ("NTT-14", "NTT-16", "NTT-18"), "down": ("NTT-15", "NTT-16", "NTT-18")}


def behind(packet: Any, **fields: Any) -> None:
    """What comes out of the NAT in the packet's place."""
    packet.paired = False
    if packet.direction == "up":
        packet.outside = replace(packet.outside, **fields)
    else:
        packet.inside = replace(packet.inside, **fields)


def strips_the_marker(w: Any) -> None:
    behind(w.find("QM1", "c1")[0], kind=FrameKind.ESP, ike=None, esp={"spi": "01020304", "sequence": 1}, payload_digest="zz")


def changes_late(direction: str, by: float) -> Callable[[Any], None]:
    def act(w: Any) -> None:
        p = w.find("mark" if direction == "up" else "answer", "c1")[9]
        t = (p.outside if direction == "up" else p.inside).t
        behind(p, payload_digest="zz", inner=None, t=t + by, problem="esp: the integrity check value does not fit the run's key")

    return act


def makes_it_another_service(w: Any) -> None:
    behind(w.find("mark", "c1")[9], kind=FrameKind.OTHER, esp=None, inner=None, dport=4501)


def copies(name: str, by: float) -> Callable[[Any], None]:
    def act(w: Any) -> None:
        p = w.find(name, "c1")[-1]
        up = p.direction == "up"
        o = p.outside if up else p.inside
        copy = replace(o, t=o.t + by)
        w.packets.append(b.Packet(p.direction, None if up else copy, copy if up else None, False, "copy", "c1"))

    return act


def hands_the_copy_to_another(w: Any) -> None:
    o = w.find("answer", "c1")[9].inside
    w.packets.append(b.Packet("down", replace(o, dst="10.0.0.3", t=o.t + 0.001), None, False, "copy", "c1"))


MISDEEDS: list[tuple[str, Callable[[Any], None], str, str]] = [
    ("marker", strips_the_marker, "up", "changed"),
    ("changed-150ms", changes_late("up", 0.15), "up", "changed"),
    ("changed-900ms", changes_late("down", 0.9), "down", "changed"),
    ("port", makes_it_another_service, "up", "changed"),
    ("copy-at-once", copies("mark", 0.0001), "up", "twice"),
    ("copy-late", copies("mark", 5.0), "up", "twice"),
    ("copy-down", copies("answer", 0.2), "down", "twice"),
    ("copy-of-IKE", copies("QM1", 0.0001), "up", "twice"),
    ("copy-to-another", hands_the_copy_to_another, "down", "twice"),
]


@pytest.mark.parametrize(("misdeed", "direction", "words"), [m[1:] for m in MISDEEDS], ids=[m[0] for m in MISDEEDS])
def test_a_misdeed_of_the_nat_fails_and_names_it(misdeed: Callable[[Any], None], direction: str, words: str) -> None:
    world = b.clean()
    misdeed(world)
    evidence = world.evidence()
    assert doubts(Reading(evidence), TRAFFIC) == ()
    for row in NAT_ROWS[direction]:
        verdict = CHECKS[row](evidence)
        assert verdict.outcome is Outcome.FAIL, (row, verdict.because)
        assert "the NAT" in verdict.because
        assert words in verdict.because
        assert verdict.frames


def test_a_keepalive_sent_twice_by_the_nat_is_a_copy_and_one_much_later_is_the_nats_own() -> None:
    soon, late = b.idle(), b.idle()
    copies("keepalive", 0.001)(soon)
    copies("keepalive", 20.0)(late)
    assert len(copied(Reading(soon.evidence()))) == 1
    assert (copied(Reading(late.evidence())), len(made(Reading(late.evidence())))) == ((), 1)
    assert made(Reading(soon.evidence())) == ()
    assert doubts(Reading(late.evidence()), TRAFFIC) == ()
    assert CHECKS["NTT-29"](late.evidence()).outcome is Outcome.FAIL


def test_a_keepalive_that_a_lossy_capture_may_have_missed_is_nobodys() -> None:
    late = b.idle()
    copies("keepalive", 20.0)(late)
    evidence = late.evidence()
    lossy = replace(evidence, captures=tuple(replace(facts, dropped=facts.side is Side.INSIDE) for facts in evidence.captures))
    assert made(Reading(lossy)) == ()
    assert any("came out of the NAT" in doubt for doubt in doubts(Reading(lossy), TRAFFIC))


def test_no_packet_with_words_in_it_is_taken_for_the_nats_own() -> None:
    world = b.clean()
    p = world.find("mark", "c1")[0]
    born = replace(p.outside, t=p.outside.t + 3.0, payload_digest="0" * 16)
    world.packets.append(b.Packet("up", None, born, False, "born", "c1"))
    assert made(Reading(world.evidence())) == ()
    assert any("came out of the NAT" in doubt for doubt in doubts(Reading(world.evidence()), TRAFFIC))


def test_a_packet_that_its_sender_sends_again_is_no_copy() -> None:
    world = b.clean()
    p = world.find("QM1", "c1")[0]
    again = b.Packet("up", replace(p.inside, t=p.inside.t + 1.0), replace(p.outside, t=p.outside.t + 1.0), True, "again", "c1")
    world.packets.append(again)
    assert copied(Reading(world.evidence())) == ()


def test_what_a_capture_on_all_interfaces_says_of_its_machine_is_no_change() -> None:
    (crossing, *_) = Reading(b.clean().evidence()).crossings()
    cooked = {"interface": "eth1", "interface_index": 3, "packet_type": 4}
    there = replace(crossing, behind=replace(crossing.behind, headers={**crossing.behind.headers, **cooked}))
    assert [name for name, was, now in module.unchanging(there) if was != now] == []


def test_a_packet_lost_in_the_nat_is_neither_changed_nor_copied() -> None:
    world = b.clean()
    for p in world.find("mark", "c1")[3:6]:
        p.outside = None
    reading = Reading(world.evidence())
    assert (altered(reading), copied(reading)) == ((), ())


def test_what_came_out_is_matched_with_one_of_its_own_kind_first() -> None:
    world = b.clean()
    lost = world.packet("c1", b.T0 + 1.0, "up", 4500, FrameKind.KEEPALIVE, "keepalive")
    lost.outside = None
    p = next(p for p in world.find("mark", "c1") if p.inside.t > b.T0 + 1.0)
    p.inside = replace(p.inside, t=b.T0 + 1.1)
    behind(p, payload_digest="zz", t=b.T0 + 1.2)
    (found,) = altered(Reading(world.evidence()))
    assert (found.before.kind, found.behind.kind) == (FrameKind.ESP, FrameKind.ESP)


def test_a_client_of_whom_nothing_crosses_unchanged_is_matched_by_kind_and_time() -> None:
    world = b.World(1)
    world.connect("c1", b.T0, until="MM2")
    for p in world.packets:
        behind(p, payload_digest=f"zz{p.name}")
    found = altered(Reading(world.evidence()))
    assert [(a.direction, a.before.ike["message"], a.behind.ike["message"]) for a in found] == [  # type: ignore[index]
        ("up", "MM1", "MM1"),
        ("down", "MM2", "MM2"),
    ]


def test_what_a_stranger_sends_to_the_gateway_was_never_in_the_nat() -> None:
    world = b.clean()
    o = world.find("mark", "c1")[3].outside
    stray = replace(o, src="203.0.113.9", payload_digest="scan", esp={"spi": "0badcafe", "sequence": 1}, inner=None)
    world.lone.append(stray)
    assert doubts(Reading(world.evidence()), TRAFFIC) == ()
    world.lone[-1] = replace(stray, src=b.NAT)
    assert any("came out of the NAT" in d for d in doubts(Reading(world.evidence()), TRAFFIC))


def test_each_packet_is_looked_at_a_few_times_however_many_are_unpaired(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the unpaired packets, twice the work."""
    looks = 0

    class Counted(deque):  # type: ignore[type-arg]
        def __getitem__(self, i: Any) -> Any:
            nonlocal looks
            looks += 1
            return super().__getitem__(i)

    monkeypatch.setattr(module, "deque", Counted)

    def work(count: int) -> int:
        nonlocal looks
        world = b.World(1)
        world.connect("c1", b.T0)
        for i in range(count):
            p = world.packet("c1", b.T0 + 100 + i * 0.001, "up", 4500, FrameKind.KEEPALIVE, "x")
            behind(p, kind=FrameKind.ESP, esp={"spi": "d0000001", "sequence": i}, payload_digest=f"x{i}")
        reading = Reading(world.evidence())
        looks = 0
        assert len(module.altered(reading)) == count
        return looks

    assert 0 < work(800) <= 2.2 * work(400)


def test_the_boundary_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a run, however many of its checks ask whose port is whose."""
    asked: list[Side] = []
    frames = Reading.frames
    monkeypatch.setattr(Reading, "frames", lambda self, side: (asked.append(side), frames(self, side))[1])
    counts = []
    for hold in (6.0, 24.0):
        evidence = b.clean(hold=hold).evidence()
        for row in ("DMX-10", "DMX-12", "DMX-20", "DMX-21", "DMX-22", "DMX-24"):
            asked.clear()
            assert CHECKS[row](evidence).outcome is Outcome.PASS
            counts.append((row, asked.count(Side.TRANSLATED)))
    assert all(count <= 2 for _, count in counts), counts


@pytest.mark.parametrize("row", ["NTT-14", "NTT-16"])
def test_a_packet_that_is_cut_up_on_its_way_is_compared_by_its_payload(row: str) -> None:
    """As by a NAT whose own line takes less (PPPoE): its last fragment stands for all of it."""

    def cut(w: Any, **header: Any) -> None:
        w.alter("QM1", lambda o: replace(o, headers={**o.headers, **header}), client="c1", sides="inside")
        last = {"fragment": "last", "fragment_offset": 552, "ip_length": 56, "mf": False, "flags": 0, **header}
        w.alter("QM1", lambda o: replace(o, length=56, headers={**o.headers, **last}), client="c1", sides="outside")

    world = b.clean()
    cut(world)
    assert CHECKS[row](world.evidence()).outcome is Outcome.PASS
    world.alter("QM1", lambda o: replace(o, payload_digest="zz"), client="c1", sides="outside")
    assert CHECKS[row](world.evidence()).outcome is Outcome.FAIL


def test_a_packet_that_forbids_it_is_not_to_be_cut_up() -> None:
    world = b.clean()
    for side, header in (("inside", {"df": True}), ("outside", {"df": True, "fragment": "last"})):
        world.alter("QM1", lambda o, more=header: replace(o, headers={**o.headers, **more}), client="c1", sides=side)
    verdict = CHECKS["NTT-16"](world.evidence())
    assert verdict.outcome is Outcome.FAIL
    assert "changed a packet that forbids it from whole to in fragments" in verdict.because
