"""Routers that are there already: refused where somebody uses them, configured anew for each script, left as they were found."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from harness.devices import journal
from harness.errors import DeviceError, LabError
from harness.lab import field_routers, reached
from harness.lab.field_routers import UNDEBUG, FieldRouters
from harness.model import Side
from harness.model.reach import Allowance, CaptureSource, Connection
from harness.model.router_lab import LAC, LNS, WIRE, Card, RouterLab, RouterSpec
from harness.model.testbed import Interface

IDLE = {"show vpdn": "%No active L2TP tunnels\n%No active L2F tunnels\n", "show crypto ipsec sa": "No SAs found\n"}
BUSY = """\
L2TP Tunnel and Session Information Total tunnels 1 sessions 0

LocID RemID Remote Name   State  Remote Address  Port  Sessions VPDN Group
33393 2640  LAC           est    203.0.113.9     1701  0        1
"""
FOUND = "hostname R1\ninterface FastEthernet0/0\n ip address 10.0.0.12 255.255.255.0\nend\n"


class Driver:
    """A router that keeps what is done to it. `world` has all of them by their devices."""

    def __init__(self, world, connection, journal, secrets):
        self.name = connection.device
        self.world = world
        self.done = world.done.setdefault(self.name, [])
        self.changed = False
        world.drivers[self.name] = self

    async def connect(self):
        pass

    async def disconnect(self):
        self.done.append("disconnect")

    async def reconnect(self):
        return False

    async def execute(self, command):
        if command not in self.world.shows.get(self.name, IDLE):
            self.done.append(command)
            return ""
        return self.world.shows.get(self.name, IDLE)[command]

    async def running_config(self):
        return self.world.configs.get(self.name, FOUND)

    async def configure(self, lines):
        self.changed = True
        self.done.append(("configure", *lines))

    async def restore(self):
        if self.world.stuck == self.name:
            raise DeviceError(self.name, "put back", "it does not answer")
        if self.changed:
            self.done.append("restore")
        self.changed = False


class Lent:
    def __init__(self, world):
        self.world = world

    def check(self):
        return (SimpleNamespace(name="nic0", to_json=lambda: "{}"),)

    def not_here(self):
        return ()

    def up(self):
        self.world.lent = True

    def down(self):
        self.world.lent = False


class Locks:
    """Of which nothing more is asked here than that they are taken, and given back."""

    lost = None

    def __init__(self, world):
        self.world = world

    async def take(self, router):
        self.world.locked.add(router.name)

    def beat(self):
        pass

    async def release(self, reach):
        self.world.locked.clear()


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    one = SimpleNamespace(done={}, drivers={}, shows={}, configs={}, stuck="", lent=False, locked=set())
    monkeypatch.setattr(reached, "Ios", lambda connection, **_: Driver(one, connection, None, ()))
    monkeypatch.setattr(reached, "DeviceLocks", lambda *_: Locks(one))
    monkeypatch.setattr(field_routers, "Ios", lambda connection, **given: Driver(one, connection, **given))
    monkeypatch.setattr(field_routers, "Segment", lambda *_: Lent(one))
    routers = {
        role: RouterSpec(role, "ios", Connection(role, f"192.0.2.{n}"), {"wire": Interface("Fa0/0", f"{WIRE[role]}/24", "wire")})
        for n, role in enumerate((LAC, LNS), 1)
    }
    source = {Side.OUTSIDE: CaptureSource("nic", "span0")}
    testbed = RouterLab("r", "r.yaml", routers, Card("nic0", 1), source, Allowance(("172.16.1.1/32",), 10))
    one.lab = lambda: FieldRouters(testbed, lambda _: None)
    return one


def changes(world, device):
    return [one for one in world.done[device] if one == "restore" or one[0] == "configure"]


def test_each_script_finds_routers_as_they_were_found_and_so_does_who_comes_after(world):
    async def play():
        lab = world.lab()
        await lab.up()
        assert world.lent
        assert world.locked == {LAC, LNS}
        await lab.fresh({LAC: ["one"], LNS: ["two"]})
        await lab.fresh({LNS: ["three"]})
        await lab.down()
        await lab.down()

    asyncio.run(play())
    assert changes(world, LAC) == [("configure", "one"), "restore"]
    assert changes(world, LNS) == [("configure", "two"), "restore", ("configure", "three"), "restore"]
    assert not world.lent
    assert not world.locked
    assert not journal.kept()


def test_a_router_with_somebody_s_tunnels_is_left_alone(world):
    world.shows[LNS] = {**IDLE, "show vpdn": BUSY}
    with pytest.raises(DeviceError, match=r"1 L2TP tunnel \(203.0.113.9\), which a run would end"):
        asyncio.run(world.lab().up())
    assert {name: [one for one in done if one != "disconnect"] for name, done in world.done.items()} == {LAC: [], LNS: []}
    assert not world.lent
    assert not journal.kept()


def test_so_is_one_that_is_configured_for_tunnels(world):
    world.configs[LAC] = FOUND.replace("end\n", "vpdn-group 7\n accept-dialin\nend\n")
    with pytest.raises(DeviceError, match="it has vpdn-group 7, beside which no script can be played"):
        asyncio.run(world.lab().up())
    assert changes(world, LAC) == []


def test_nothing_more_is_played_on_routers_that_were_not_put_back(world):
    async def play():
        lab = world.lab()
        await lab.up()
        await lab.fresh({LAC: ["one"], LNS: ["two"]})
        world.stuck = LAC
        for _ in range(2):
            with pytest.raises(LabError, match="it does not answer"):
                await lab.fresh({LAC: ["more"]})
        assert changes(world, LNS)[-1] == "restore"  # the other one was
        world.stuck = ""
        await lab.down()

    asyncio.run(play())
    assert changes(world, LAC) == [("configure", "one"), "restore"]


def test_debugging_is_in_the_journal_before_it_is_on_and_off_at_the_end(world):
    async def play():
        lab = world.lab()
        await lab.up()
        await lab.fresh({LNS: ["two"]})
        lab.debugs(LNS)
        lab.debugs(LNS)
        (kept,) = journal.kept()
        assert [undo.commands for _, undo in kept.open if undo.through == "ios"] == [(("undebug", "all"),)]
        await lab.down()

    asyncio.run(play())
    assert world.done[LNS].count(UNDEBUG) == 1
    assert UNDEBUG not in world.done.get(LAC, [])
    assert not journal.kept()
