"""The lock that lies on a device: one who has it, whoever asks; its own clock; who is gone, and who is not."""

import asyncio
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest

from harness.errors import DeviceError, LabError
from harness.lab.providers import device_lock
from harness.lab.providers.device_lock import Claim


@pytest.fixture
def file(tmp_path):
    return tmp_path / "natstorm.lock"


@pytest.fixture
def claim(file):
    return lambda purpose, lasts_s=600.0: replace(Claim.new(purpose), file=str(file), lasts_s=lasts_s)


async def bash(script, timeout, before=""):
    script = before + script
    done = await asyncio.to_thread(subprocess.run, ["bash", "-s"], input=script, capture_output=True, text=True, check=False)
    return SimpleNamespace(status=done.returncode, output=done.stdout + done.stderr)


def take(claim, execute=bash):
    return asyncio.run(device_lock.take(execute, "nat", claim))


def leave(claim):
    asyncio.run(device_lock.leave(bash, "nat", claim))


def elsewhere(monkeypatch):
    """From now on this process is one of another machine."""
    monkeypatch.setattr(device_lock, "here", lambda: "another boot pid:[1]")


def test_whoever_has_it_has_it_alone_and_leaves_nothing(claim, file, monkeypatch):
    mine, theirs = claim("nightly run"), claim("by hand")
    assert take(mine) is None
    assert take(mine) is None  # renewed, or the same machine as another device
    elsewhere(monkeypatch)
    told = rf"lock nat on nat itself: it is held by .*@.* \(process {os.getpid()}\), for 'nightly run'; it expires in \d+ s"
    with pytest.raises(LabError, match=told):
        take(theirs)
    leave(theirs)  # not theirs to release
    assert file.exists()
    leave(mine)
    leave(mine)
    assert list(file.parent.iterdir()) == []
    assert take(theirs) is None


def test_it_expires_by_the_devices_clock(claim, monkeypatch):
    take(claim("left behind", 100))
    elsewhere(monkeypatch)

    def at(seconds):
        later = f'date() {{ echo $(( $(command date +%s) + {seconds} )); }}\n'

        async def execute(script, timeout):
            return await bash(script, timeout, later)

        return execute

    with pytest.raises(LabError, match="it is held by"):
        take(claim("next"), at(50))
    note = take(claim("next"), at(150))
    assert "taken over from" in note
    assert "for 'left behind': it expired" in note


def test_an_owner_of_this_machine_that_is_gone_is_seen_to_be(claim, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr(device_lock, "start_time", lambda _pid: 1)
        take(claim("killed"))
    assert f"process {os.getpid()} is gone" in take(claim("next"))


def test_an_owner_of_this_machine_that_lives_is_not_taken_from(claim):
    take(claim("alive"))
    with pytest.raises(LabError, match="for 'alive'"):
        take(claim("next"))


def test_of_many_at_once_one_gets_it(claim):
    def attempt(number):
        try:
            take(claim(f"job {number}"))
        except LabError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(attempt, range(12))) == 1


def test_what_cannot_be_understood_is_told_and_taken_over(claim, file):
    file.write_text("nonsense\n")
    assert f"{file} cannot be understood" in take(claim("next"))


def test_a_device_that_cannot_says_why(claim, tmp_path):
    with pytest.raises(DeviceError, match="nowhere"):
        take(replace(claim("x"), file=str(tmp_path / "nowhere" / "natstorm.lock")))


def test_a_lock_that_was_taken_away_by_a_reboot_is_had_again(claim, file):
    mine = claim("run")
    take(mine)
    file.unlink()
    assert take(mine) is None
    assert mine.token in file.read_text()
