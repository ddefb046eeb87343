"""The lock on a router itself: a line of its configuration, against the virtual router's own SSH server."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace

import pytest
from running import Running, connection

from harness.devices import journal, restore
from harness.devices.ios import lock_line
from harness.devices.ios.configurations import back_to, parse_config
from harness.devices.ios.driver import Ios
from harness.devices.ios.lock_line import LockLine
from harness.devices.journal import Journal
from harness.errors import DeviceError, LabError
from harness.lab import field_locks
from harness.lab.field_locks import DeviceLocks
from harness.lab.providers import router_lock
from harness.lab.providers.device_lock import Claim
from harness.virtual.ios.configuration import Configuration
from harness.virtual.ios.configure import load
from harness.virtual.ios.state import State

pytest.importorskip("asyncssh", reason="no module asyncssh (pip install 'natstorm[virtual-ios]')")
if shutil.which("ssh") is None:
    pytest.skip("no program ssh (Debian package openssh-client)", allow_module_level=True)

STARTUP = """\
hostname R1
username natstorm privilege 15 password 0 letmein-please
enable secret enable-me-too
alias exec sib show ip interface brief
line con 0
line vty 0 4
 login local
end
"""
NOON = 1_796_040_000.0  # 2026-11-30 12:00 UTC
LOW, HIGH = "0" * 32, "f" * 32


@pytest.fixture
def router(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with Running(State(startup=STARTUP, release="12.4(24)T"), tmp_path, telnet=False) as running:
        yield running


def claims(router):
    return lock_line.found(router.ask(lambda state: state.configuration.text()))


def somebody_types(router, line):
    def change(state):
        scratch = Configuration(state.configuration.tree)
        assert load(scratch, [line], state.features) == []
        state.configuration.become(scratch.tree)

    router.ask(change)


class Configured:
    """A router without a command line: its lock lines alone. `before[n]` is done before the n-th thing that is asked of it."""

    name = "edge"

    def __init__(self, lines, before=()):
        self.lines = lines
        self.before = list(before)

    async def running_config(self):
        await self._turn()
        return "".join(f"{line}\n" for line in self.lines.values()) + "end\n"

    async def type(self, lines):
        await self._turn()
        for line in lines:
            if line.startswith("no "):
                self.lines.pop(line.split()[3], None)
            else:
                self.lines[line.split()[2]] = line

    async def _turn(self):
        if self.before:
            await self.before.pop(0)()
        await asyncio.sleep(0)


async def at_once(_):
    await asyncio.sleep(0)


# --- the line ---


def test_a_line_says_who_has_it_until_when_and_for_what():
    one = LockLine("0123456789ab", "ci@runner-7", 4711, 88213, "5c1d3f20", NOON, "natstorm qualify")
    said = "ci@runner-7 process 4711/88213 at 5c1d3f20 until 2026-11-30T12:00:00Z for natstorm qualify"
    line = f"alias exec natstorm-lock-0123456789ab {said}"
    assert one.typed() == line
    assert lock_line.found(f"hostname x\n{line}\nalias exec sib show ip int brief\nend\n") == (one,)
    assert one.removal() == "no alias exec natstorm-lock-0123456789ab"


def test_no_owner_or_purpose_makes_a_line_that_a_router_would_not_take():
    one = LockLine("0123456789ab", "me?!\x1b " * 30, 2**22, 2**40, "5c1d3f20", NOON, "what?\n  it is | for \t" * 30)
    line = one.typed()
    assert len(line) <= 254
    assert not set("?!|\n\x1b") & set(line)
    (read,) = lock_line.found(line)
    assert (read.pid, read.expires) == (one.pid, one.expires)
    assert replace(one, owner="", purpose="").typed().endswith(" for a run")


@pytest.mark.parametrize("text", ["", "me", "me process 1/2 at x until noon for y", "me process 1 at x until 2026-11-30T12:00:00Z"])
def test_a_line_that_cannot_be_understood_counts_and_never_expires(text):
    lines = {"natstorm-lock-aa": f"alias exec natstorm-lock-aa {text}"}
    (one,) = lock_line.found("\n".join(lines.values()))
    assert one == LockLine("aa", text=text)
    with pytest.raises(LabError, match=r"cannot be understood.*(?s:.*)no alias exec natstorm-lock-aa, in configuration mode"):
        asyncio.run(router_lock.take(Configured(lines), Claim("x", LOW)))
    assert list(lines) == ["natstorm-lock-aa"]


def test_it_is_no_part_of_a_configuration_that_is_compared():
    one = LockLine("0123456789ab", "me@here", 1, 2, "x", NOON, "y").typed()
    assert back_to(parse_config(f"{STARTUP}"), parse_config(f"{one}\n{STARTUP}")) == []
    assert back_to(parse_config(f"{one}\n{STARTUP}"), parse_config(STARTUP)) == []


# --- two of them ---


def test_the_second_comer_is_told_by_name_and_the_first_leaves_nothing(router, monkeypatch):
    before = router.ask(lambda state: state.configuration.text())
    first, second = Claim("the nightly run", HIGH), Claim("mine", LOW)

    async def main():
        async with Ios(connection(router)) as one, Ios(connection(router)) as other:
            assert await router_lock.take(one, first) is None
            (line,) = await asyncio.to_thread(claims, router)
            assert (line.purpose, line.token) == ("the nightly run", HIGH[:12])
            with pytest.raises(LabError) as caught:
                await router_lock.take(other, second)
            said = str(caught.value)
            assert f"{line.owner} (process {line.pid}), for 'the nightly run', until {lock_line.utc(line.expires)}" in said
            assert f"no alias exec natstorm-lock-{HIGH[:12]}" in said
            await router_lock.renew(one, first, clock=lambda: line.expires)
            (renewed,) = await asyncio.to_thread(claims, router)
            assert renewed == replace(line, expires=line.expires + first.lasts_s)
            await router_lock.leave(other, second)
            assert await asyncio.to_thread(claims, router) == (renewed,)
            for _ in range(2):
                await router_lock.leave(one, first)
            assert await router_lock.take(other, second) is None
            await router_lock.leave(other, second)

    asyncio.run(main())
    assert router.ask(lambda state: state.configuration.text()) == before


@pytest.mark.parametrize("start", range(12))
@pytest.mark.parametrize("tokens", [(LOW, HIGH), (HIGH, LOW)])
def test_of_two_at_once_one_has_it_in_whatever_order_their_lines_come(start, tokens):
    """The second begins at each moment of the first one's taking."""
    lines = {}

    async def late(router, claim):
        for _ in range(start):
            await asyncio.sleep(0)
        return await router_lock.take(router, claim, pause=at_once)

    async def main():
        both = [Claim(name, token) for name, token in zip("ab", tokens, strict=True)]
        ends = await asyncio.gather(
            router_lock.take(Configured(lines), both[0], pause=at_once), late(Configured(lines), both[1]), return_exceptions=True
        )
        winners = [claim for claim, end in zip(both, ends, strict=True) if end is None]
        (loser,) = [end for end in ends if end is not None]
        assert len(winners) == 1
        assert isinstance(loser, LabError)
        assert list(lines) == [f"natstorm-lock-{winners[0].token[:12]}"]
        assert f"for '{winners[0].purpose}'" in str(loser)

    asyncio.run(main())


def test_what_has_expired_is_taken_over_and_told(router):
    left = LockLine("aaaaaaaaaaaa", "ci@elsewhere", 7, 8, "another", NOON, "the nightly run")
    somebody_types(router, left.typed())

    held = r"held by ci@elsewhere \(process 7\), for 'the nightly run', until 2026-11-30T12:00:00Z"

    async def main():
        async with Ios(connection(router)) as one:
            with pytest.raises(LabError, match=held):
                await router_lock.take(one, Claim("mine", LOW), clock=lambda: NOON - 1)
            assert await asyncio.to_thread(claims, router) == (left,)
            return await router_lock.take(one, Claim("mine", LOW), clock=lambda: NOON)

    note = asyncio.run(main())
    assert "taken over from ci@elsewhere (process 7)" in note
    assert note.endswith("it expired at 2026-11-30T12:00:00Z")
    assert [one.token for one in claims(router)] == [LOW[:12]]


def test_an_owner_of_this_machine_that_is_gone_is_seen_to_be():
    lines = {}
    asyncio.run(router_lock.take(Configured(lines), Claim("x", HIGH)))
    (own,) = lock_line.found("\n".join(lines.values()))
    lines.clear()
    gone = replace(own, token="aa", started=own.started + 1)
    lines["natstorm-lock-aa"] = gone.typed()
    assert f"process {own.pid} is gone" in asyncio.run(router_lock.take(Configured(lines), Claim("y", LOW)))
    lines["natstorm-lock-aa"] = replace(gone, where="another").typed()
    with pytest.raises(LabError, match="for 'x'"):
        asyncio.run(router_lock.take(Configured(lines), Claim("z", LOW)))


def test_a_holder_that_stood_still_for_too_long_has_lost_it():
    """Taken over and removed: it sees that its line is gone. Taken over at the very moment of its renewal: it sees the other's."""
    lines = {}

    def take(claim, clock):
        return router_lock.take(Configured(lines), claim, clock=lambda: clock, pause=at_once)

    first, second = Claim("first", LOW), Claim("second", HIGH)
    asyncio.run(take(first, NOON))
    asyncio.run(take(second, NOON + 600))
    with pytest.raises(LabError, match="its line is gone"):
        asyncio.run(router_lock.renew(Configured(lines), first, clock=lambda: NOON + 601))
    assert list(lines) == [f"natstorm-lock-{HIGH[:12]}"]
    lines.clear()

    async def taken_over():
        await take(second, NOON + 600)

    async def main():
        await take(first, NOON)
        # between its reading its own line and its typing it anew
        late = Configured(lines, [at_once_nothing, taken_over])
        with pytest.raises(LabError, match="for 'second'"):
            await router_lock.renew(late, first, clock=lambda: NOON + 601, pause=at_once)

    asyncio.run(main())
    assert list(lines) == [f"natstorm-lock-{HIGH[:12]}"]


async def at_once_nothing():
    pass


# --- a run's ---


def test_a_run_that_is_killed_leaves_it_and_restore_takes_it_away(router, tmp_path):
    there = connection(router)
    book = Journal.create("lab", "lab.yaml")
    before = router.ask(lambda state: state.configuration.text())
    locks = DeviceLocks(Claim.new("natstorm qualify"), Ios, book)

    async def take():
        async with Ios(there) as device:
            assert await locks.take(device) is None

    asyncio.run(take())
    ((_, undo),) = book.open
    assert undo.harmless
    assert undo.what[0].startswith("release the lock of this run (no alias exec natstorm-lock-")
    asyncio.run(locks.renew())
    # Another run, of this machine or not, is kept away by the line alone.
    with pytest.raises(LabError, match="for 'natstorm qualify'"), field_locks.held([there], [there], "natstorm restore", print):
        raise AssertionError("it must not begin")
    book.close()
    told = []
    (kept,) = journal.kept()
    assert asyncio.run(restore.put_back(kept, {"edge": there}, told.append)) == 0
    assert router.ask(lambda state: state.configuration.text()) == before
    assert not kept.path.exists()
    # What `natstorm restore` itself holds meanwhile; what is undone is undone again.
    with field_locks.held([there], [there], "natstorm restore", told.append):
        assert [one.purpose for one in claims(router)] == ["natstorm restore"]
        assert asyncio.run(restore._RUNNERS["ios"](undo, {"edge": there}, ())) == ()
    assert router.ask(lambda state: state.configuration.text()) == before


def test_a_lock_stays_out_of_what_a_run_puts_back(router, tmp_path):
    """Taken before the change and free before it is undone, and another's that is there by then: neither is put back nor told."""
    before = router.ask(lambda state: state.configuration.text())
    book, claim = Journal.create("lab", "lab.yaml"), Claim.new("x")
    later = LockLine("bbbbbbbbbbbb", "ci@elsewhere", 7, 8, "another", NOON, "next")

    async def main():
        async with Ios(connection(router), journal=book) as device:
            await router_lock.take(device, claim)
            await device.configure(["hostname R2"])
            await router_lock.leave(device, claim)
            await device.type([later.typed()])
            await device.restore()  # ChangedMeanwhile where it took the line for somebody's

    asyncio.run(main())
    assert claims(router) == (later,)
    somebody_types(router, later.removal())
    assert router.ask(lambda state: state.configuration.text()) == before
    book.close()
    assert journal.kept() == []


def test_a_lock_that_may_have_been_taken_is_released(router, monkeypatch):
    """The connection was lost between the line and the look that follows it."""

    async def cut(*_, **__):
        raise DeviceError("edge", "show running-config", "the connection was cut")

    monkeypatch.setattr(router_lock, "_alone", cut)

    async def main():
        locks = DeviceLocks(Claim.new("x"), lambda one: Ios(one))
        async with Ios(connection(router)) as device:
            with pytest.raises(DeviceError, match="was cut"):
                await locks.take(device)
        assert len(await asyncio.to_thread(claims, router)) == 1
        await locks.release(None)

    asyncio.run(main())
    assert claims(router) == ()
