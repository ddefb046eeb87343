"""Locks on devices: who gets one, what is told to who does not, and when one is over."""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import LabError
from harness.lab.providers import lock as locks
from harness.lab.providers.lock import Lock
from harness.lab.providers.static import Static, device_keys
from harness.model.reach import Connection
from harness.testbed import check as load_check

ROOT = Path(__file__).resolve().parents[3]
NOON = 1_800_000_000.0


class Clock:
    def __init__(self, now=NOON):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(tmp_path, clock):
    def one(*devices, purpose="nightly", **options):
        return Lock(devices, purpose, tmp_path / "locks", clock=clock, lasts_s=600.0, **options)

    return one


def files(tmp_path):
    return sorted(file.name for file in (tmp_path / "locks").iterdir() if file.suffix == ".json")


def test_a_second_job_is_refused_with_owner_purpose_and_expiry(make):
    make("192.0.2.1", purpose="release 12.4").acquire()
    with pytest.raises(LabError) as refused:
        make("192.0.2.1").acquire()
    said = str(refused.value)
    assert f"(process {os.getpid()})" in said
    assert f"@{os.uname().nodename}" in said
    assert "'release 12.4'" in said
    assert "until 2027-01-15T08:10:00.000Z" in said


def test_the_file_says_who_why_and_until_when(make, tmp_path):
    make("192.0.2.1").acquire()
    (name,) = files(tmp_path)
    found = json.loads((tmp_path / "locks" / name).read_text())
    assert name.startswith("192.0.2.1-")
    assert found["owner"].endswith(f"@{os.uname().nodename}")
    assert (found["device"], found["pid"], found["purpose"]) == ("192.0.2.1", os.getpid(), "nightly")
    assert (found["since"], found["expires"]) == ("2027-01-15T08:00:00.000Z", "2027-01-15T08:10:00.000Z")


def test_sets_that_share_one_device_exclude_each_other_and_none_is_half_taken(make, tmp_path):
    make("b").acquire()
    with pytest.raises(LabError, match="lock b"):
        make("a", "b", "c").acquire()
    assert len(files(tmp_path)) == 1
    assert make("a", "c").acquire() == ()


def test_released_it_is_free(make, tmp_path):
    first = make("a", "b")
    first.acquire()
    first.release()
    first.release()
    assert files(tmp_path) == []
    assert make("b").acquire() == ()


def test_expired_it_is_taken_over_and_that_is_said(make, clock):
    make("a", purpose="forgotten").acquire()
    clock.now += 599.9
    with pytest.raises(LabError):
        make("a").acquire()
    clock.now += 0.1
    (note,) = make("a").acquire()
    assert "'forgotten'" in note
    assert "it expired at 2027-01-15T08:10:00.000Z" in note


def test_renewed_it_lasts(make, clock):
    first = make("a")
    first.acquire()
    clock.now += 500
    first.renew()
    clock.now += 500
    with pytest.raises(LabError, match="is held by"):
        make("a").acquire()


def test_who_stood_still_for_too_long_is_told_and_takes_nothing_away(make, clock):
    slow, quick = make("a", purpose="slow"), make("a", purpose="quick")
    slow.acquire()
    clock.now += 601
    quick.acquire()
    with pytest.raises(LabError, match=r"it was lost: it is held by .*'quick'"):
        slow.renew()
    slow.release()
    with pytest.raises(LabError, match="'quick'"):
        make("a").acquire()


def test_the_heartbeat_renews_and_says_when_it_is_lost(make, clock, tmp_path):
    lock, turns, beaten = make("a"), threading.Semaphore(0), threading.Semaphore(0)

    def wait(seconds):
        assert seconds == 200.0
        beaten.release()
        assert turns.acquire(timeout=30)
        return False

    lock.acquire()
    lock.beat(wait)
    assert beaten.acquire(timeout=30)
    clock.now += 599
    turns.release()
    assert beaten.acquire(timeout=30)
    (name,) = files(tmp_path)
    assert json.loads((tmp_path / "locks" / name).read_text())["expires"] == "2027-01-15T08:19:59.000Z"
    (tmp_path / "locks" / name).unlink()
    turns.release()
    lock.release()
    assert "its file is gone" in str(lock.lost)


def test_a_directory_that_fails_for_a_moment_does_not_end_the_heartbeat(make, clock, tmp_path, monkeypatch):
    lock, waits = make("a"), iter([False, False, True])
    lock.acquire()
    failing = [LabError("lock the devices", "no space")]
    renew = lock.renew

    def once():
        if failing:
            raise failing.pop()
        renew()

    monkeypatch.setattr(lock, "renew", once)
    clock.now += 100
    lock.beat(lambda _seconds: next(waits))
    lock.release()
    assert lock.lost is None
    assert not failing


def test_a_file_that_cannot_be_understood_is_no_free_device(make, tmp_path):
    make("a").acquire()
    (name,) = files(tmp_path)
    (tmp_path / "locks" / name).write_text("{}")
    with pytest.raises(LabError, match=f"cannot be understood.*\n  cure: where no run uses a: rm .*{name}"):
        make("a").acquire()


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "state").write_text("")
    with pytest.raises(LabError, match=r"state/locks: Not a directory\n  cure: .*XDG_STATE_HOME"):
        Lock(["a"], "x", tmp_path / "state" / "locks").acquire()


def test_the_directory_is_the_states_or_one_for_all(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert locks.default_directory() == Path("/state/natstorm/locks")
    monkeypatch.delenv("XDG_STATE_HOME")
    assert locks.default_directory() == Path("/var/lock/natstorm")


# --- processes ---


@contextmanager
def contenders(directory, count, devices=("192.0.2.1", "192.0.2.2")):
    command = [sys.executable, str(Path(__file__).parent / "lock_play.py"), str(directory)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen(
            [*command, f"job {number}", *devices], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        for number in range(count)
    ]
    try:
        assert all(one.stdout.readline() == "ready\n" for one in started)
        yield started
    finally:
        for one in started:
            one.kill()
            one.stdin.close()
            one.wait()
            one.stdout.close()


def contend(processes):
    """All at once; what each said."""
    for one in processes:
        one.stdin.write("acquire\n")
        one.stdin.flush()
    return [one.stdout.readline() for one in processes]


def winner(processes):
    said = contend(processes)
    won = [one for one, line in zip(processes, said, strict=True) if line.startswith("won")]
    assert len(won) == 1, said
    assert all(f"(process {won[0].pid})" in line for line in said if line.startswith("lost")), said
    return won[0], said[processes.index(won[0])]


def test_of_many_who_contend_exactly_one_wins(tmp_path):
    with contenders(tmp_path, 10) as processes:
        for _ in range(15):
            first, _ = winner(processes)
            first.stdin.write("release\n")
            first.stdin.flush()
            assert first.stdout.readline() == "free\n"


def test_a_killed_owners_lock_goes_to_exactly_one_of_many(tmp_path):
    with contenders(tmp_path, 8) as processes:
        left = list(processes)
        while len(left) > 3:
            first, _ = winner(left)
            first.send_signal(signal.SIGKILL)
            first.wait()
            left.remove(first)
            second, said = winner(left)
            assert said.count("was taken over from") == 2
            assert f"process {first.pid} is gone" in said
            second.stdin.write("release\n")
            second.stdin.flush()
            assert second.stdout.readline() == "free\n"


def test_an_expired_lock_goes_to_exactly_one_of_many(tmp_path):
    Lock(["192.0.2.2"], "old", tmp_path, clock=Clock(1.0)).acquire()
    with contenders(tmp_path, 8) as processes:
        _, said = winner(processes)
        assert "it expired at 1970-01-01T00:10:01.000Z" in said


def test_an_owner_elsewhere_is_over_by_expiry_alone(make, clock, monkeypatch):
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(locks, "here", lambda: "another boot pid:[1]")
        elsewhere.setattr(locks, "start_time", lambda _pid: 1)
        make("a", purpose="far away").acquire()
    with pytest.raises(LabError, match="'far away'"):
        make("a").acquire()
    clock.now += 600
    assert len(make("a").acquire()) == 1


def test_a_process_number_that_was_given_again_is_not_the_owner(make, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr(locks, "start_time", lambda _pid: 1)
        make("a").acquire()
    (note,) = make("a").acquire()
    assert f"process {os.getpid()} is gone" in note


def test_a_zombie_is_gone():
    child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert locks.start_time(child.pid) is None
    child.stdout.close()
    child.wait()
    assert locks.start_time(os.getpid()) is not None


# --- static ---

R1 = Connection("R1", "192.0.2.50", 5001, protocol="telnet")
R2 = Connection("R2", "192.0.2.50", 5002, protocol="telnet")
NAT = Connection("nat", "BOX.example", 22)


def test_devices_are_known_by_address():
    assert device_keys([R1, R2, NAT]) == ("192.0.2.50:5001", "192.0.2.50:5002", "box.example")
    assert device_keys([Connection("other", "box.example", 23)]) == ("box.example",)
    assert device_keys([Connection("far", "10.0.0.1", jump=NAT)]) == ("10.0.0.1 behind box.example",)


def test_static_is_up_while_it_holds_the_lock(make):
    lab = Static("bench", [R1, NAT], make(*device_keys([R1, NAT])))
    other = Static("bench of others", [NAT], make(*device_keys([NAT]), purpose="theirs"))
    assert not lab.status().up
    assert lab.up().up
    assert lab.up().notes == ()
    assert lab.console("R1") == ("192.0.2.50", 5001, "telnet")
    with pytest.raises(LabError, match="lock box"):
        other.up()
    lab.down()
    lab.down()
    assert other.up().up
    other.down()


def test_static_is_made_of_a_testbeds_connections(make):
    testbed = load_check(ROOT / "testbeds" / "virtual.yaml")
    with pytest.raises(LabError, match="names no device that is there already"):
        Static.of(testbed, "x", make=lambda *_: None)
    testbed = replace(testbed, nat=replace(testbed.nat, connection=NAT))
    lab = Static.of(testbed, "nightly", make=lambda keys, purpose, _directory: make(*keys, purpose=purpose))
    lab.up()
    assert [node.name for node in lab.status().nodes] == ["nat"]
    with pytest.raises(LabError, match="lock box"):
        make("box.example").acquire()
    lab.down()


def test_static_says_what_it_cannot_do_and_how_it_is_done(make):
    lab = Static("bench", [R1], make("a"))
    for attempt in (lab.link_down, lab.link_up, lab.capture):
        with pytest.raises(LabError, match=r"has no means for it\n  cure: "):
            attempt("x")
    with pytest.raises(LabError, match="one of R1"):
        lab.console("R2")


def test_static_tells_of_a_lock_that_was_lost(make, clock):
    lab = Static("bench", [R1], make("a"))
    lab.up()
    clock.now += 601
    make("a").acquire()
    with pytest.raises(LabError):
        lab.lock.renew()
    with pytest.raises(LabError, match="it was lost"):
        lab.status()
    lab.down()
