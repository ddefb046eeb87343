"""Linux's kernel opens what our ESP and AH seal with keys set by hand, and they open what it seals."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.lab import enclosure

pytestmark = pytest.mark.lab

TRANSFORMS = (
    "AH md5", "AH sha1", "AH sha256", "des md5", "3des sha1", "aes-128 sha1", "aes-192 md5", "aes-256 sha256", "null sha1",
)  # fmt: skip


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    command = enclosure.command([sys.executable, str(Path(__file__).with_name("judge_by_kernel.py"))])
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("mode", ["transport", "tunnel"])
def test_an_echo_comes_back(results: dict[str, Any], mode: str, transform: str) -> None:
    assert results[f"{mode} {transform}"] == {"answered": True}


def test_the_kernel_counts_no_error(results: dict[str, Any]) -> None:
    assert results["errors"] == ""
