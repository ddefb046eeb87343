"""What a Linux device was, read and put back: by bash on this machine, in a test's own directory."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness.devices import linux_marked, linux_state
from harness.devices.journal import Journal, Undo
from harness.devices.linux_gateway import files_script
from harness.devices.linux_state import Wanted
from harness.devices.ssh import Result
from harness.errors import DeviceError
from harness.model import Secret
from harness.model.redact import Redactor


@dataclass
class Done:
    status: int
    output: str


async def bash(command, timeout):
    done = subprocess.run(
        ["bash"], input=command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False
    )
    return Done(done.returncode, done.stdout)


def save(wanted, execute=bash):
    return asyncio.run(linux_state.save(execute, "box", wanted))


def put_back(undo, execute=bash):
    return asyncio.run(linux_state.put_back(execute, undo))


def test_files_are_put_back_with_their_modes_and_those_made_anew_removed(tmp_path):
    there, other, new = tmp_path / "it's there", tmp_path / "gone", tmp_path / "new"
    content = bytes(range(256)) * 20
    there.write_bytes(content)
    there.chmod(0o640)
    (tmp_path / "deep").mkdir()
    other = tmp_path / "deep" / "gone"
    other.write_text("")
    undo = save(Wanted(files=(str(there), str(other), str(new))))
    assert undo.through == "linux"
    assert f"remove {new}" in undo.what
    there.write_text("changed")
    there.chmod(0o600)
    other.unlink()
    other.parent.rmdir()
    new.write_text("made")
    for _ in range(2):  # what is undone may be undone again
        put_back(undo)
        assert there.read_bytes() == content
        assert there.stat().st_mode & 0o777 == 0o640
        assert other.read_bytes() == b""
        assert not new.exists()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["deep", "it's there"]


def test_a_setting_is_put_back_with_its_value(tmp_path, monkeypatch):
    undo = save(Wanted(settings=("kernel/ostype", "kernel/no-such-setting")))
    assert undo.what == ("set kernel/ostype to Linux",)
    assert "echo Linux > /proc/sys/kernel/ostype" in undo.script


def test_settings_that_match_are_put_back_where_they_are_there_still():
    undo = save(Wanted(settings=("kernel/ostyp*", "kernel/no-such-*")))
    assert undo.what == ("set kernel/ostyp* to what they were",)
    assert "{ [ ! -e /proc/sys/kernel/ostype ] || echo Linux > /proc/sys/kernel/ostype; }" in undo.script
    assert "no-such" not in undo.script


def test_what_cannot_be_put_back_is_named_and_the_rest_is(tmp_path):
    first, second = tmp_path / "dir" / "first", tmp_path / "second"
    for file in (first, second):
        file.parent.mkdir(exist_ok=True)
        file.write_text("before")
    undo = save(Wanted(files=(str(first), str(second))))
    first.unlink()
    first.parent.rmdir()
    first.parent.write_text("a file in the way")
    second.write_text("after")
    with pytest.raises(DeviceError, match=rf"(?s)^box: 'put the configuration back': .*not put back: put {first} back"):
        put_back(undo)
    assert second.read_text() == "before"


def test_a_device_that_cannot_be_read_is_not_changed(tmp_path):
    (tmp_path / "a directory").mkdir()
    with pytest.raises(DeviceError, match=r"^box: 'save the configuration': .*a directory"):
        save(Wanted(files=(str(tmp_path / "a directory"),)))


@pytest.mark.parametrize("length", [0, 10, 60])
def test_an_answer_that_is_not_whole_forbids_the_change(tmp_path, length):
    file = tmp_path / "file"
    file.write_text("content")
    wanted = Wanted(files=(str(file),), settings=("kernel/ostype",))

    async def cut(command, timeout):
        whole = await bash(command, timeout)
        return Done(0, whole.output[:length])

    with pytest.raises(DeviceError, match="not whole"):
        save(wanted, cut)


MARK = "5d1f"


class Daemons:
    """Of a program of a name that nobody else has; `exec -a` would not do, for pidof looks at the program."""

    def __init__(self, folder):
        self.program = folder / "natstorm-test-daemon"
        self.program.write_bytes(Path("/bin/sleep").read_bytes())
        self.program.chmod(0o755)
        self.name = self.program.name
        self.started = []

    def start(self, argument, mark="", wrapper=()):
        environment = {**os.environ, **({linux_marked.NAME: mark} if mark else {})}
        self.started.append(subprocess.Popen([*wrapper, str(self.program), argument], env=environment))
        return self.started[-1]

    def pids(self):
        return subprocess.run(["pidof", self.name], capture_output=True, text=True, check=False).stdout.split()

    def arguments(self):
        return sorted(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1].decode() for pid in self.pids())

    def end(self):
        for pid in self.pids():
            os.kill(int(pid), signal.SIGKILL)
        for one in self.started:
            one.wait(30)


@pytest.fixture
def daemons(tmp_path):
    found = Daemons(tmp_path)
    yield found
    found.end()


def test_daemons_that_ran_are_started_as_they_ran_and_the_runs_own_end(daemons):
    theirs = [daemons.start("601"), daemons.start("602")]
    undo = save(Wanted(daemons=(daemons.name, "no-such-daemon"), mark=MARK))
    assert undo.what[:2] == (f"end {daemons.name}", "end no-such-daemon")
    for one in theirs:
        one.kill()
        one.wait(30)
    own, earlier = daemons.start("603", MARK), daemons.start("604", MARK + "0")
    assert put_back(undo) == (
        f"{daemons.name}, which somebody has started meanwhile, is left as it is: it may have read the run's files",
    )
    assert own.wait(30) != 0
    assert earlier.poll() is None  # of somebody's, though they have the same name
    for _ in range(2):
        assert daemons.arguments() == ["601", "602", "604"]
        put_back(undo)


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root")
def test_one_in_another_namespace_is_neither_saved_nor_ended(daemons):
    unshare = daemons.start("605", MARK, wrapper=("unshare", "--net"))
    until = time.monotonic() + 30
    while daemons.arguments() != ["605"]:  # until unshare has become it
        assert unshare.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    undo = save(Wanted(daemons=(daemons.name,), mark=MARK))
    assert undo.what == (f"end {daemons.name}",)
    assert put_back(undo) == ()
    assert daemons.arguments() == ["605"]


def test_after_a_start_of_the_device_its_files_alone_are_put_back(daemons, tmp_path):
    file, folder, proof = tmp_path / "file", tmp_path / "folder", tmp_path / "proof"
    file.write_text("before")
    daemons.start("601")
    wanted = Wanted(
        files=(str(file),), settings=("kernel/ostype",), daemons=(daemons.name,), folders=(str(folder),), mark=MARK,
        extra=(f"touch {proof}",),
    )  # fmt: skip
    undo = save(wanted)
    daemons.end()
    file.write_text("after")
    folder.mkdir()
    boot = Path(linux_state.BOOT).read_text().strip()
    assert undo.script.count(boot) == 1
    told = put_back(replace(undo, script=undo.script.replace(boot, "another").replace("echo Linux >", f"touch {proof} #")))
    assert told == ("it was started anew since: its settings, what runs there and all else but files is left as it is",)
    assert file.read_text() == "before"
    assert (folder.exists(), proof.exists(), daemons.pids()) == (True, False, [])
    assert put_back(replace(undo, script=undo.script.replace("echo Linux >", "true #"))) == ()
    assert (folder.exists(), proof.exists(), daemons.arguments()) == (False, True, ["601"])


def test_a_service_that_may_have_read_the_runs_files_is_named_after_a_start():
    saved = linux_state.Saved({}, {}, {}, {"charon": (linux_state.Daemon("vpn.service", "eA=="),)}, boot="of then")
    what, script = linux_state.undo(saved, Wanted(daemons=("charon",), mark=MARK))
    assert what == ("end charon", "start vpn.service")
    told = put_back(Undo(what, "linux", script=script))
    assert told[0].startswith("it was started anew since: what runs there and all else")
    assert told[1] == "what vpn.service read when it was started may be the run's: systemctl restart vpn.service"


def test_links_come_back_as_links(tmp_path):
    """To what is there, to what is not, and one in whose target somebody has written meanwhile."""
    target, written, gone = tmp_path / "it's the target", tmp_path / "written", tmp_path / "gone"
    links = [tmp_path / name for name in ("plain", "through", "dangling")]
    for file in (target, written):
        file.write_text("before")
        file.chmod(0o640)
    links[0].symlink_to(target.name)
    links[1].symlink_to(written)
    links[2].symlink_to(gone)
    kept = target.stat()
    undo = save(Wanted(files=tuple(map(str, links))))
    links[1].write_text("through the link")
    written.chmod(0o600)
    for link in links[::2]:
        link.unlink()
        link.write_text("in its place")
    for _ in range(2):
        put_back(undo)
        assert [os.readlink(link) for link in links] == [target.name, str(written), str(gone)]
        assert (target.read_text(), written.read_text(), gone.exists()) == ("before", "before", False)
        assert written.stat().st_mode & 0o777 == 0o640
        assert (target.stat().st_ino, target.stat().st_mtime_ns) == (kept.st_ino, kept.st_mtime_ns)  # nobody touched it
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted([target.name, "written", "plain", "through", "dangling"])


def written_by(texts):
    """Wanted, of files that a run writes as a whole; with the script by which it does."""
    known = {str(path): (linux_state.digest("an earlier one"), linux_state.digest(text)) for path, text in texts.items()}
    script = files_script({str(path): text for path, text in texts.items()})
    return Wanted(files=tuple(known), written=known), script


def test_what_somebody_else_has_made_of_a_file_meanwhile_stays_and_is_told(tmp_path):
    """Edited, made anew and edited, and taken away; the others are put back. By hand, all are."""
    names = ["edited", "taken", "back", "earlier", "made_edited", "made"]
    edited, taken, back, earlier, made_edited, made = (tmp_path / name for name in names)
    for file in (edited, taken, back, earlier):
        file.write_text(f"{file.name}: before")
        file.chmod(0o640)
    wanted, write = written_by({tmp_path / name: f"the run's {name}\n" for name in names})
    undo = save(wanted)
    assert asyncio.run(bash(write, 30)).status == 0
    edited.write_text("theirs")
    taken.unlink()
    back.write_text("back: before")  # put back by its owner, but for its mode
    earlier.write_text("an earlier one")  # what the run wrote first; it was killed as it wrote the next
    made_edited.write_text("theirs, too")
    for _ in range(2):
        with pytest.raises(linux_state.KeptTheirs) as caught:
            put_back(undo)
        seen = f"somebody else has changed the same meanwhile, which was left as it is: {edited}, {taken}, {made_edited}"
        assert caught.value.seen == seen
        assert caught.value.theirs_alone
        assert (edited.read_text(), taken.exists(), made_edited.read_text()) == ("theirs", False, "theirs, too")
        assert (back.read_text(), earlier.read_text(), made.exists()) == ("back: before", "earlier: before", False)
        assert back.stat().st_mode & 0o777 == earlier.stat().st_mode & 0o777 == 0o640
    assert asyncio.run(bash(caught.value.by_hand, 30)).status == 0
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(one.name for one in (edited, taken, back, earlier))
    assert (edited.read_text(), taken.read_text()) == ("edited: before", "taken: before")
    assert put_back(undo) == ()


def test_what_failed_beside_it_is_told_as_well(tmp_path):
    edited, torn = tmp_path / "edited", tmp_path / "folder" / "torn"
    wanted, _ = written_by({edited: "the run's"})
    torn.parent.mkdir()
    torn.write_text("before")
    undo = save(replace(wanted, files=(*wanted.files, str(torn))))
    edited.write_text("theirs")
    torn.unlink()
    torn.parent.rmdir()
    torn.parent.write_text("a file in the way")
    with pytest.raises(linux_state.KeptTheirs, match=rf"(?s)left as it is: {edited}\n.*not put back: put {torn} back") as caught:
        put_back(undo)
    assert not caught.value.theirs_alone


def test_a_link_that_a_run_has_replaced_comes_back_and_what_it_leads_to_is_its_owners(tmp_path):
    target, link, theirs = tmp_path / "target", tmp_path / "link", tmp_path / "theirs"
    target.write_text("before")
    for one in (link, theirs):
        one.symlink_to(target)
    wanted, write = written_by({link: "the run's", theirs: "the run's"})
    undo = save(wanted)
    assert asyncio.run(bash(write, 30)).status == 0
    assert (link.is_symlink(), link.read_text(), target.read_text()) == (False, "the run's", "before")
    target.write_text("changed meanwhile, by its owner")
    theirs.unlink()
    theirs.symlink_to("elsewhere")
    with pytest.raises(linux_state.KeptTheirs, match=f"left as it is: {theirs}$"):
        put_back(undo)
    assert (os.readlink(link), os.readlink(theirs)) == (str(target), "elsewhere")
    assert target.read_text() == "changed meanwhile, by its owner"


def test_what_a_start_of_the_device_has_taken_away_nobody_has(tmp_path):
    file = tmp_path / "file"
    file.write_text("before")
    wanted, write = written_by({file: "the run's"})
    saved = linux_state.read(asyncio.run(bash(linux_state.script(wanted), 30)).output, wanted)
    _, script = linux_state.undo(replace(saved, boot="an earlier one"), wanted)
    assert asyncio.run(bash(write, 30)).status == 0
    file.unlink()
    put_back(Undo(("x",), "linux", "box", script=script))
    assert file.read_text() == "before"


def test_a_file_that_a_run_was_killed_in_the_middle_of_is_whole_before_and_after(tmp_path):
    """What is not whole yet has another name, and goes."""
    file, part = tmp_path / "file", tmp_path / f"file{linux_state.PART}"
    file.write_text("before")
    wanted, write = written_by({file: "the run's"})
    undo = save(wanted)
    half, _, _ = write.partition("if [ -L ")
    assert half != write
    assert asyncio.run(bash(half, 30)).status == 0
    assert (file.read_text(), part.read_text()) == ("before", "the run's")
    put_back(undo)
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_what_is_written_later_is_in_the_journal_before_it_is_written(tmp_path):
    file = tmp_path / "file"
    file.write_text("before")
    known = {}
    book = Journal.create("lab", "lab.yaml", tmp_path / "restore")
    care = linux_state.Care(bash, "box", lambda: Wanted(files=(str(file),), written=known), book, None)

    async def main():
        await care.before_more()  # nothing is saved yet
        assert book.open == ()
        known[str(file)] = (linux_state.digest("one"),)
        assert await care.before_changes()
        file.write_text("one")
        known[str(file)] = (*known[str(file)], linux_state.digest("two"))
        await care.before_more()
        ((_, undo),) = book.open
        assert linux_state.digest("two") in undo.script
        await care.before_more()
        assert [undo for _, undo in book.open] == [undo]
        file.write_text("two")
        await care.restore()

    asyncio.run(main())
    assert file.read_text() == "before"
    assert book.open == ()
    book.close()


def test_directories_made_anew_go_again_unless_somebody_uses_them(tmp_path):
    used, unused, whole, kept = (tmp_path / name for name in ("used", "unused", "whole", "kept"))
    kept.mkdir()
    files = (str(used / "deep" / "file"), str(unused / "deep" / "file"), str(kept / "file"))
    undo = save(Wanted(files=files, folders=(str(whole), str(kept))))
    for file in (*files, str(whole / "more")):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text("made")
    (used / "theirs").write_text("put there meanwhile")
    for _ in range(2):
        put_back(undo)
        assert sorted(str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*")) == ["kept", "used", "used/theirs"]


def test_neither_saving_nor_putting_back_tells_a_secret(tmp_path):
    """A device that says it, and files that hold it: those before the one that cannot be read were sent already."""
    secret = Secret("Zaphod42's heart")
    (tmp_path / "a").write_text(secret.reveal() * 3)
    (tmp_path / "b").mkdir()

    async def talkative(command, timeout):
        done = await bash(command, timeout)
        return Result(1, f"{done.output}\nthe key is {secret.reveal()}\n", Redactor([secret]))

    wanted = Wanted(files=(str(tmp_path / "a"), str(tmp_path / "b")))
    with pytest.raises(DeviceError, match=r"(?s)/b\n.*Is a directory.*the key is \*\*\*") as saving:
        save(wanted, talkative)
    with pytest.raises(DeviceError, match=r"the key is \*\*\*") as putting:
        put_back(save(Wanted(files=(str(tmp_path / "a"),))), talkative)
    content = base64.b64encode((tmp_path / "a").read_bytes()).decode()
    for caught in (saving, putting):
        assert secret.reveal() not in str(caught.value)
        assert content[:40] not in str(caught.value)
