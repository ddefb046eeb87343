"""The checks of clients with and without NAT traversal behind an IOS router's NAT: passing, failing, inconclusive, noted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import verdict_builders as b
from test_checks import Make, cut, of

from harness.model import FrameKind, Outcome
from harness.verdict.checks import CHECKS, NOTED

NAT = {"nat": "ios-spi-match"}
BARE = ("c3", "c4")


def bare(*clients: str) -> Any:
    """Those do not speak NAT traversal, and their ESP is IP protocol 50."""

    def act(world: Any) -> None:
        for client in clients:
            world.set_ike("MM1", client, vendor_ids=["00" * 16])
            unwrapped(client)(world)

    return act


def unwrapped(client: str) -> Any:
    def act(world: Any) -> None:
        for p in world.packets:
            if p.client == client and p.inside.kind is FrameKind.ESP:
                p.inside, p.outside = (replace(o, sport=None, dport=None) for o in (p.inside, p.outside))

    return act


def four() -> Any:
    return b.clean(4)


def stuck() -> Any:
    """Client 2, which speaks NAT traversal, stops in main mode; the others are up."""
    world = b.World(4)
    t = b.T0
    for client in ("c1", "c3", "c4"):
        t = world.hold(world.connect(client, t) + 0.1, 3.0)
    t = world.connect("c2", t, until="MM3")
    for again in range(3):
        world.ike("c2", t + again, "up", "MM3", retransmission=True)
    return b.over(world, world.hold(t + 3.0, 6.0, who=("c1", "c3", "c4")))


PASS: list[tuple[str, Make]] = [
    ("ESN-18", of(four, bare(*BARE), **NAT)),
    ("ESN-18", of(four, bare(*BARE), cut("c3", 6.0), **NAT)),  # those without are not judged
]

FAIL: list[tuple[str, Make, str]] = [
    ("ESN-18", of(four, bare(*BARE), cut("c1", 6.0), **NAT), "c1 died, though its ESP goes in UDP"),
    ("ESN-18", of(four, bare(*BARE), cut("c2", 8.0), **NAT), "c2 died, though its ESP goes in UDP"),
    ("ESN-18", of(stuck, bare(*BARE), **NAT), "c2 never came up, though its ESP goes in UDP"),
]

INCONCLUSIVE: list[tuple[str, Make, str]] = [
    ("ESN-18", of(four, bare(*BARE)), "no IOS router's"),
    ("ESN-18", of(four, **NAT), "no client without NAT traversal"),
    ("ESN-18", of(four, bare("c2", *BARE), **NAT), "fewer than two clients announce"),
    ("ESN-18", of(four, bare(*BARE), unwrapped("c1"), **NAT), "was not in UDP"),
]


@pytest.mark.parametrize(("row", "make"), PASS)
def test_passes(row: str, make: Make) -> None:
    verdict = CHECKS[row](make())
    assert verdict.outcome is Outcome.PASS, verdict.because


@pytest.mark.parametrize(("row", "make", "words"), FAIL, ids=[case[2] for case in FAIL])
def test_fails(row: str, make: Make, words: str) -> None:
    verdict = CHECKS[row](make())
    assert verdict.outcome is Outcome.FAIL, verdict.because
    assert words in verdict.because


@pytest.mark.parametrize(("row", "make", "words"), INCONCLUSIVE, ids=[case[2] for case in INCONCLUSIVE])
def test_is_inconclusive(row: str, make: Make, words: str) -> None:
    verdict = CHECKS[row](make())
    assert verdict.outcome is Outcome.INCONCLUSIVE, verdict.because
    assert words in verdict.because


def test_what_becomes_of_clients_without_nat_traversal_is_noted() -> None:
    check = NOTED["ESN-17"]
    dead = check(of(four, bare(*BARE), cut("c3", 6.0), **NAT)())
    assert (dead.outcome, dead.because) == (
        Outcome.PASS,
        "without NAT traversal, c3: died: the gateway fell silent; c4: lived",
    )
    assert dead.facts["clients"]["c4"]["set_up_s"] > 0
    assert "every client announces" in check(of(four, **NAT)()).because


def test_set_up_and_fate_of_both_are_told() -> None:
    facts = CHECKS["ESN-18"](of(four, bare(*BARE), cut("c3", 6.0), **NAT)()).facts
    assert [facts["wrapped"][client]["fate"] for client in ("c1", "c2")] == ["lived", "lived"]
    assert facts["bare"]["c3"]["fate"] == "died: the gateway fell silent"
    assert all(told["set_up_s"] > 0 for told in (*facts["wrapped"].values(), *facts["bare"].values()))
