"""A lab of devices that are there: whatever fails in it, at whatever step, all is given back, or the command that does it is told.

Devices run the scripts of locks and directories by this machine's bash, each in a folder of its own; what they are is a word.
"""

import asyncio
import os
import subprocess
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.devices import journal
from harness.devices.ios.driver import Ios
from harness.devices.journal import Journal, Undo, reached
from harness.errors import DeviceError, LabError, UsageError
from harness.lab import field, field_gateways, remote
from harness.lab import reached as base
from harness.lab.field import FieldLab
from harness.lab.field_locks import DeviceLocks
from harness.lab.providers import device_lock
from harness.lab.providers.device_lock import Claim
from harness.lab.providers.lock import Lock
from harness.lab.providers.static import device_keys, taken_by
from harness.model import CaptureSource, Connection
from harness.testbed import check

ROOT = Path(__file__).resolve().parents[2]
AT_REST = {"nic": "home", "nat": "theirs", "gateway": "theirs", "sessions": 0}
WAITING = ("login nat", "login gateway", "login host", "clock nat", "clock gateway", "nat.start", "nat.forget")
UP = ("segment.check", *WAITING, "segment.up")
ENDS = {
    "device": lambda: DeviceError("it", "do", "it did not"),
    "lab": lambda: LabError("a step", "it failed"),
    "usage": lambda: UsageError("a mistake"),
    "os": lambda: OSError(5, "broken"),
}


class World:
    """What the devices are now. `at` names a moment: `breaks` says what happens there (a callable that gives an exception, or
    "ctrl-c"), as often as it is in the list."""

    def __init__(self, folder, testbed):
        self.folder = folder
        self.testbed = testbed
        self.is_now = dict(AT_REST)
        self.breaks = {}
        self.told = []
        self.strange = ()  # what the testbed protects, and this machine has not
        self.saved = []

    async def at(self, moment):
        if self.breaks.get(moment):
            end = self.breaks[moment].pop(0)
            if end == "ctrl-c":
                asyncio.current_task().cancel()
                await asyncio.sleep(0)
            raise end()

    def now(self, moment):
        if self.breaks.get(moment):
            raise self.breaks[moment].pop(0)()

    @property
    def files(self):
        found = [path.name for path in self.folder.rglob("*") if path.is_file()]
        return sorted(name for name in found if name not in ("id", "known_hosts", ".guard"))

    def lab(self):
        return FieldLab(self.testbed, self.told.append)


class Device:
    def __init__(self, world, connection):
        self.world = world
        self.connection = connection
        self.name = connection.device
        self.folder = world.folder / connection.host
        self.folder.mkdir(exist_ok=True)
        self.is_open = False

    async def open(self):
        if not self.is_open:
            await self.world.at(f"login {self.name}")
            self.is_open = True
            self.world.is_now["sessions"] += 1

    async def close(self):
        if self.is_open:
            self.is_open = False
            self.world.is_now["sessions"] -= 1

    async def __aenter__(self):
        await self.open()
        return self

    async def __aexit__(self, *_):
        await self.close()

    async def execute(self, script, timeout=30.0):
        await self.world.at(f"execute {self.name}")
        script = script.replace(device_lock.FILE, f"{self.folder}/natstorm.lock")
        script = script.replace(remote.PLACES, f"{self.folder}/natstorm-run.")
        words = ["bash", "-s"]
        done = await asyncio.to_thread(subprocess.run, words, input=script, capture_output=True, text=True, timeout=60, check=False)
        return SimpleNamespace(status=done.returncode, output=done.stdout + done.stderr)


class Changed:
    """A driver's part: what the device is is saved before it is changed, and put back."""

    def __init__(self, world, what, book, connection):
        self.world, self.what, self.book, self.connection = world, what, book, connection
        self.driver = SimpleNamespace(notes=(f"{what}: a note",))
        self.kept = None

    async def start(self):
        self.world.saved.append(self.world.is_now[self.what])
        undo = Undo((f"put the {self.what} back",), "linux", self.what, reached(self.connection), script="true\n")
        self.kept = self.book.before(undo)
        self.world.is_now[self.what] = "natstorm's"
        await self.world.at(f"{self.what}.start")

    async def restore(self):
        await self.world.at(f"{self.what}.restore")
        if self.kept is not None:
            self.world.is_now[self.what] = "theirs"
            self.book.done(self.kept)
            self.kept = None

    stop = restore

    async def forget(self):
        await self.world.at("nat.forget")


class Lent:
    def __init__(self, world):
        self.world = world

    def check(self):
        self.world.now("segment.check")
        return (SimpleNamespace(name="nic0", to_json=lambda: "{}"),)

    def not_here(self):
        return self.world.strange

    def up(self):
        self.world.is_now["nic"] = "lent"
        self.world.now("segment.up")

    def down(self):
        self.world.now("segment.down")
        self.world.is_now["nic"] = "home"


@pytest.fixture
def world(tmp_path, monkeypatch):
    for name in ("id", "known_hosts"):
        (tmp_path / name).write_text("")
    monkeypatch.setenv("NATSTORM_BOX", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    one = World(tmp_path, check(ROOT / "testbeds/bench-in-a-box.yaml"))

    async def clock_told(device, apart_s):
        await one.at(f"clock {device.name}")
        return f"the clock of {device.name} is right"

    def nat(execute, spec, prefix, *, name, journal, connection):
        return Changed(one, "nat", journal, connection)

    def gateway(testbed, variant, device, book, **_):
        return Changed(one, "gateway", book, device.connection)

    monkeypatch.setattr(base, "SshConnection", lambda connection, **_: Device(one, connection))
    monkeypatch.setattr(field, "of_clients", lambda testbed: Lent(one))
    monkeypatch.setattr(field, "LinuxNat", nat)
    monkeypatch.setattr(field, "field_gateway", gateway)
    monkeypatch.setattr(base.clock, "told", clock_told)
    return one


def as_found(world):
    assert world.is_now == AT_REST
    assert world.files == []  # no lock, here or there; no journal


def dead(book):
    """Its run is gone, and did not get to anything more."""
    os.close(book._handle)
    book._handle = -1


def test_all_is_given_back_and_locked_meanwhile(world):
    async def play():
        lab = world.lab()
        await lab.up()
        await lab.fresh_gateway("demux")
        await lab.fresh_gateway("plain")
        assert world.saved == ["theirs"] * 3
        assert world.is_now == {"nic": "lent", "nat": "natstorm's", "gateway": "natstorm's", "sessions": 3}
        assert world.files.count("natstorm.lock") == 3
        with pytest.raises(LabError, match="it is held by"):
            await world.lab().up()
        assert world.is_now["nic"] == "lent"
        await lab.down()
        await lab.down()

    asyncio.run(play())
    as_found(world)


@pytest.mark.parametrize(
    ("moment", "end"), [(moment, end) for moment in UP for end in ("device", "os")] + [(moment, "ctrl-c") for moment in WAITING]
)
def test_a_step_that_fails_leaves_nothing(world, moment, end):
    world.breaks[moment] = ["ctrl-c" if end == "ctrl-c" else ENDS[end]]

    async def play():
        await world.lab().up()

    with pytest.raises(asyncio.CancelledError if end == "ctrl-c" else (DeviceError, LabError, UsageError)) as caught:
        asyncio.run(play())
    assert "natstorm restore" not in str(caught.value)  # nothing is left to do
    assert world.breaks[moment] == []
    as_found(world)


@pytest.mark.parametrize("end", [*ENDS, "ctrl-c"])
@pytest.mark.parametrize("moment", ["nat.forget", "gateway.start"])
def test_a_gateway_that_does_not_begin_is_put_back(world, moment, end):
    async def play():
        lab = world.lab()
        await lab.up()
        world.breaks[moment] = ["ctrl-c" if end == "ctrl-c" else ENDS[end]]
        task = asyncio.create_task(lab.fresh_gateway("demux"))
        with pytest.raises((DeviceError, LabError, UsageError, asyncio.CancelledError)):
            await task
        assert world.breaks[moment] == []
        await lab.fresh_gateway("plain")  # another scenario saves what was there, and not what the first one wrote
        assert set(world.saved) == {"theirs"}
        await lab.down()

    asyncio.run(play())
    as_found(world)


def test_a_gateway_that_is_not_put_back_is_kept_and_no_more_is_played_on_it(world):
    async def play():
        lab = world.lab()
        await lab.up()
        await lab.fresh_gateway("demux")
        world.breaks["gateway.restore"] = [ENDS["device"]]
        for told in (r"put the gateway back: it: 'do'", "it was not put back after the last scenario"):
            with pytest.raises(LabError, match=rf"(?s){told}.*cure: .*natstorm restore --testbed .*bench-in-a-box\.yaml"):
                await lab.fresh_gateway("plain")
        assert world.saved == ["theirs"] * 2  # nothing of natstorm's was saved
        assert world.is_now["gateway"] == "natstorm's"
        await lab.down()  # tries again

    asyncio.run(play())
    as_found(world)


@pytest.mark.parametrize(
    ("moment", "word", "end"),
    [
        ("gateway.restore", "gateway", "device"),
        ("gateway.restore", "gateway", "ctrl-c"),
        ("nat.restore", "nat", "device"),
        ("nat.restore", "nat", "ctrl-c"),
        ("segment.down", "nic", "lab"),
    ],
)
def test_what_cannot_be_put_back_stays_in_the_journal_and_the_rest_is_done(world, moment, word, end):
    async def play():
        lab = world.lab()
        await lab.up()
        await lab.fresh_gateway("demux")
        world.breaks[moment] = ["ctrl-c" if end == "ctrl-c" else ENDS[end]] * 2
        task = asyncio.create_task(lab.down())
        with pytest.raises((LabError, asyncio.CancelledError)) as caught:
            await task
        told = "\n".join([*world.told, str(caught.value)])
        assert "left to do: " in told
        assert "natstorm restore --testbed" in told

    asyncio.run(play())
    left = dict(AT_REST) | {word: "lent" if word == "nic" else "natstorm's"}
    assert world.is_now == left
    (kept,) = journal.kept()
    assert [undo.device or "nic" for _, undo in kept.open] == [word]
    assert world.files == [kept.path.name]  # the locks are free


def test_what_fails_on_the_way_up_and_back_names_the_command(world):
    world.breaks = {"segment.up": [ENDS["lab"]], "nat.restore": [ENDS["device"]]}
    with pytest.raises(LabError, match=r"(?s)a step: it failed.*and then: .*it did not.*cure: .*natstorm restore --testbed"):
        asyncio.run(world.lab().up())
    assert world.is_now == AT_REST | {"nat": "natstorm's"}


def test_a_device_that_a_killed_run_left_changed_is_not_begun_on(world):
    connection = Connection("router", "10.99.0.2")  # another testbed's name of the same device
    book = Journal.create("other", "/somewhere/other.yaml")
    number = book.before(Undo(("put the nat back",), "linux", "router", reached(connection), script="true\n"))
    dead(book)
    told = r"(?s)nat was left changed by a run that is over.*restore --testbed /somewhere/other\.yaml"
    with pytest.raises(LabError, match=told):
        asyncio.run(world.lab().up())
    assert world.is_now == AT_REST
    (kept,) = journal.kept()
    again = journal.reopen(kept)
    again.done(number)
    again.close()
    asyncio.run(up_and_down(world))
    as_found(world)


def test_a_source_that_cannot_capture_forbids_the_run_before_anything_is_changed(world):
    """And the next scenario finds nothing of it in its way."""

    async def look():
        assert world.is_now["sessions"] == 3
        assert (world.is_now["nat"], world.is_now["nic"]) == ("theirs", "home")
        raise DeviceError("nat", "tcpdump", "it is not there")

    for _ in range(2):
        with pytest.raises(DeviceError, match="it is not there"):
            asyncio.run(world.lab().up(look))
        assert world.saved == []
        as_found(world)


async def up_and_down(world):
    lab = world.lab()
    await lab.up()
    await lab.down()


def test_the_interface_too_and_nothing_that_is_in_nobodys_way(world):
    book = Journal.create("this", world.testbed.file)
    book.before(Undo(("remove x",), "linux", "nat", reached(world.testbed.nat.connection), script="true\n", harmless=True))
    far = Connection("nat", "10.99.0.2", jump=Connection("jump", "198.18.0.1"))
    book.before(Undo(("put back",), "linux", "nat", reached(far), script="true\n"))  # the same address behind another machine
    dead(book)
    asyncio.run(up_and_down(world))
    book = Journal.create("this", world.testbed.file)
    book.before(Undo(("bring nic0 back",), commands=(("true",),)))
    dead(book)
    with pytest.raises(LabError, match="this machine was left changed"):
        asyncio.run(up_and_down(world))


def test_a_killed_runs_locks_stay_here_and_there_and_end_with_its_owner(world, monkeypatch):
    """What SIGKILL leaves: the files, whose owner is looked at by whoever comes next."""

    def forget_it():
        lab = world.lab()
        asyncio.run(lab.up())
        lab._locks._end.set()
        lab._lock._end.set()
        return lab

    first = forget_it()
    world.is_now = dict(AT_REST)
    assert world.files.count("natstorm.lock") == 3
    assert len([name for name in world.files if name.endswith(".json")]) == 3
    dead(first._journal)
    for kept in journal.kept():
        kept.path.unlink()
    with pytest.raises(LabError, match="it is held by"):
        asyncio.run(world.lab().up())  # it lives: this process
    world.told.clear()
    monkeypatch.setattr("harness.lab.providers.lock.start_time", lambda _pid: 1)
    monkeypatch.setattr("harness.lab.providers.device_lock.start_time", lambda _pid: 1)
    asyncio.run(up_and_down(world))
    assert sum(f"process {os.getpid()} is gone" in line for line in world.told) == 6  # on three devices, here and there
    as_found(world)


def test_machines_that_share_nothing_exclude_each_other(world, monkeypatch, tmp_path):
    async def play():
        lab = world.lab()
        await lab.up()
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
        monkeypatch.setattr(device_lock, "here", lambda: "another boot")
        with pytest.raises(LabError, match="on nat itself: it is held by"):
            await world.lab().up()
        await lab.down()

    asyncio.run(play())
    as_found(world)


def test_a_router_is_locked_in_its_own_configuration(world, monkeypatch, tmp_path):
    """By another machine's run that shares nothing with this one but the router, and is told of it before anything is changed."""
    lines = {}

    class Router(Ios):
        async def connect(self):
            await world.at("login router")

        async def running_config(self):
            return "\n".join([*lines.values(), "end\n"])

        async def type(self, typed):
            for line in typed:
                name = line.removeprefix("no ").split()[2]
                lines.pop(name, None) if line.startswith("no ") else lines.update({name: line})

    monkeypatch.setattr(base, "Ios", Router)
    world.testbed = check(ROOT / "testbeds/bench-in-a-box-ios.yaml")

    async def play():
        lab = world.lab()
        await lab.up()
        assert [line.rpartition(" for ")[2] for line in lines.values()] == ["natstorm qualify"]
        assert sum(undo.what[0].startswith("release the lock of this run (no alias") for _, undo in lab._journal.open) == 1
        await lab._locks.renew()
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
        # The other run's Linux machines are others.
        alone = replace(world.testbed.gateway, end_host_connection=None)
        world.testbed = replace(world.testbed, nat=replace(world.testbed.nat, connection=None), gateway=alone)
        with pytest.raises(LabError, match=r"lock gateway on gateway itself: it is held by .* for 'natstorm qualify'"):
            await world.lab().up()
        assert world.is_now["nat"] == "natstorm's"  # the first one's, and untouched
        lines.clear()
        with pytest.raises(LabError, match="its line is gone"):
            await lab._locks.renew()
        await lab.down()

    asyncio.run(play())
    assert lines == {}
    as_found(world)


@pytest.mark.parametrize("which", ["here", "there"])
def test_a_lock_that_is_lost_ends_the_playing(world, which, monkeypatch):
    async def play():
        lab = world.lab()
        await lab.up()
        assert lab.lost is None
        if which == "here":
            for file in (world.folder / "state/natstorm/locks").glob("*.json"):
                file.unlink()
            with pytest.raises(LabError):
                lab._lock.renew()
        else:
            (world.folder / "10.99.0.2/natstorm.lock").write_text("token another\nexpires 99999999999\n")
            lab._locks._end.set()
            lab._locks._heart.join()
            lab._locks._end.clear()
            monkeypatch.setattr(lab._locks, "_claim", replace(lab._locks._claim, lasts_s=0.001))
            await asyncio.to_thread(lab._locks._beat)
        assert "it was lost" in str(lab.lost)
        with pytest.raises(LabError, match="it was lost"):
            await lab.fresh_gateway("demux")
        assert world.is_now["gateway"] == "theirs"
        await lab.down()

    asyncio.run(play())
    assert world.is_now == AT_REST


def test_locks_that_cannot_be_renewed_for_as_long_as_they_last_are_lost(world):
    book = Journal.create("x", "x.yaml")
    locks = DeviceLocks(Claim("x", "token", 0.001), lambda connection: Device(world, connection), book)

    async def play():
        device = Device(world, world.testbed.nat.connection)
        await locks.take(device)
        world.breaks["login nat"] = [ENDS["device"]] * 3
        await asyncio.to_thread(locks._beat)
        assert "they could not be renewed" in str(locks.lost)

        async def reach(_):
            return device

        await locks.release(reach)

    asyncio.run(play())
    book.close()
    as_found(world)


def test_who_captures_is_locked_and_who_is_only_gone_through_is_not(world):
    jump = Connection("jump", "198.18.0.1")
    tap = CaptureSource("tcpdump", "eth0", Connection("tap", "198.18.0.2", jump=jump))
    testbed = replace(world.testbed, nat=replace(world.testbed.nat, inside_capture=tap))
    assert [one.device for one in taken_by(testbed)] == ["nat", "gateway", "host", "tap"]
    assert device_keys(taken_by(testbed))[-1] == "198.18.0.2 behind 198.18.0.1"


def test_a_directory_on_a_device_is_in_the_journal_before_it_is_there(world):
    book = Journal.create("x", "x.yaml")

    async def play():
        device = Device(world, world.testbed.gateway.connection)
        world.breaks["execute gateway"] = [ENDS["device"], ENDS["device"]]
        with pytest.raises(DeviceError):
            await remote.Remote.on(device, book)
        ((_, undo),) = book.open  # whether it was made nobody knows
        assert undo.script.startswith(f"rm -rf -- {remote.PLACES}")
        await device.execute(undo.script)
        machine = await remote.Remote.on(device, book)
        assert len(book.open) == 2
        assert len(list(device.folder.glob("natstorm-run.*"))) == 1
        world.breaks["execute gateway"] = [ENDS["device"]]
        with pytest.raises(DeviceError):
            await machine.leave()
        assert len(book.open) == 2
        await machine.leave()
        assert len(book.open) == 1
        assert list(device.folder.glob("natstorm-run.*")) == []

    asyncio.run(play())


@pytest.mark.parametrize("broken", ["", "restore", "witness"])
def test_a_gateways_directory_goes_whatever_ends_it(world, broken, monkeypatch, tmp_path):
    book = Journal.create("x", "x.yaml")

    class Driver:
        settings = None

        async def restore(self):
            if broken == "restore":
                raise ENDS["device"]()

    class Looking:
        def __init__(self, fails):
            self.fails = fails
            self.stopped = False

        async def start(self):
            if self.fails:
                raise ENDS["device"]()

        async def stop(self, folder):
            self.stopped = True
            if self.fails:
                raise ENDS["device"]()

    witnesses = [Looking(broken == "witness"), Looking(False)]
    monkeypatch.setattr(field_gateways.witness, "of_variant", lambda *_: witnesses)

    async def play():
        device = Device(world, world.testbed.gateway.connection)
        gateway = field_gateways.StrongswanGateway(device, Driver(), book)
        with suppress(DeviceError):
            await gateway.start_witnesses()
        assert len(list(device.folder.glob("natstorm-run.*"))) == 1
        if broken == "restore":
            with pytest.raises(DeviceError):
                await gateway.stop()
        elif broken == "witness":
            with pytest.raises(DeviceError):
                await gateway.stop_witnesses(tmp_path)
            assert [one.stopped for one in witnesses] == [True, True]
        else:
            await gateway.stop()
        assert list(device.folder.glob("natstorm-run.*")) == []

    asyncio.run(play())
    assert book.open == ()


def test_restore_holds_the_locks_of_what_it_touches(world, capsys):
    from harness.lab import field_locks

    nat = world.testbed.nat.connection
    told = []

    def held(purpose):
        return field_locks.held([nat], [], purpose, told.append, session=lambda connection: Device(world, connection))

    with held("natstorm restore"):
        assert world.files.count("natstorm.lock") == 1
        with pytest.raises(LabError, match="for 'natstorm restore'"):
            asyncio.run(world.lab().up())
    assert told == []
    as_found(world)
    other = Lock(device_keys([nat]), "a run")
    other.acquire()
    with pytest.raises(LabError, match="for 'a run'"), held("natstorm restore"):
        raise AssertionError("it must not begin")
    other.release()
    world.breaks["login nat"] = [ENDS["device"]] * 2
    with held("natstorm restore"):
        assert "nat is not locked: it: 'do': it did not" in told
    as_found(world)


def test_what_is_protected_and_not_there_is_told(world):
    world.strange = ("en01",)

    async def play():
        lab = world.lab()
        await lab.up()
        await lab.down()

    asyncio.run(play())
    assert "this machine has no en01, which testbed.custom.management names: nothing is protected by that" in world.told
