"""A script for routers is not asked of a release that lacks what it needs, and the reason says which release brought that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.routers.releases import lacking
from harness.routers.script import L2TP, RouterScript
from harness.routers.scripts.starting import without

ROOT = Path(__file__).parents[2]
TESTBED = ("--testbed", str(ROOT / "testbeds" / "virtual-ios.yaml"))


def script(release, *needs, platform=None):
    return RouterScript("a script", "", L2TP, run=None, release=release, needs=needs, options={"platform": platform})


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (script("12.2(4)T", "l2tp-security"), ""),
        (script("12.4(1)", "l2tp-security", "crypto-map-profile"), ""),
        (script("12.2(2)T"), ""),
        (
            script("12.2(2)T", "l2tp-security"),
            "IOS 12.2(2)T has no `l2tp security crypto-profile`: 12.2(4)T, 12.2(27)SBA brought it (L2TP Security)",
        ),
        (
            script("12.2(4)T", "l2tp-security", platform="7500"),
            "IOS 12.2(4)T on the 7500 has no `l2tp security crypto-profile`: 12.2(4)T3 brought it (L2TP Security)",
        ),
        (
            script("12.2(27)SBA", "l2tp-security", "spi-matching"),
            "whether IOS 12.2(27)SBA has `crypto ipsec nat-transparency spi-ma",
        ),
    ],
)
def test_why_a_release_is_not_asked(one, why):
    assert lacking(one).startswith(why)
    assert bool(lacking(one)) is bool(why)


def test_a_need_that_is_no_feature():
    with pytest.raises(UsageError, match="warp-drive"):
        lacking(script("12.4(1)", "warp-drive"))


def test_qualification_of_a_release_skips_what_it_lacks_and_says_why(tmp_path):
    """SEC-17 needs nothing that any release lacks."""
    words = ["--release", "12.2(2)T", "--behaviour", "SEC-01", "--behaviour", "SEC-17", "--reports", str(tmp_path), "--json"]
    command = [sys.executable, "-m", "harness.cli", "qualify", *TESTBED, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert '"passed": 1' in done.stdout
    assert "IOS 12.2(2)T has no `l2tp security crypto-profile`: 12.2(4)T" in done.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((*TESTBED, "--release", "twelve"), "'twelve' is no release of IOS"),
        (("--release", "12.4(1)"), "have the releases that they have"),
    ],
)
def test_a_release_that_cannot_be_asked_for(words, sentence):
    command = [sys.executable, "-m", "pytest", "suites", "--collect-only", "-q", "-p", "no:cacheprovider", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert sentence in done.stdout + done.stderr


def test_a_configuration_without_some_of_its_lines():
    """And without what stands below them."""
    lines = without("l2tp-lac.cfg", "vpdn-group", "crypto map")
    assert "vpdn enable" in lines
    assert not [line for line in lines if "request-dialin" in line or "initiate-to" in line or "crypto map" in line]
    assert " ip address 10.0.0.12 255.255.255.0" in lines
    whole = without("l2tp-lac.cfg")
    assert [line for line in whole if line.startswith("!")]
    assert len(whole) > len(lines)
