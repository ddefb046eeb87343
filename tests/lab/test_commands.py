"""`natstorm lab`: a lab with the real gateway comes up, is looked into, goes down; and goes when any process of it is killed."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from enclosed import enclosed
from leftovers import assert_nothing_left, snapshot

from harness.errors import UsageError
from harness.lab import control, enclosure, libc

lab = pytest.mark.lab
WAIT_S = 60.0
TESTBED = str(enclosure.ROOT / "testbeds/linux.yaml")


def natstorm(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False, cwd=enclosure.ROOT, **options)


def up(*arguments: str) -> dict:
    """A lab with the gateway in its guest, which has most to leave behind."""
    done = natstorm("lab", "up", "--testbed", TESTBED, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(natstorm("lab", "status", "--json").stdout)


@lab
@enclosed(timeout=180)
def test_up_status_shell_down():
    before = snapshot()
    none = natstorm("lab", "status")
    assert (none.returncode, none.stdout) == (1, "no lab is up\n")
    assert natstorm("lab", "shell", "nat", "--", "true").returncode == 2

    done = natstorm("lab", "up", "--testbed", TESTBED, "--variant", "demux-kernel")
    assert done.returncode == 0, done.stderr
    assert re.search(r"start the gateway, demux-kernel$", done.stdout, re.M)
    assert "natstorm lab console clients|nat|wan|gateway\n" in done.stdout
    status = json.loads(natstorm("lab", "status", "--json").stdout)
    assert (status["variant"], status["testbed"]) == ("demux-kernel", "linux")
    assert {node["node"]: node["addresses"] for node in status["nodes"]} == {
        "clients": ["lan0 192.0.2.2/30"],
        "nat": ["inside0 192.0.2.1/30", "outside0 203.0.113.232/24"],
        "wan": [],
        "gateway": ["vec0 203.0.113.231/24"],
    }
    again = natstorm("lab", "up")
    assert again.returncode == 2
    assert "up already" in again.stderr

    # Each node is the one asked for, the status is the command's.
    assert natstorm("lab", "shell", "nat", "--", "ip", "netns", "identify").stdout == "nat\n"
    assert natstorm("lab", "shell", "clients", "--", "sh", "-c", "exit 5").returncode == 5
    assert natstorm("lab", "shell", "clients", "--", "/no/program").returncode == 127
    assert "203.0.113.231/24" in natstorm("lab", "shell", "gateway", "--", "ip -br address").stdout
    assert natstorm("lab", "shell", "gateway", "--", "exit 3").returncode == 3
    assert natstorm("lab", "shell", "gateway", input="").returncode == 3  # no terminal

    # A packet through the NAT to the real gateway: the mapping shows in the status.
    send = "from socket import *; s = socket(type=SOCK_DGRAM); s.bind(('10.0.0.9', 500)); s.sendto(b'?', ('203.0.113.231', 500))"
    assert natstorm("lab", "shell", "clients", "--", sys.executable, "-c", send).returncode == 0
    (mapping,) = json.loads(natstorm("lab", "status", "--json").stdout)["mappings"]
    assert (mapping["inside_address"], mapping["outside_address"]) == ("10.0.0.9", "203.0.113.232")
    assert "10.0.0.9:500" in natstorm("lab", "status").stdout

    down = natstorm("lab", "down")
    assert (down.returncode, down.stdout) == (0, "the lab is down\n")
    assert_nothing_left(before)
    assert natstorm("lab", "down").returncode == 0


@lab
@enclosed(timeout=120)
def test_without_a_testbed_it_is_the_one_that_everything_else_takes():
    before = snapshot()
    done = natstorm("lab", "up")
    assert done.returncode == 0, done.stdout + done.stderr
    status = json.loads(natstorm("lab", "status", "--json").stdout)
    assert (status["testbed"], status["variant"]) == ("virtual", "demux")
    assert "203.0.113.231/24" in natstorm("lab", "shell", "gateway", "--", "ip", "-br", "address").stdout
    assert "198.51.100.10/24" in natstorm("lab", "shell", "host", "--", "ip", "-br", "address").stdout
    assert natstorm("lab", "shell", "gateway", "--", "sh", "-c", "exit 3").returncode == 3
    assert natstorm("lab", "down").returncode == 0
    assert_nothing_left(before)


def on_a_terminal(*arguments: str, typed: bytes, until: bytes) -> tuple[int, bytes]:
    """Runs a command on a terminal, types, and returns its exit status and all that it showed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(enclosure.ROOT)
        os.execv(sys.executable, [sys.executable, "-m", "harness.cli", *arguments])
    said = b""
    while True:
        readable, _, _ = select.select([terminal], [], [], WAIT_S)
        assert readable, said
        try:
            data = os.read(terminal, 4096)
        except OSError:  # EIO: nobody has the terminal open any more
            break
        said += data
        if until in said and typed:
            os.write(terminal, typed)
            typed = b""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


@lab
@enclosed(timeout=180)
def test_shells_on_a_terminal():
    up()
    os.environ["SHELL"] = "/bin/sh"
    status, said = on_a_terminal("lab", "shell", "nat", typed=b"ip netns identify; exit 6\n", until=b"nat# ")
    assert status == 6, said
    assert b"nat\r\n" in said
    status, said = on_a_terminal("lab", "shell", "gateway", typed=b"tty; echo $((6*7)); exit 4\n", until=b"gateway# ")
    assert status == 4, said
    assert b"\r\n42\r\n" in said
    assert natstorm("lab", "down").returncode == 0


def kill_and_look(victim: str) -> None:
    before = snapshot()
    launcher = up()["launcher"]
    (reaper,) = children(launcher)
    keeper = children(reaper)[0]
    os.kill({"launcher": launcher, "reaper": reaper, "keeper": keeper}[victim], signal.SIGKILL)
    assert_nothing_left(before)
    assert natstorm("lab", "status").returncode == 1


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@lab
@enclosed
def test_kill_9_of_the_launcher_takes_the_lab_with_it():
    kill_and_look("launcher")


@lab
@enclosed
def test_kill_9_of_the_reaper_takes_the_lab_with_it():
    kill_and_look("reaper")


@lab
@enclosed
def test_kill_9_of_the_keeper_takes_the_lab_with_it():
    kill_and_look("keeper")


@lab
@enclosed(timeout=180)
def test_a_gateway_that_is_killed_shows_as_dead_and_down_still_works():
    before = snapshot()
    up()
    guests = [path.parent for path in Path("/proc").glob("[0-9]*/comm") if path.read_text().startswith("linux.uml")]
    assert guests
    os.kill(min(int(guest.name) for guest in guests), signal.SIGKILL)
    deadline = time.monotonic() + 20
    while "DEAD" not in natstorm("lab", "status").stdout:
        assert time.monotonic() < deadline, natstorm("lab", "status").stdout
    refused = natstorm("lab", "shell", "gateway", "--", "true")
    assert refused.returncode == 3
    assert "guest gateway" in refused.stderr
    assert natstorm("lab", "down").returncode == 0
    assert_nothing_left(before)


@lab
@enclosed(timeout=180)
def test_up_that_is_interrupted_leaves_nothing():
    """SIGINT, as from Ctrl-C, and SIGKILL, at moments spread over the way up."""
    before = snapshot()
    for number, seconds in ((signal.SIGINT, 0.3), (signal.SIGINT, 1.5), (signal.SIGKILL, 0.6), (signal.SIGKILL, 1.2)):
        command = [sys.executable, "-m", "harness.cli", "lab", "up", "--testbed", TESTBED]
        going = subprocess.Popen(command, cwd=enclosure.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        going.send_signal(number)
        going.wait(WAIT_S)
        assert_nothing_left(before, within=30.0)


@lab
@enclosed(timeout=120)
def test_up_whose_keeper_is_killed_says_so_and_leaves_nothing():
    before = snapshot()
    command = [sys.executable, "-u", "-m", "harness.cli", "lab", "up", "--testbed", TESTBED]
    going = subprocess.Popen(command, cwd=enclosure.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "build the nodes" in going.stdout.readline()
    os.kill(children(going.pid)[0], signal.SIGKILL)
    _, said = going.communicate(timeout=WAIT_S)
    assert (going.returncode, "the keeper ended without a word" in said) == (3, True), said
    assert_nothing_left(before)


@lab
@enclosed(timeout=120)
def test_up_that_fails_says_why_and_leaves_nothing():
    # A kernel that dies at once, before the real one on the path; not in /tmp, where the lab would not see it.
    stub = Path("/mnt")
    libc.mount("none", str(stub), "tmpfs")
    before = snapshot()
    (stub / "linux.uml").write_text("#!/bin/sh\necho 'no memory for a guest'; exit 1\n")
    (stub / "linux.uml").chmod(0o755)
    done = natstorm("lab", "up", "--testbed", TESTBED, env={**os.environ, "PATH": f"{stub}:{os.environ['PATH']}"})
    assert done.returncode == 3
    assert "boot of guest gateway" in done.stderr
    assert "no memory for a guest" in done.stderr
    assert "cure:" in done.stderr
    assert_nothing_left(before)


@lab
@enclosed(timeout=180, rootless=True)
def test_without_root_a_lab_comes_up_and_goes():
    before = snapshot()
    status = up("--variant", "plain-user")
    assert {node["node"]: node["about"] for node in status["nodes"]}["gateway"] == "plain-user, running"
    assert natstorm("lab", "shell", "nat", "--", "ip", "netns", "identify").stdout == "nat\n"
    assert natstorm("lab", "down").returncode == 0
    assert_nothing_left(before)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["up", "--variant", "demux-kernel"], "no gateway variant 'demux-kernel'"),
        (["up", "--testbed", TESTBED, "--variant", "demux"], "no gateway variant 'demux'"),
        (["up", "--testbed", "/no/such.yaml"], "/no/such.yaml: cannot be read: No such file"),
    ],
)
def test_a_mistake_is_told_before_anything_is_started(arguments, said):
    done = natstorm("lab", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "cure:" in done.stderr
    assert done.stdout == ""


def test_a_second_keeper_is_refused(monkeypatch):
    monkeypatch.setattr(control, "name", lambda uid: f"\0natstorm-test-{os.getpid()}")
    with control.listen() as listener:
        with pytest.raises(UsageError, match="up already"):
            control.listen()
        connection = control.connect()
        server, _ = listener.accept()
        assert control.peer_uid(server) == os.geteuid()
        connection.close()
        server.close()
    assert control.connect() is None
