"""What can be seen of the gateway's process without a network of its own: command line, settings, why it does not start."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.virtual import settings as virtual
from harness.virtual.process import settings_of

ROOT = Path(__file__).resolve().parents[2]
PLAN: dict[str, Any] = {
    "personality": "demux", "time_scale": 1.0, "changes": {}, "address": "192.0.2.1", "psk": "key", "users": {"user1": "pw1"},
    "ppp_address": "172.16.9.1", "pool_first": "172.16.9.2", "pool_last": "172.16.9.3", "lan": None,
    "events": "/nowhere/events.jsonl",
}  # fmt: skip


def called(*arguments: str, **given: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness.virtual.process", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, **given)


def told(tmp_path: Path, text: str) -> tuple[int, dict[str, Any]]:
    """Its exit status and the one line that it says to the run."""
    file = tmp_path / "gateway.json"
    file.write_text(text)
    ours, its = socket.socketpair()
    with ours, its:
        done = called("--settings", str(file), "--control", str(its.fileno()), pass_fds=[its.fileno()])
        ours.settimeout(5)
        said = ours.recv(1 << 16)
    assert said.endswith(b"\n")
    return done.returncode, json.loads(said)


def test_the_plan_becomes_settings() -> None:
    settings = settings_of(PLAN)
    assert settings.personality == virtual.load("demux")
    assert (settings.address, settings.psk.reveal(), settings.users["user1"].reveal()) == ("192.0.2.1", "key", "pw1")
    assert (settings.ppp_address, settings.pool_first, settings.pool_last) == ("172.16.9.1", "172.16.9.2", "172.16.9.3")


def test_time_is_scaled_and_then_changes_count() -> None:
    settings = settings_of(PLAN | {"time_scale": 10.0, "changes": {"hello": 1.0, "psk": "another", "authentication": ["pap"]}})
    assert (settings.personality.dpd, settings.personality.hello) == (3.0, 1.0)
    assert (settings.psk.reveal(), settings.personality.authentication) == ("another", ("pap",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (json.dumps(PLAN | {"personality": "nonsense"}), "UsageError: no virtual gateway is called 'nonsense'"),
        (json.dumps({key: value for key, value in PLAN.items() if key != "psk"}), "KeyError: 'psk'"),
        ("not JSON", "JSONDecodeError: "),
        (json.dumps(PLAN), "LabError: "),  # this machine has no such address
    ],
)
def test_what_does_not_start_says_why(tmp_path, text, words) -> None:
    status, said = told(tmp_path, text)
    assert status == 3
    assert list(said) == ["wrong"]
    assert said["wrong"].startswith(words)


def test_both_options_are_wanted() -> None:
    done = called()
    assert done.returncode == 2
    assert "required: --settings, --control" in done.stderr
    helped = called("--help")
    assert helped.returncode == 0
    assert "natstorm-gateway" in helped.stdout
    assert "The gateway as a process in its own namespace" in helped.stdout


def test_settings_and_orders_come_over_the_standard_input() -> None:
    """The first line are the settings, to the last byte; what follows are orders. At their end it ends."""
    done = called("--settings", "-", "--control", "-", input="not JSON\n")
    assert done.returncode == 3
    assert json.loads(done.stdout)["wrong"].startswith("JSONDecodeError: ")
    done = called("--settings", "-", "--control", "-", input=json.dumps(PLAN) + "\n")
    assert json.loads(done.stdout)["wrong"].startswith("LabError: ")
