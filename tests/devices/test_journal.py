"""The restore journal and `natstorm restore`, with changes on this machine alone, in a test's own directory."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.devices import commands, journal
from harness.devices.journal import Journal, Undo, reached
from harness.devices.linux_state import KeptTheirs
from harness.errors import LabError, UsageError
from harness.lab import enclosure
from harness.model import Secret
from harness.model.reach import Connection

JUMP = Connection("jump", "192.0.2.9", 22, "me", password=Secret("JumpSecret1"))
DEVICE = Connection(
    "edge", "no-such-host.invalid", 2222, "root", password=Secret("EdgeSecret1"), enable=Secret("EnableSecret1"), jump=JUMP
)


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "natstorm" / "restore"


def restore(*words, testbed=None, lock=lambda *_: contextlib.nullcontext()):
    """`natstorm restore WORDS`; `testbed` is what any testbed file says, an error where it is one; `lock` holds locks."""

    def load(file):
        if isinstance(testbed, Exception):
            raise testbed
        return testbed

    parser = argparse.ArgumentParser()
    commands.add_commands(parser.add_subparsers())
    arguments = parser.parse_args(["restore", *words])
    arguments.load_described = load
    arguments.lock_devices = lock
    return arguments.run(arguments)


def local(*lines, what="a change", unless=()):
    return Undo((what,), commands=tuple(("sh", "-c", line) for line in lines), unless=unless)


def test_what_is_journalled_is_on_disk_before_the_change_and_nobody_else_reads_it(state, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(os.path.realpath(f"/proc/self/fd/{handle}")), real(handle)))
    book = Journal.create("a lab/of mine", "lab.yaml")
    assert book.path.parent == state
    assert book.path.name.startswith("a-lab-of-mine-")
    assert synced == [str(state), str(book.path)]
    number = book.before(Undo(("change",), "linux", "edge", reached(DEVICE), script="true\n"))
    assert synced[-1] == str(book.path)
    assert len(synced) == 3
    assert book.path.stat().st_mode & 0o777 == 0o600
    assert state.stat().st_mode & 0o777 == 0o700
    text = book.path.read_text()
    assert "Secret" not in text
    kept = journal.read(book.path)
    assert kept.alive
    assert (kept.testbed, kept.pid, kept.began) == ("a lab/of mine", os.getpid(), journal.began(os.getpid()))
    assert kept.open == ((number, Undo(("change",), "linux", "edge", reached(DEVICE), script="true\n")),)
    assert kept.open[0][1].at["jump"]["host"] == "192.0.2.9"
    book.done(number)
    assert journal.read(book.path).open == ()
    book.close()
    assert not book.path.exists()
    book.close()


def test_a_journal_with_something_to_undo_stays(state):
    book = Journal.create("lab", "lab.yaml")
    book.before(local("true"))
    book.close()
    assert not journal.read(book.path).alive
    assert len(journal.kept()) == 1


def test_a_journal_that_cannot_be_written_forbids_the_change(state, tmp_path, monkeypatch):
    (tmp_path / "state").write_text("a file where a directory should be")
    with pytest.raises(UsageError, match="no restore journal can be kept"):
        Journal.create("lab", "lab.yaml")
    (tmp_path / "state").unlink()
    book = Journal.create("lab", "lab.yaml")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LabError, match="No space left"):
        book.before(local("true"))


def test_a_line_cut_off_is_none_at_the_end_and_in_the_middle(state, tmp_path):
    book = Journal.create("lab", "lab.yaml")
    book.before(local(f"echo one >> {tmp_path}/log", what="one"))
    book.before(local(f"echo two >> {tmp_path}/log", what="two"))
    book.close()
    whole = book.path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in (1, 20, len(lines[-1]) - 2):
        book.path.write_bytes(b"".join(lines[:-1]) + lines[-1][:cut])
        assert [undo.what for _, undo in journal.read(book.path).open] == [("one",)]
    assert restore() == 0
    assert (tmp_path / "log").read_text() == "one\n"
    assert not book.path.exists()
    book.path.write_bytes(lines[0] + lines[1][:30] + b"\n" + lines[2])
    assert restore() == 0
    assert (tmp_path / "log").read_text() == "one\ntwo\n"
    assert not book.path.exists()


def test_what_a_full_disk_tore_is_passed_over_and_what_came_after_it_is_undone(state, tmp_path, monkeypatch):
    book = Journal.create("lab", "lab.yaml")
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:20]))
    with pytest.raises(LabError, match="No space left"):
        book.before(local(f"touch {tmp_path}/never"))
    monkeypatch.undo()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    book.before(local(f"touch {tmp_path}/undone"))
    book.close()
    assert restore() == 0
    assert (tmp_path / "undone").exists()
    assert not (tmp_path / "never").exists()
    assert journal.kept() == []


STRANGE = (
    b'{"kind": "weather"}\n',
    b'{"kind": "undo", "number": 7, "what": ["x"], "through": "telepathy"}\n',
    b'{"kind": "undo", "number": 7, "what": ["x"], "later": 1}\n',
    b'{"kind": "undo", "number": 7, "what": ["x"], "through": "linux", "at": {"port": 22}}\n',
    b'{"kind": "done", "number": []}\n',
    b"[1]\n",
    b"7\n",
)


@pytest.mark.parametrize("line", STRANGE)
def test_a_line_that_is_not_understood_is_told_and_hinders_nothing_else(state, tmp_path, capsys, line):
    book = Journal.create("lab", str(tmp_path / "lab.yaml"))
    book.before(local(f"touch {tmp_path}/undone"))
    book.close()
    with book.path.open("ab") as file:
        file.write(line)
    other = Journal.create("other", str(tmp_path / "other.yaml"))
    other.before(local(f"touch {tmp_path}/undone-too"))
    other.close()
    told = []
    assert journal.left_changed([DEVICE], str(tmp_path / "third.yaml"), tell=told.append) == ()
    assert told == [f"restore journal {book.path}: line 3 is none of a restore journal"]
    names = [name for name, _ in journal.left_changed([DEVICE], str(tmp_path / "lab.yaml"))]
    assert names == ["something that is not understood", "this machine"]
    assert restore() == 3
    assert "  line 3 is none of a restore journal\n  cure: put back by hand" in capsys.readouterr().out
    assert (tmp_path / "undone").exists()
    assert (tmp_path / "undone-too").exists()
    assert [one.path for one in journal.kept()] == [book.path]  # whoever knows what it means still needs it
    assert restore() == 3


def test_the_first_line_of_a_later_version_may_say_more(state, tmp_path):
    book = Journal.create("lab", "lab.yaml")
    book.before(local(f"touch {tmp_path}/undone"))
    book.close()
    header, entry = book.path.read_text().splitlines()
    book.path.write_text(json.dumps({**json.loads(header), "release": "2"}) + "\n" + entry + "\n")
    assert journal.read(book.path).problems == ()
    assert restore() == 0
    assert (tmp_path / "undone").exists()


def test_a_journal_that_cannot_be_read_is_told_and_one_that_has_just_gone_is_none(state, tmp_path, capsys, monkeypatch):
    book = Journal.create("lab", "lab.yaml")
    book.before(local(f"touch {tmp_path}/undone"))
    book.close()
    (state / "folder.jsonl").mkdir()
    assert restore() == 3
    assert "it cannot be read: Is a directory" in capsys.readouterr().out
    assert (tmp_path / "undone").exists()
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: [folder / "gone.jsonl"])
    assert journal.kept() == []


def test_all_is_undone_in_reverse_the_latest_run_first_and_only_once(state, tmp_path, capsys):
    for run in ("first", "second"):
        book = Journal.create("lab", "lab.yaml")
        for number in (1, 2, 3):
            book.before(local(f"echo {run} {number} >> {tmp_path}/log", what=f"{run} {number}"))
        book.done(2)
        book.close()
    assert restore() == 0
    assert (tmp_path / "log").read_text() == "second 3\nsecond 1\nfirst 3\nfirst 1\n"
    assert "undone: this machine: second 3" in capsys.readouterr().out
    assert list(state.iterdir()) == []
    assert restore() == 0
    assert "nothing to restore" in capsys.readouterr().out


def test_what_is_undone_already_is_left_alone(state, tmp_path):
    book = Journal.create("lab", "lab.yaml")
    book.before(local(f"touch {tmp_path}/wrong", unless=("true",)))
    book.before(local(f"touch {tmp_path}/right", unless=("false",)))
    book.close()
    assert restore() == 0
    assert sorted(one.name for one in tmp_path.iterdir() if one.is_file()) == ["right"]


def test_what_fails_is_kept_with_the_commands_and_the_rest_is_undone(state, tmp_path, capsys):
    book = Journal.create("lab", "lab.yaml")
    book.before(local(f"echo first >> {tmp_path}/log", what="first"))
    book.before(local(f"test -e {tmp_path}/there || {{ echo no nic0 >&2; exit 2; }}", what="bring nic0 back"))
    book.before(Undo(("bring nic1 back",), commands=(("no-such-program", "a b"),)))
    book.close()
    assert restore() == 3
    said = capsys.readouterr().out
    assert "NOT undone: this machine: bring nic0 back" in said
    assert "no nic0" in said
    assert "no-such-program 'a b'" in said
    assert "there is no program no-such-program" in said
    assert (tmp_path / "log").read_text() == "first\n"
    assert [undo.what[0] for _, undo in journal.read(book.path).open] == ["bring nic0 back", "bring nic1 back"]
    (tmp_path / "there").touch()
    assert restore() == 3
    assert [undo.what[0] for _, undo in journal.read(book.path).open] == ["bring nic1 back"]
    assert (tmp_path / "log").read_text() == "first\n"


def test_list_and_dry_run_change_nothing(state, tmp_path, capsys):
    book = Journal.create("lab", "lab.yaml")
    book.before(local(f"touch {tmp_path}/done", what="remove the mark"))
    book.before(Undo(("put /etc/x back",), "linux", "edge", reached(DEVICE), script="echo HIDDEN\n"))
    book.close()
    before = book.path.read_bytes()
    assert restore("--list") == 0
    listed = capsys.readouterr().out
    assert "lab" in listed
    assert "2 changes to undo" in listed
    assert str(book.path) in listed
    assert restore("--dry-run") == 0
    rehearsed = capsys.readouterr().out
    assert rehearsed.index("put /etc/x back") < rehearsed.index(f"touch {tmp_path}/done")
    assert "HIDDEN" not in rehearsed  # a script may hold a device's configuration
    assert book.path.read_bytes() == before
    assert not (tmp_path / "done").exists()


def test_only_the_testbed_that_is_asked_for(state, tmp_path):
    for name in ("one", "two"):
        book = Journal.create(name, str(tmp_path / f"{name}.yaml"))
        book.before(local(f"echo {name} >> {tmp_path}/log"))
        book.close()
    assert restore("--testbed", str(tmp_path / "two.yaml")) == 0
    assert (tmp_path / "log").read_text() == "two\n"
    assert [one.testbed for one in journal.kept()] == ["one"]


def test_a_testbed_that_there_is_not_is_a_mistake_unless_there_is_a_journal_of_it(state, tmp_path, capsys):
    file = tmp_path / "gone.yaml"
    with pytest.raises(UsageError, match=rf"^{file}: there is no such file, and no journal of it\n.*restore --list"):
        restore("--testbed", str(file))
    file.touch()
    assert restore("--testbed", str(file)) == 0
    assert "nothing to restore: no journal in" in capsys.readouterr().out
    file.unlink()
    book = Journal.create("lab", str(file))
    book.before(local(f"touch {tmp_path}/undone"))
    book.close()
    assert restore("--testbed", str(file)) == 0
    assert (tmp_path / "undone").exists()


_RUN = """
import sys, time
from harness.devices.journal import Journal, Undo
book = Journal.create("lab", "lab.yaml")
book.before(Undo(("a change",), commands=(("touch", sys.argv[1]),)))
print("changed", flush=True)
time.sleep(600)
"""


def test_a_run_that_lives_is_left_alone_until_it_is_killed(state, tmp_path, capsys):
    mark = tmp_path / "undone"
    environment = {**os.environ, "PYTHONPATH": str(enclosure.ROOT)}
    run = subprocess.Popen([sys.executable, "-c", _RUN, str(mark)], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert run.stdout.readline() == "changed\n"
        assert restore() == 3
        assert f"its run lives (process {run.pid})" in capsys.readouterr().out
        assert not mark.exists()
        run.send_signal(signal.SIGKILL)
        run.wait(30)
        assert restore() == 0
        assert mark.exists()
    finally:
        run.kill()
        run.wait(30)


def test_force_does_not_ask_whether_the_run_lives(state, tmp_path):
    book = Journal.create("lab", "lab.yaml")
    book.before(local(f"touch {tmp_path}/undone"))
    assert restore("--force") == 0
    assert (tmp_path / "undone").exists()


def test_a_device_that_is_not_reached_leaves_its_commands_and_no_secret_on_the_terminal(state, tmp_path, capsys):
    script = "echo the device's own secret: PreSharedKey7\n"
    book = Journal.create("lab", "lab.yaml")
    book.before(Undo(("put /etc/x back",), "linux", "edge", reached(DEVICE), script=script))
    book.before(local(f"touch {tmp_path}/local"))
    book.close()
    assert restore(testbed=UsageError("the password is not set", file="lab.yaml", line=3)) == 3
    said = capsys.readouterr().out
    assert "its testbed cannot be used: lab.yaml:3: the password is not set" in said
    assert "edge: 'connect': the testbed, from which its password or key would come, cannot be used" in said
    assert (tmp_path / "local").exists()
    (file,) = state.glob("*.undo-*")
    assert f"ssh -p 2222 -J me@192.0.2.9:22 root@no-such-host.invalid bash < {file}" in said
    assert file.read_text() == script
    assert file.stat().st_mode & 0o777 == 0o600
    assert "PreSharedKey7" not in said
    assert "EdgeSecret1" not in said
    assert journal.read(book.path).open


def test_what_somebody_has_changed_meanwhile_is_kept_and_told_with_both_ways_out(state, capsys, monkeypatch):
    from harness.devices import restore as restoring

    async def kept_theirs(undo, connections, secrets):
        raise KeptTheirs("edge", "somebody else has changed the same meanwhile: /etc/x", undo.script, theirs_alone=alone)

    monkeypatch.setitem(restoring._RUNNERS, "linux", kept_theirs)
    testbed = SimpleNamespace(connections=(), captures=(), file="x", secrets=())
    book = Journal.create("lab", "my lab.yaml")
    book.before(Undo(("put /etc/x back",), "linux", "edge", reached(DEVICE), script="true\n"))
    book.close()
    alone = False  # something else has failed as well
    assert restore("--keep-theirs", testbed=testbed) == 3
    assert "where it is to stay" not in capsys.readouterr().out
    alone = True
    assert restore(testbed=testbed) == 3
    said = capsys.readouterr().out
    (file,) = state.glob("*.undo-*")
    assert "NOT undone: edge: put /etc/x back" in said
    assert "somebody else has changed the same meanwhile: /etc/x" in said
    assert f"root@no-such-host.invalid bash < {file}" in said
    assert file.read_text() == "forced=1\ntrue\n"
    assert f"restore --testbed '{Path.cwd()}/my lab.yaml' --keep-theirs" in said
    assert restore("--keep-theirs", testbed=testbed) == 0
    assert "undone, but for what is theirs: edge: put /etc/x back" in capsys.readouterr().out
    assert list(state.iterdir()) == []


def test_a_journal_lists_what_a_program_wrote_in_it_as_data(state):
    """The format is for other versions, too: field by field."""
    book = Journal.create("lab", "lab.yaml")
    command, test = ("ip", "link", "set", "nic0", "netns", "1"), ("ip", "link", "show", "nic0")
    book.before(Undo(("move nic0 back",), commands=(command,), unless=test))
    book.close()
    header, entry = (json.loads(line) for line in book.path.read_text().splitlines())
    assert header.keys() == {"kind", "testbed", "file", "pid", "began", "t"}
    assert Path(header["file"]).is_absolute()
    assert entry["kind"] == "undo"
    assert entry["commands"] == [["ip", "link", "set", "nic0", "netns", "1"]]
    with pytest.raises(ValueError, match="no way 'telepathy'"):
        Undo(("x",), through="telepathy")


def test_restore_locks_what_it_touches_and_leaves_alone_what_somebody_holds(state, capsys, tmp_path):
    asked = []

    def held(devices, routers, tell):
        asked.append(([one.device for one in devices], [one.device for one in routers]))
        raise LabError("lock edge", "it is held by somebody", "wait")

    edge = replace(DEVICE, host="127.0.0.1", port=9)
    router = replace(edge, device="router", port=10)
    testbed = SimpleNamespace(
        connections=(edge, router),
        captures=(),
        file="lab.yaml",
        secrets=(),
    )
    proof = tmp_path / "undone"
    book = Journal.create("a lab", "lab.yaml")
    book.before(Undo(("a file",), "linux", "edge", reached(edge), script="true\n"))
    book.before(Undo(("its rules",), "linux", "edge", reached(edge), script="true\n"))
    book.before(Undo(("its lines",), "ios", "router", reached(router), script="hostname x\n"))
    book.before(local(f"touch {proof}"))
    os.close(book._handle)  # its run is gone
    assert restore(testbed=testbed, lock=held) == 3
    assert asked == [(["edge", "router"], ["router"])]
    assert "left alone: lab: lock edge: it is held by somebody" in capsys.readouterr().out
    assert not proof.exists()
    assert len(journal.kept()[0].open) == 4


def test_restore_finds_what_another_has_put_back_while_it_waited_for_the_lock(state, tmp_path):
    @contextlib.contextmanager
    def held(devices, routers, tell):
        book.path.unlink()
        yield

    testbed = SimpleNamespace(connections=(DEVICE,), captures=(), file="x", secrets=())
    book = Journal.create("a lab", "lab.yaml")
    book.before(Undo(("a file",), "linux", "edge", reached(DEVICE), script="true\n"))
    os.close(book._handle)  # its run is gone
    assert restore(testbed=testbed, lock=held) == 0
    assert journal.kept() == []
