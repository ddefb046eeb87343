"""What goes wrong with a router while it is used: each ends in an error that names device, command and what was seen, and the
router is as it was, or what would make it so is told. Against the virtual router's own servers."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from running import Running, connection, play

from harness.devices import journal, restore
from harness.devices.ios import management
from harness.devices.ios.configurations import parse_config
from harness.devices.ios.driver import Ios
from harness.devices.ios.logins import Way
from harness.devices.ios.protection import Protection
from harness.devices.ios.restoring import ChangedMeanwhile, NotPutBack, WouldCutOff
from harness.errors import DeviceError
from harness.model.reach import Connection
from harness.virtual.ios.configuration import Configuration
from harness.virtual.ios.configure import load
from harness.virtual.ios.state import Ask, State

pytest.importorskip("asyncssh", reason="no module asyncssh (pip install 'natstorm[virtual-ios]')")
if shutil.which("ssh") is None:
    pytest.skip("no program ssh (Debian package openssh-client)", allow_module_level=True)

CONFIG = """\
hostname R1
no aaa new-model
username natstorm privilege 15 password 0 letmein-please
username LAC password 0 hush-hush
enable secret enable-me-too
crypto isakmp policy 10
 authentication pre-share
 group 2
interface FastEthernet0/0
 ip address 203.0.113.231 255.255.255.0
 speed 10
interface FastEthernet0/1
 ip address 10.0.0.1 255.255.255.0
access-list 10 permit 10.1.1.1
access-list 10 deny 10.1.1.0 0.0.0.255
access-list 10 permit any
line con 0
line vty 0 4
 login local
end
"""
CHANGE = [
    "hostname R2", "interface FastEthernet0/0", " speed 100", " exit", "no access-list 10", "access-list 10 permit any",
    "crypto dynamic-map DYN 10", " set nat demux",
]  # fmt: skip


@pytest.fixture
def router(tmp_path):
    with Running(State(startup=CONFIG, release="12.4(24)T", boot_s=0.3), tmp_path, telnet=False) as running:
        yield running


@pytest.fixture
def book(tmp_path):
    return journal.Journal.create("lab", "lab.yaml", tmp_path / "restore")


def text(router):
    return router.ask(lambda state: state.configuration.text())


def plain(config):
    return [line for line in config.splitlines() if line != "!"]


def lines(router):
    return plain(text(router))


def somebody_types(router, *typed):
    def change(state):
        scratch = Configuration(state.configuration.tree)
        assert load(scratch, typed, state.features) == []
        state.configuration.become(scratch.tree)

    router.ask(change)


async def asked(router, question):
    return await asyncio.to_thread(router.ask, question)


# --- cut off, reloaded ---


def test_a_connection_that_is_cut_in_the_middle_of_a_command(router, book):
    """And the way back: a new connection."""
    router.state.command("show tech-support", lambda session, match: session.cut())
    before = text(router)

    async def body(device):
        await device.configure(CHANGE)
        with pytest.raises(DeviceError, match=r"^edge: 'show tech-support': the connection was cut in the middle of it"):
            await device.execute("show tech-support")
        with pytest.raises(DeviceError, match="there is no connection"):
            await device.execute("show clock")
        await device.restore()

    play(body, Ios(connection(router), journal=book))
    assert text(router) == before
    assert book.open == ()


def test_a_router_that_is_gone_for_good_leaves_what_to_type(router, book, tmp_path):
    async def body(device):
        await device.configure([*CHANGE, "no username LAC"])
        await asyncio.to_thread(router.stop)
        with pytest.raises(NotPutBack) as caught:
            await device.restore()
        said = str(caught.value)
        assert said.startswith("edge: 'put the configuration back': ")
        assert "by hand, in configuration mode: " in said
        assert "no crypto dynamic-map DYN 10; " in said
        assert "username LAC password 0 ***" in said
        assert "hush-hush" not in said
        lines = caught.value.by_hand.splitlines()
        assert "hostname R1" in lines
        assert "username LAC password 0 hush-hush" in lines
        assert lines.index("access-list 10 permit 10.1.1.1") < lines.index("access-list 10 deny 10.1.1.0 0.0.0.255")

    play(body, Ios(connection(router), journal=book, reboot_s=0, timeout=4))
    assert len(book.open) == 1


def test_a_router_that_reloads_during_the_run(router, book):
    """What it had not saved is put back too, once it is certain that it has booted: it tells its uptime in minutes."""
    somebody_types(router, "ip host unsaved 10.9.9.9")
    before, now = text(router), [1_000_000.0]

    async def body(device):
        await device.configure(CHANGE)
        now[0] += 3600
        await asked(router, lambda state: state.reload("Reload Command"))
        with pytest.raises(DeviceError, match=r"^edge: 'show clock': the connection was cut"):
            await device.execute("show clock")
        await device.restore()

    play(body, Ios(connection(router), journal=book, clock=lambda: now[0], try_again_s=0.1))
    assert text(router) == before
    assert book.open == ()


# --- refused, paged ---


def test_a_line_that_an_older_release_does_not_know(tmp_path, book):
    """The error names the line, and what brought it; what was typed before it is undone."""

    async def body(device):
        with pytest.raises(DeviceError) as caught:
            await device.configure(["crypto dynamic-map DYN 10", " set nat demux", "hostname R2"])
        said = str(caught.value)
        assert said.startswith("edge: 'configure': the device refuses it: ")
        assert "Invalid input" in said
        assert 'IOS 12.2(8)T lacks "set nat demux", which came with 12.3(11)T4 and 12.4(1)' in said
        assert "at the line 'set nat demux'" in said
        assert "DYN 10" in text(router)
        with pytest.raises(DeviceError, match=r"^edge: 'show ip nat translations esp': .*12.2\(8\)T lacks .* with 12.2\(15\)T"):
            await device.execute("show ip nat translations esp")
        (lack,) = await device.missing(["nat-demux", "l2tp-security"])
        assert str(lack).startswith('IOS 12.2(8)T lacks "set nat demux"')
        await device.restore()

    with Running(State(startup=CONFIG, release="12.2(8)T"), tmp_path, telnet=False) as router:
        before = text(router)
        play(body, Ios(connection(router), journal=book))
        assert text(router) == before


def test_a_length_that_is_not_heeded(router):
    """Output in pages is read to its end; where the pager does not go on, that is told."""
    router.state.command("terminal length <0-512>:lines", lambda session, match: (), level=1)
    stuck = Ask(" --More-- ", lambda key: stuck, key=True)
    router.state.command("show tech-support", lambda session, match: stuck)

    async def body(device):
        told = await device.running_config()
        assert parse_config(told) == parse_config(text(router))
        assert len(told.splitlines()) > 24
        with pytest.raises(DeviceError, match=r"^edge: 'show tech-support': the prompt did not come within 3 s; .*More"):
            await device.execute("show tech-support")

    play(body, Ios(connection(router), timeout=3))


# --- somebody else ---


def test_what_somebody_else_has_changed_stays(router, book):
    before = text(router)

    async def body(device):
        await device.configure(CHANGE)
        somebody_types(router, "ip host printer 10.0.0.9", "interface FastEthernet0/1", " description theirs")
        await device.configure(["hostname R3"])
        somebody_types(router, "no username LAC")
        with pytest.raises(ChangedMeanwhile) as caught:
            await device.restore()
        said = str(caught.value)
        assert said.startswith("edge: 'put the configuration back': somebody else has changed it meanwhile; kept: ")
        for line in ("+ ip host printer 10.0.0.9", "+ interface FastEthernet0/1 / description theirs"):
            assert line in said
        assert "- username LAC password 0 ***" in said

    play(body, Ios(connection(router), journal=book))
    theirs = {"ip host printer 10.0.0.9", " description theirs"}
    assert theirs <= set(text(router).splitlines())
    assert [one for one in lines(router) if one not in theirs] == [one for one in plain(before) if "LAC" not in one]
    assert book.open == ()


def test_what_both_have_changed_is_left_and_told(router, book):
    async def body(device):
        await device.configure(CHANGE)
        somebody_types(router, "interface FastEthernet0/0", " speed auto", "crypto dynamic-map DYN 10", " set pfs group2")
        with pytest.raises(DeviceError, match=r"somebody else has changed the same meanwhile.*nothing was typed"):
            await device.configure(["hostname R3"])
        with pytest.raises(NotPutBack) as caught:
            await device.restore()
        said = str(caught.value)
        assert "crypto dynamic-map DYN 10: the run has made it, and somebody else has changed it: + set pfs group2" in said
        assert "speed 10: the run has taken it away, and somebody else has put 'speed auto' in its place" in said
        assert "by hand, in configuration mode: no crypto dynamic-map DYN 10; interface FastEthernet0/0; speed 10; exit" in said

    play(body, Ios(connection(router), journal=book))
    assert "hostname R1" in text(router)  # what is ours alone went back
    assert " speed auto" in text(router)
    assert len(book.open) == 1


# --- management ---


def test_a_change_that_would_cut_off_the_management_is_refused_before_anything_is_typed(router, book):
    before = text(router)

    async def body(device):
        for lines, why in (
            (["hostname R2", "int fa0/0", " shutdown"], "'shutdown': refused, and nothing was typed: it would shut down Fast"),
            (["line vty 0 4", " transport input telnet"], "would take ssh off the terminal lines vty 0 4"),
            (["no username natstorm"], "would remove the user natstorm"),
        ):
            with pytest.raises(WouldCutOff) as caught:
                await device.configure(lines)
            assert str(caught.value).startswith("edge: ")
            assert why in str(caught.value)
        assert await device.way() == Way("203.0.113.231", "127.0.0.1", "ssh", 22, "vty 0", "natstorm")
        await device.restore()

    play(body, Ios(replace(connection(router), own_address="203.0.113.231"), journal=book))
    assert text(router) == before
    assert not any("conf" in line and "running" not in line for line in router.ask(lambda state: list(state.typed)))
    assert book.open == ()


def test_a_reload_is_scheduled_while_it_is_changed(router, book):
    scheduled = []
    router.state.configuration.listeners.append(lambda old, new: scheduled.append(router.state.reload_at))

    async def body(device):
        await device.configure(["hostname R2"])
        assert await asked(router, lambda state: state.reload_at) is None
        assert [undo.commands for _, undo in book.open] == [()]
        with pytest.raises(DeviceError, match="Invalid input"):
            await device.configure(["nonsense in a line"])
        assert await asked(router, lambda state: state.reload_at) is None
        await device.restore()

    play(body, Ios(replace(connection(router), protect_minutes=7), journal=book))
    assert 0 < scheduled[0] - router.ask(lambda state: state.now) <= 7 * 60
    assert "reload in 7" in router.ask(lambda state: list(state.typed))
    assert "hostname R1" in text(router)
    assert book.open == ()


def test_a_reload_that_is_not_called_off_is_told(tmp_path, book):
    """By a stand-in for the driver: what a router says to `reload cancel` is all that counts."""

    class Device:
        name, connection, connected, timeout = "edge", Connection("edge", "192.0.2.1"), True, 1

        async def execute(self, command, answers=()):
            return "" if command.startswith("reload in") else "% Bad mood"

        def __init__(self, *_, **__): ...

        async def connect(self): ...

        async def disconnect(self): ...

    async def body():
        async with Protection(Device(), 5, book).around():
            pass

    with pytest.raises(DeviceError, match=r"^edge: 'reload cancel': it does not say that it is called off: % Bad mood"):
        asyncio.run(body())
    assert [undo.commands for _, undo in book.open] == [(("reload", "cancel"),)]


def test_a_change_after_which_nobody_can_log_in_is_undone_by_the_reload(router, book, monkeypatch):
    """One that nothing has foreseen."""
    before, now = text(router), [1_000_000.0]

    async def body(device):
        monkeypatch.setattr(management, "cuts", lambda *_: iter(()))
        with pytest.raises(DeviceError) as caught:
            await device.configure(["hostname R2", "no username natstorm"])
        assert "after the change nobody can log in any more" in str(caught.value)
        assert "it was told to reload within 7 minutes" in str(caught.value)
        assert [undo.commands for _, undo in book.open] == [(("reload", "cancel"),), ()]
        assert await asked(router, lambda state: state.reload_at) is not None
        now[0] += 3600
        await asked(router, lambda state: state.reload("Reload Command"))  # its time has come
        await device.restore()

    play(body, Ios(replace(connection(router), protect_minutes=7), journal=book, clock=lambda: now[0], try_again_s=0.1))
    assert text(router) == before
    assert router.ask(lambda state: list(state.typed))[-1] == "reload cancel"
    assert book.open == ()


# --- killed ---

KILLED = """
import asyncio, json, os, signal, sys
from pathlib import Path
from harness.devices import journal
from harness.devices.ios.driver import Ios
from harness.model import Secret
from harness.model.reach import Connection
at, lines, folder = json.load(sys.stdin)
secrets = {"password": Secret("letmein-please"), "enable": Secret("enable-me-too")}
async def main():
    device = Ios(Connection(**{**at, **secrets}), journal=journal.Journal.create("lab", "lab.yaml", Path(folder)))
    await device.connect()
    await device.configure(lines)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


def test_restore_after_kill_9(router, tmp_path):
    """What somebody else has typed since then stays, and the scheduled reload is called off."""
    before, there = text(router), replace(connection(router), protect_minutes=30)
    at = {**asdict(there), "password": None, "enable": None}
    done = subprocess.run(
        [sys.executable, "-c", KILLED], input=json.dumps([at, CHANGE, str(tmp_path / "restore")]), cwd=Path(__file__).parents[2],
        text=True, timeout=120, check=False, capture_output=True,
    )  # fmt: skip
    assert done.returncode == -9, done.stderr
    assert "hostname R2" in text(router)
    somebody_types(router, "ip host printer 10.0.0.9")
    router.ask(lambda state: setattr(state, "reload_at", state.now + 1800))  # as if killed before it was called off
    (kept,) = journal.kept(tmp_path / "restore")
    book = journal.reopen(kept)
    book.before(journal.Undo(("call off the reload",), "ios", "edge", journal.reached(there), commands=(("reload", "cancel"),)))
    book.close()
    (kept,) = journal.kept(tmp_path / "restore")
    told = []
    assert asyncio.run(restore.put_back(kept, {"edge": there}, told.append)) == 0
    assert [one for one in lines(router) if one != "ip host printer 10.0.0.9"] == plain(before)
    assert "somebody else has changed it meanwhile; kept: + ip host printer 10.0.0.9" in "\n".join(told)
    assert router.ask(lambda state: state.reload_at) is None
    assert not kept.path.exists()


def test_restore_that_finds_what_both_have_changed_writes_what_to_type(router, tmp_path, book):
    async def body(device):
        await device.configure(CHANGE)

    play(body, Ios(connection(router), journal=book))
    somebody_types(router, "interface FastEthernet0/0", " speed auto")
    book.close()
    told = []
    (kept,) = journal.kept(tmp_path / "restore")
    assert asyncio.run(restore.put_back(kept, {"edge": connection(router)}, told.append)) == 1
    said = "\n".join(told)
    assert "NOT undone: edge" in said
    assert "somebody else has put 'speed auto' in its place" in said
    (file,) = (tmp_path / "restore").glob("*.undo-*")
    assert f"by hand: enter the lines of {file} in configuration mode of edge (ssh -p {router.ssh_port} " in said
    assert file.read_text() == "interface FastEthernet0/0\n speed 10\n exit\nend\n"
    assert "where it is to stay: " in said
    assert "restore --testbed " in said
    # As who has changed it wants it.
    assert asyncio.run(restore.put_back(kept, {"edge": connection(router)}, told.append, keep_theirs=True)) == 0
    assert told[-1].startswith("undone, but for what is theirs: edge")
    assert " speed auto" in text(router)
    assert journal.kept(tmp_path / "restore") == []


def test_a_password_that_is_wrong_by_now(router, book, tmp_path):
    """The exact lines are left for whoever can log in."""

    async def body(device):
        await device.configure(["hostname R2"])

    play(body, Ios(connection(router), journal=book))
    somebody_types(router, "username natstorm password 0 another")
    book.close()
    told = []
    (kept,) = journal.kept(tmp_path / "restore")
    assert asyncio.run(restore.put_back(kept, {"edge": connection(router)}, told.append)) == 1
    assert "refuses user 'natstorm' by password" in "\n".join(told)
    (file,) = (tmp_path / "restore").glob("*.undo-*")
    assert file.read_text() == "hostname R1\nend\n"
