"""What a benchmark calls too much: on made-up figures, since what a machine measures is its own affair."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import Any

import pytest

from benchmarks import ios_parsers, qualification
from benchmarks.__main__ import NAT_RATE, bears, commands
from benchmarks.ios_parsers import Parsing
from benchmarks.userland_nat import Node
from harness.devices.ios import parse
from harness.errors import NatstormError

BORNE = Node(offered=float(NAT_RATE), passed=float(NAT_RATE), lost=0, cpu_us=40.0)


def test_a_nat_that_carries_what_it_is_offered_is_fast_enough() -> None:
    assert bears(BORNE)
    assert bears(replace(BORNE, offered=0.99 * NAT_RATE, passed=0.99 * NAT_RATE))


@pytest.mark.parametrize(
    "changed", [{"lost": 1}, {"passed": 0.97 * NAT_RATE}, {"offered": 3000.0, "passed": 3000.0}, {"cpu_us": 101.0}], ids=str
)
def test_a_nat_that_does_not_is_not(changed: dict[str, float]) -> None:
    assert not bears(replace(BORNE, **changed))


@pytest.mark.parametrize(
    ("found", "over"),
    [
        (Parsing(cpu_s=0.19, octets=900.0, growth=2.0), False),
        (Parsing(cpu_s=0.21, octets=900.0, growth=2.0), True),
        (Parsing(cpu_s=0.1, octets=900.0, growth=3.9), True),
    ],
)
def test_a_long_table_has_its_time_and_its_memory(found: Parsing, over: bool) -> None:
    assert found.over is over


def test_the_table_that_is_measured_is_one_that_is_read_whole() -> None:
    found = parse(ios_parsers.COMMAND, ios_parsers.text(400))
    assert len(set(found.rows)) == 400
    assert found.unread == ()
    assert [row.protocol for row in found.rows[:4]] == ["esp", "udp", "udp", "udp"]


def play(monkeypatch: pytest.MonkeyPatch, *, took_s: float, status: int = 0) -> list[list[str]]:
    """In the place of every qualification, one that takes so long. The command lines."""
    now = 0.0
    lines: list[list[str]] = []

    def run(command: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        nonlocal now
        now += took_s
        lines.append(command)
        return subprocess.CompletedProcess(command, status, "{}", "it did not come up")

    monkeypatch.setattr(qualification.subprocess, "run", run)
    monkeypatch.setattr(qualification.time, "monotonic", lambda: now)
    return lines


@pytest.mark.parametrize(("took_s", "over"), [(89.0, False), (91.0, True)])
def test_the_suites_have_their_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], took_s: float, over: bool
) -> None:
    lines = play(monkeypatch, took_s=took_s)
    figures: dict[str, object] = {}
    assert commands(figures) is over
    assert figures.pop("make qualify, s") == 2 * took_s  # both of its runs
    assert list(figures.values()) == [took_s] * 4
    told = f"natstorm qualify with 25 clients: {took_s:.0f} s, {took_s / 90:.2f} of the 90 s that it may take"
    assert told in capsys.readouterr().out
    assert [line[-1] for line in lines] == ["2", "6", "25", "--guests", "testbeds/linux.yaml", "churn-day"]


def test_make_qualify_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for took_s, over in ((179.0, False), (181.0, True)):
        play(monkeypatch, took_s=took_s)
        assert qualification.altogether().over is over


def test_a_qualification_that_failed_says_nothing_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, took_s=1.0, status=1)
    with pytest.raises(NatstormError, match="status 1\nit did not come up"):
        qualification.qualify(2)
