"""Secrets that are planted in a lab of software, and to be found nowhere: in its namespaces, and in virtual time. Devices that are
reached have theirs in the bench in a box (box_runs.py), servers with labs theirs in tests/lab/providers."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
import planted

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("testbed", "words"),
    [
        pytest.param("virtual.yaml", ["-k", "clear and pair", "--variant", "demux"], marks=pytest.mark.lab),
        ("virtual-ios.yaml", ["-k", "demux-pair-2", "--variant", "demux"]),
    ],
)
def test_no_secret_is_in_a_file_on_the_terminal_or_in_a_process_list(tmp_path, monkeypatch, testbed, words):
    file = planted.testbed(ROOT / "testbeds" / testbed, tmp_path, reached=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name, value in planted.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    terminal, watch = planted.Terminal(), planted.Watch()
    watch.start()
    command = [sys.executable, "-m", "harness.cli", "qualify", "--testbed", str(file), *words]
    run = terminal.start([*command, "--reports", str(tmp_path / "reports")], ROOT)
    told = run.communicate(timeout=300)[0] + terminal.end()
    watch.stop()
    assert run.returncode == 0, told[-3000:]
    assert f"{planted.PROMPT} (" in told
    assert list((tmp_path / "reports").rglob("*.pcap"))
    assert watch.looks > 10
    assert not planted.is_in(told.encode())
    assert planted.files_with_it(tmp_path / "reports", tmp_path / "state") == []
    assert sorted(watch.seen) == []


@pytest.mark.parametrize("before", range(6))
@pytest.mark.parametrize("after", ["", "51be07, and more"])
def test_one_that_is_there_is_found_however_it_is_spelt(tmp_path, before, after):
    for token in planted.TOKENS:
        text = b"x" * before + token + after.encode()
        for name, written in (("plain", text), ("base64", base64.b64encode(text)), ("hex", text.hex().encode())):
            assert planted.is_in(written), name
            (tmp_path / name).write_bytes(b"some words; " + written)
    assert len(planted.files_with_it(tmp_path)) == 3
    assert not planted.is_in(os.urandom(100_000))


def test_one_in_a_command_line_is_seen():
    watch = planted.Watch()
    watch.start()
    process = subprocess.Popen([sys.executable, "-c", "input()", planted.PSK], stdin=subprocess.PIPE)
    try:
        for _ in range(600):
            if watch.seen:
                break
            watch.join(0.05)
    finally:
        process.communicate(b"\n", timeout=30)
        watch.stop()
    assert any(planted.PSK in line for line in watch.seen)
