"""The journal on disk: whole lines after a kill, keys for their owner only, times on the captures' clock."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from harness.clients import journal
from harness.clients.clock import RunClock
from harness.clients.journal import Journal
from harness.errors import CaptureError
from harness.model import ClientPlan, RecordKind, Secret
from harness.model.redact import Redactor
from harness.wire.events import EspUp, IkeUp

CLOCK = RunClock(1000.0, lambda: 5.0, lambda: 1005.0)
PLAN = ClientPlan(1, "10.0.0.2", "203.0.113.231", Secret("s"), "user1", Secret("p"))

WRITER = """
import sys
from pathlib import Path
from harness.clients.clock import RunClock
from harness.clients.journal import Journal
from harness.model import RecordKind
journal = Journal(Path(sys.argv[1]), RunClock.fix())
for sequence in range(10_000_000):
    journal.write(sequence / 1000, "c1", RecordKind.MARK_SENT, {"sequence": sequence, "size": 64})
    if sequence == 500:
        print("under way", flush=True)
"""


def test_a_record_is_on_disk_before_the_next_one(tmp_path: Path) -> None:
    with Journal(tmp_path, CLOCK) as diary:
        diary.write(2.5, "c1", RecordKind.STARTED, {})
        assert (tmp_path / "records.jsonl").read_text() == '{"t": 1002.5, "client": "c1", "kind": "started"}\n'
        diary.write(2.6, "c1", RecordKind.ENDED, {"cause": "ü", "by": "client", "detail": {}})
    reading = journal.read(tmp_path / "records.jsonl")
    assert [r.kind for r in reading.records] == [RecordKind.STARTED, RecordKind.ENDED]
    assert reading.records[1].data["cause"] == "ü"
    assert reading.torn == ""


def test_a_secret_that_a_peer_sends_back_is_not_written(tmp_path: Path) -> None:
    said = {"stage": "PPP authentication", "reason": "E=691 M=no hunter22 here", "spis": ["00000691"], "result": 691}
    with Journal(tmp_path, CLOCK, redactor=Redactor([Secret("hunter22"), Secret("691")])) as diary:
        diary.write(2.5, "c1", RecordKind.FAILED, said)
        diary.write(2.6, "c1", RecordKind.MARK_SENT, {"sequence": 691, "size": 64})
        assert diary.records[0].data == said
    failed, sent = journal.read(tmp_path / "records.jsonl").records
    assert failed.data == said | {"reason": "E=*** M=no *** here"}
    assert sent.data == {"sequence": 691, "size": 64}


def test_all_whole_lines_survive_a_kill_of_the_writer(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "under way\n"
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait(timeout=30)
    writer.stdout.close()
    reading = journal.read(tmp_path / "records.jsonl")
    assert len(reading.records) > 500
    assert [r.data["sequence"] for r in reading.records] == list(range(len(reading.records)))
    assert reading.torn == ""


def test_a_torn_last_line_is_told_and_a_broken_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    whole = '{"t": 1.0, "client": "c1", "kind": "started"}\n'
    path.write_text(whole + '{"t": 2.0, "cli')
    reading = journal.read(path)
    assert (len(reading.records), reading.torn) == (1, '{"t": 2.0, "cli')
    for broken in ("nonsense\n", "[]\n", '{"t": 1}\n', '{"t": 1, "client": "c1", "kind": "unheard-of"}\n'):
        path.write_text(whole + broken)
        with pytest.raises(CaptureError, match=r"records\.jsonl:2: not a record"):
            journal.read(path)


def test_the_keys_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "keys.jsonl").write_text("")
    (tmp_path / "keys.jsonl").chmod(0o644)  # an older file, open to all
    with Journal(tmp_path, CLOCK) as diary:
        cookies, key, iv = (b"\1" * 8, b"\2" * 8), b"\3" * 32, b"\4" * 16
        diary.ike_keys(1.0, "c1", IkeUp(*cookies, "aes-256", "sha1", "modp2048", 28800, True, False, key, False, iv))
        diary.esp_keys(2.0, PLAN, EspUp(1, 0xC0FFEE, "udp-transport", "aes-128", "sha1", 3600, 0, b"a", b"b", b"c", b"d", False))
    assert stat.S_IMODE((tmp_path / "keys.jsonl").stat().st_mode) == 0o600
    ike, inward, outward = (json.loads(line) for line in (tmp_path / "keys.jsonl").read_text().splitlines())
    assert ike == {
        "t": 1001.0, "client": "c1", "kind": "ike", "icookie": "01" * 8, "rcookie": "02" * 8, "encryption": "aes-256",
        "hash": "sha1", "key": "03" * 32, "iv": "04" * 16,
    }  # fmt: skip
    assert inward == {
        "t": 1002.0, "client": "c1", "kind": "esp", "spi": "00000001", "direction": "in", "encryption": "aes-128",
        "authentication": "sha1", "key": "61", "auth_key": "62", "gateway": "203.0.113.231",
    }  # fmt: skip
    assert (outward["spi"], outward["direction"], outward["key"], outward["auth_key"]) == ("00c0ffee", "out", "63", "64")


def test_the_offset_comes_from_the_closest_pair_of_readings() -> None:
    ticks = iter([0.0, 5.0, 10.0, 10.1, 20.0, 29.0, 30.0, 39.0, 40.0, 49.0])
    readings = iter([100.0, 200.05, 300.0, 400.0, 500.0])
    clock = RunClock.fix(lambda: next(ticks), lambda: next(readings))
    assert clock.offset == pytest.approx(200.05 - 10.05)
    assert clock.epoch(1.0) == pytest.approx(191.0)


def test_a_stepped_clock_shows_as_drift() -> None:
    now = {"epoch": 1005.0}
    clock = RunClock.fix(lambda: 5.0, lambda: now["epoch"])
    assert clock.drift() == 0.0
    now["epoch"] += 3.0
    assert clock.drift() == 3.0
