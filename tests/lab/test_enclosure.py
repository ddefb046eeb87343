"""The enclosure: what is inside, how it ends, and that nothing is left of it, whoever is killed."""

import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from enclosed import enclosed
from leftovers import assert_nothing_left, left_behind, snapshot

from harness.errors import LabError
from harness.lab import enclosure, launcher

lab = pytest.mark.lab
PYTHON = sys.executable
WAIT_S = 20.0

# Says "ready", then each signal it gets, for so many seconds after the first: however late a busy machine brings that one.
LISTENER = """
import signal, sys, time
until = time.monotonic() + 60.0
def heard(number, frame):
    global until
    print(signal.Signals(number).name, flush=True)
    until = time.monotonic() + float(sys.argv[1])
for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(s, heard)
print("ready", flush=True)
while time.monotonic() < until:
    time.sleep(0.05)
"""

# A run with all that a run has: a child in a session of its own, a namespace, a veth pair, a mount, a temporary file, a socket.
BUSY = """
import os, socket, subprocess, sys, tempfile, time
for command in ("ip netns add n1", "ip link add v0 type veth peer name v1", "mount -t tmpfs x /mnt", "ip -n n1 link set lo up"):
    subprocess.run(command.split(), check=True)
keep = tempfile.NamedTemporaryFile(delete=False); open("/dev/shm/x", "w").close()
s = socket.socket(socket.AF_UNIX); s.bind("\\0natstorm-test")
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
grandchild = subprocess.Popen(["sh", "-c", "sleep 600 & exit"], start_new_session=True)
grandchild.wait()
print("ready", flush=True)
time.sleep(600)
"""


def start(program: str, *arguments: str, **options) -> subprocess.Popen[str]:
    """A run in an enclosure; returns once it has said "ready"."""
    # A test that was started by nohup, or in a shell's background, ignores some signals, and so would the run: with reason, and in
    # vain here.
    heard = ["env", "--default-signal=HUP,INT,TERM", *enclosure.command([PYTHON, "-c", program, *arguments])]
    run = subprocess.Popen(heard, stdout=subprocess.PIPE, text=True, **options)
    assert run.stdout.readline() == "ready\n"
    return run


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def the_processes(run: subprocess.Popen[str]) -> dict[str, int]:
    (reaper,) = children(run.pid)
    return {"launcher": run.pid, "reaper": reaper, "run": children(reaper)[0]}


def say_where_i_am() -> str:
    return (
        "import os,sys; sys.path.insert(0, sys.argv[1]); from harness.lab import enclosure; "
        "print(os.getpid(), enclosure.inside(), sorted(os.listdir('/sys/class/net')), os.environ['TMPDIR'], "
        "sorted(p for p in os.listdir('/proc') if p.isdigit()), os.listdir('/dev/shm'), sorted(os.listdir('/run')))"
    )


@lab
def test_the_inside_is_a_world_of_its_own():
    command = enclosure.command([PYTHON, "-c", say_where_i_am(), str(enclosure.ROOT)])
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said == "2 True ['lo'] /tmp ['1', '2'] [] ['lock', 'netns']\n"


@lab
@pytest.mark.parametrize(("program", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -9 $$", 137)])
def test_the_exit_status_passes_through(program, status):
    assert subprocess.run(enclosure.command(["sh", "-c", program]), check=False).returncode == status


@lab
def test_a_command_that_does_not_exist():
    done = subprocess.run(enclosure.command(["/no/such/program"]), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (127, "natstorm: cannot run /no/such/program: No such file or directory\n")


@lab
def test_input_and_output_are_the_callers():
    command = enclosure.command(["sh", "-c", "cat; echo e >&2"])
    done = subprocess.run(command, input="abc", capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("abc", "e\n")


@lab
def test_a_directory_below_tmp_is_bound_back(tmp_path):
    (tmp_path / "x").write_text("1")
    subprocess.run(enclosure.command(["sh", "-c", "cat x > y; ls /tmp > z"]), cwd=tmp_path, check=True)
    assert (tmp_path / "y").read_text() == "1"


@lab
def test_ensure_runs_the_same_command_inside_and_only_once():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from harness.lab import enclosure; "
        "print('before', flush=True); enclosure.ensure(); print('inside', enclosure.inside()); enclosure.ensure(); sys.exit(5)"
    )
    done = subprocess.run([PYTHON, "-c", program, str(enclosure.ROOT)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (5, "before\nbefore\ninside True\n"), done.stderr


@lab
def test_pytest_starts_itself_again_inside(tmp_path):
    (tmp_path / "conftest.py").write_text(
        "from harness.lab import enclosure\ndef pytest_configure(config):\n    enclosure.ensure_for_pytest(config)\n"
    )
    (tmp_path / "test_it.py").write_text(
        "import os\nfrom harness.lab import enclosure\ndef test_inside():\n"
        "    print('seen'); assert enclosure.inside() and os.getpid() == 2\ndef test_fails():\n    assert 0\n"
    )
    command = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1, done.stderr
    assert "1 failed, 1 passed" in done.stdout


def test_the_mark_alone_is_no_proof(monkeypatch):
    monkeypatch.setenv(launcher.MARK, "pid:[1]")
    assert not enclosure.inside()


# --- signals ---


@lab
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_launcher_reaches_the_run_once(number):
    run = start(LISTENER, "1")
    run.send_signal(number)
    assert run.communicate(timeout=WAIT_S)[0] == f"{number.name}\n"
    assert run.returncode == 0


@lab
def test_a_signal_to_the_whole_group_reaches_the_run_once():
    run = start(LISTENER, "1", start_new_session=True)
    os.killpg(run.pid, signal.SIGINT)
    assert run.communicate(timeout=WAIT_S)[0] == "SIGINT\n"


@lab
def test_the_second_request_ends_it_at_once():
    run = start(LISTENER, "600")
    run.send_signal(signal.SIGINT)
    assert run.stdout.readline() == "SIGINT\n"
    time.sleep(0.5)  # longer than an echo takes
    run.send_signal(signal.SIGINT)
    assert run.wait(WAIT_S) == 128 + signal.SIGINT


@lab
def test_a_signal_that_the_caller_ignores_stays_ignored():
    program = "import signal, subprocess; print('ready', signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)"
    command = enclosure.command([PYTHON, "-c", program])
    done = subprocess.run(["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command], capture_output=True, text=True, check=True)
    assert done.stdout == "ready True\n"


@lab
def test_ctrl_c_on_a_terminal_reaches_the_run_once():
    pid, terminal = pty.fork()
    if pid == 0:
        command = enclosure.command([PYTHON, "-c", LISTENER, "1"])
        os.execv(command[0], command)
    said = b""
    typed = False
    while True:
        readable, _, _ = select.select([terminal], [], [], WAIT_S)
        assert readable, said
        try:
            data = os.read(terminal, 1024)
        except OSError:  # EIO: nobody has the terminal open any more
            break
        if not data:
            break
        said += data
        if b"ready" in said and not typed:
            os.write(terminal, b"\x03")
            typed = True
    assert os.waitpid(pid, 0)[1] == 0
    assert said.count(b"SIGINT") == 1


# --- nothing is left ---


def kill_and_look(victim: str) -> None:
    before = snapshot()
    run = start(BUSY)
    assert left_behind(before, within=0.0), "the run leaves no trace even while it lives: the comparison is blind"
    os.kill(the_processes(run)[victim], signal.SIGKILL)
    status = run.wait(WAIT_S)
    run.stdout.close()
    assert status in (-signal.SIGKILL, 128 + signal.SIGKILL)
    assert_nothing_left(before)


@lab
@enclosed
def test_kill_9_of_the_launcher_leaves_nothing():
    kill_and_look("launcher")


@lab
@enclosed
def test_kill_9_of_the_reaper_leaves_nothing():
    kill_and_look("reaper")


@lab
@enclosed
def test_kill_9_of_the_run_leaves_nothing():
    kill_and_look("run")


@lab
@enclosed
def test_an_orderly_end_leaves_nothing():
    before = snapshot()
    subprocess.run(enclosure.command([PYTHON, "-c", BUSY.replace("time.sleep(600)", "")]), check=True, stdout=subprocess.DEVNULL)
    assert_nothing_left(before)


@lab
@enclosed
def test_kill_9_while_it_is_being_made_leaves_nothing():
    """The launcher is killed after 0, 4, 8 … ms: before, between and after the making of the namespaces."""
    before = snapshot()
    for step in range(30):
        run = subprocess.Popen(enclosure.command(["sleep", "600"]))
        time.sleep(step * 0.004)
        run.kill()
        run.wait(WAIT_S)
    assert_nothing_left(before)


@lab
@enclosed
def test_a_rehearsal_leaves_nothing():
    before = snapshot()
    enclosure.rehearse()
    assert enclosure.obstacle() is None
    assert_nothing_left(before)


# --- without root ---


@lab
@enclosed(unprivileged=True)
def test_without_root_the_inside_is_the_same():
    assert (os.getuid(), enclosure.inside()) == (65534, True)  # the machine that was made for this test counts as one
    command = enclosure.command([PYTHON, "-c", "import os; print(os.getuid(), os.getpid(), sorted(os.listdir('/sys/class/net')))"])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0 2 ['lo']\n"), done.stderr


@lab
@enclosed(unprivileged=True)
def test_without_root_kill_9_of_the_launcher_leaves_nothing():
    kill_and_look("launcher")


@lab
@enclosed(unprivileged=True)
def test_without_root_kill_9_of_the_reaper_leaves_nothing():
    kill_and_look("reaper")


@lab
@enclosed(unprivileged=True)
def test_without_root_kill_9_of_the_run_leaves_nothing():
    kill_and_look("run")


@lab
@enclosed(unprivileged=True)
def test_where_the_kernel_forbids_it_the_switch_is_named():
    """In a user namespace of its own, where the limit can be set to none without touching the machine's."""
    program = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from harness.lab import enclosure, launcher; launcher.privileged = lambda: False\n"
        "open('/proc/sys/user/max_user_namespaces', 'w').write('0')\n"
        "error = enclosure.obstacle(); print(error.step, error.seen, error.cure, sep='|')"
    )
    done = subprocess.run(enclosure.command([PYTHON, "-c", program]), capture_output=True, text=True, check=False)
    assert done.stdout == (
        "make a user namespace|unshare: No space left on device (user.max_user_namespaces = 0)|"
        "sudo sysctl -w user.max_user_namespaces=15000, or run as root\n"
    ), done


def test_a_switch_that_does_not_forbid_is_not_blamed(monkeypatch, tmp_path):
    (tmp_path / "switch").write_text("1\n")
    monkeypatch.setattr(launcher, "_SWITCHES", ((str(tmp_path / "switch"), "0", "cure A"), (str(tmp_path / "none"), "0", "cure B")))
    error = launcher.forbidden("step", PermissionError(1, "Operation not permitted"))
    assert isinstance(error, LabError)
    assert (error.step, error.seen) == ("step", "Operation not permitted")
    assert "root" in error.cure


@lab
def test_loopback_works_inside():
    program = "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname()); print('ok')"
    done = subprocess.run(enclosure.command([PYTHON, "-c", program]), capture_output=True, text=True, check=False)
    assert done.stdout == "ok\n", done.stderr
    assert socket.gethostname()  # the host's name is shared: there is no UTS namespace
