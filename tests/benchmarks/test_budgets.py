"""What a benchmark calls too much: on made-up figures, since what a machine measures is its own affair."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.__main__ import NAT_RATE, bears
from benchmarks.userland_nat import Node

BORNE = Node(offered=float(NAT_RATE), passed=float(NAT_RATE), lost=0, cpu_us=40.0)


def test_a_nat_that_carries_what_it_is_offered_is_fast_enough() -> None:
    assert bears(BORNE)
    assert bears(replace(BORNE, offered=0.99 * NAT_RATE, passed=0.99 * NAT_RATE))


@pytest.mark.parametrize(
    "changed", [{"lost": 1}, {"passed": 0.97 * NAT_RATE}, {"offered": 3000.0, "passed": 3000.0}, {"cpu_us": 101.0}], ids=str
)
def test_a_nat_that_does_not_is_not(changed: dict[str, float]) -> None:
    assert not bears(replace(BORNE, **changed))
