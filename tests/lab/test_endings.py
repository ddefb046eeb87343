"""A run that is told to end, and one whose terminal is gone: what it has is given back to the end."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.lab import enclosure, endings

RUN = """
import os, signal, sys, time
from pathlib import Path
from harness.lab import endings
endings.as_ctrl_c()
other = os.dup(1)  # as pytest keeps one
try:
    print("under way", flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    os.kill(os.getpid(), signal.SIGHUP)  # kernel and shell both send it
    print("giving back", flush=True)
    os.write(other, b"and so on")
    Path(sys.argv[1]).write_text("given back")
"""


@pytest.fixture
def command(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(enclosure.ROOT))
    return [sys.executable, "-c", RUN, str(tmp_path / "proof")]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_it_gives_back_whatever_signal_comes_next(command, tmp_path, number):
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout.readline() == "under way\n"
        run.send_signal(number)
        rest, _ = run.communicate(timeout=60)
    assert (rest, run.returncode) == ("giving back\nand so on", 0)
    assert (tmp_path / "proof").read_text() == "given back"


def test_a_terminal_that_is_gone_cuts_nothing_short(command, tmp_path):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(command[0], command)
    ended = os.pidfd_open(pid)
    said = b""
    while b"under way" not in said:
        assert select.select([terminal], [], [], 60)[0], said
        said += os.read(terminal, 1024)
    os.close(terminal)  # the kernel sends SIGHUP to whoever had it
    assert select.select([ended], [], [], 60)[0], "it goes on"
    os.close(ended)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert (tmp_path / "proof").read_text() == "given back"


def test_below_nohup_it_goes_on(command, tmp_path):
    nohup = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command]
    with subprocess.Popen(nohup, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout.readline() == "under way\n"
        run.send_signal(signal.SIGHUP)  # one that counted would be delivered first, being the lower number
        run.send_signal(signal.SIGUSR1)
        run.communicate(timeout=60)
    assert run.returncode == -signal.SIGUSR1
    assert not (tmp_path / "proof").exists()


def test_a_run_of_the_suites_listens(monkeypatch):
    from harness.report import pytest_sink
    from harness.session.session import Session

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    monkeypatch.setattr(pytest_sink, "install", lambda *_, **__: None)
    option = SimpleNamespace(reports=Path("reports"), fault=None, no_html=True)
    session = SimpleNamespace(config=SimpleNamespace(option=option), testbed=SimpleNamespace(name="lab", secrets=()))
    try:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        Session.begin(session)
        assert {number: signal.getsignal(number) for number in before} == {
            signal.SIGTERM: endings._interrupt, signal.SIGHUP: endings._hung_up,
        }  # fmt: skip
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
