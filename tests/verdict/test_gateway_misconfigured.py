"""What the checks on a gateway's command line say of one that is configured otherwise: the whole way from a line to a verdict."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.model import Outcome
from harness.model.steps import StepBus
from harness.scenario.runner import Runner
from harness.scenario.scripts import script
from harness.testbed.load import check
from harness.verdict.checks import CHECKS

TESTBED = Path(__file__).resolve().parents[2] / "testbeds" / "virtual-ios.yaml"


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with Runner(check(TESTBED), tmp_path_factory.mktemp("scratch"), StepBus(time.time)) as one:
        yield one


@pytest.mark.parametrize(
    ("scenario", "lines", "found"),
    [
        ("voluntary-pmtu", ("vpdn-group dial-in", " no ip pmtu"), {"SEC-122": "1420 bytes were swallowed"}),
        ("example-keepalive", ("crypto isakmp keepalive 600",), {"DMX-59": "asked again after 600 s"}),
        (
            "example-keys",
            ("no crypto isakmp key cisco hostname w2k01", "crypto isakmp key other address 203.0.113.50"),
            {"DMX-61": "c4 has the key of w2k01, and did not come up", "DMX-60": "c2 has the key, and its main mode"},
        ),
        ("example-ppp", ("interface Virtual-Template1", " ppp authentication pap chap ms-chap"), {"DMX-65": "was offered PAP"}),
        ("map-order", ("no crypto map CRYP_MAP 5",), {"DMX-63": "c1 was given 600 s"}),
        (
            "voluntary-bare",
            ("vpdn-group dial-in", " l2tp tunnel authentication", " l2tp tunnel password x"),
            {"SEC-20": "c2 did not come up", "SEC-22": "SCCRP has a Challenge"},
        ),
    ],
)
def test_another_line_turns_its_row_red(
    runner: Runner, tmp_path: Path, scenario: str, lines: tuple[str, ...], found: dict[str, str]
) -> None:
    sound = script(scenario)
    assert sound.router is not None
    other = replace(sound, router=replace(sound.router, lines=(*sound.router.lines, *lines)))
    evidence = runner.play(other, "demux", folder=tmp_path, time="virtual")
    assert evidence.trouble == ()
    for row, says in found.items():
        verdict = CHECKS[row](evidence)
        assert (verdict.outcome, says in verdict.because) == (Outcome.FAIL, True), f"{row}: {verdict.because}"
