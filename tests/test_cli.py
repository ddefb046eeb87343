"""The command as a newcomer meets it: help, mistakes, and cures that can be typed as they stand."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "lab"))
from enclosed import enclosed

from harness import cli, errors
from harness.lab import launcher, libc

ROOT = Path(__file__).parent.parent
NATSTORM = [sys.executable, "-m", "harness.cli"]

LINUX = ("--testbed", str(ROOT / "testbeds" / "linux.yaml"))


def natstorm(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*NATSTORM, *words], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, **options)


def test_alone_it_lists_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    said = capsys.readouterr().err
    assert all(command in said for command in ("qualify", "setup", "doctor", "lab", "report"))


@pytest.mark.parametrize("words", ["frobnicate", "qualify --wrong", "qualify --clients many", "lab shell moon"])
def test_a_wrong_word_is_a_mistake_of_usage(words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words.split())
    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/reports/x"), "natstorm: /reports/x: No space left on device\n"),
        (OSError("cannot load it"), "natstorm: cannot load it\n"),
    ],
)
def test_a_machine_that_refuses_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: OSError, sentence: str
) -> None:
    def refuse(_arguments: object) -> int:
        raise error

    monkeypatch.setattr("harness.lab.machine._doctor", refuse)
    assert cli.main(["doctor"]) == 3
    assert capsys.readouterr().err == sentence


def test_a_reader_that_has_seen_enough_ends_the_command_without_complaint() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run([*NATSTORM, "doctor"], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, timeout=120, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("on_path", "where", "typed"),
    [
        (True, "", "natstorm doctor"),
        (False, "", ".venv/bin/natstorm doctor"),
        (False, "..", "'a checkout/.venv/bin/natstorm' doctor"),
        (False, "../elsewhere", "'{tmp}/a checkout/.venv/bin/natstorm' doctor"),
    ],
)
def test_a_cure_names_the_command_as_it_has_to_be_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_path: bool, where: str, typed: str
) -> None:
    checkout = tmp_path / "a checkout"
    program = checkout / ".venv" / "bin" / "natstorm"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(checkout / where)
    monkeypatch.setattr(errors.sys, "prefix", str(checkout / ".venv"))
    monkeypatch.setenv("PATH", str(program.parent) if on_path else "/usr/bin:/bin")
    assert errors.typed("doctor") == typed.format(tmp=tmp_path)


def test_runs_are_looked_for_where_they_are_put() -> None:
    from harness import plugin
    from harness.report import commands

    assert commands.REPORTS == plugin.ROOT / "reports"


@pytest.mark.lab
@pytest.mark.usefixtures("machine_for_runs")
class TestRuns:
    def test_nothing_selected_is_a_mistake_and_no_run(self, tmp_path: Path) -> None:
        ended = natstorm("qualify", "--reports", str(tmp_path / "reports"), "-k", "no_case_of_this_name")
        assert ended.returncode == 2
        assert "natstorm: no case of the suites is all that was asked for" in ended.stderr
        assert list((tmp_path / "reports").iterdir()) == []

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            ("--behaviour SEC-11", "no test asks SEC-11: It takes a peer that speaks L2F"),
            ("--behaviour DMX-50", "DMX-50 is played on Cisco routers only: --testbed testbeds/virtual-ios.yaml"),
            ("--behaviour DMX-14 --time wall", "DMX-14 is played in virtual time only: leave --time out"),
            ("--behaviour SEC-31 --behaviour DMX-51", "testbeds/virtual-ios.yaml has virtual ones; DMX-51 is played on Cisco"),
        ],
    )
    def test_a_behaviour_that_is_not_played_says_why(self, tmp_path: Path, words: str, sentence: str) -> None:
        ended = natstorm("qualify", "--reports", str(tmp_path), *words.split())
        assert ended.returncode == 2
        assert sentence in ended.stderr
        assert ended.stderr.startswith("natstorm: ")

    def test_a_virtual_run_leaves_nothing_in_tmp(self, tmp_path: Path) -> None:
        scratch = tmp_path / "tmp"
        scratch.mkdir()
        words = ["qualify", "--reports", str(tmp_path / "reports"), "--time", "virtual", "--behaviour", "DMX-01"]
        ended = natstorm(*words, env={**os.environ, "TMPDIR": str(scratch)})
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert list(scratch.iterdir()) == []

    def test_json_is_all_that_stands_on_standard_output(self, tmp_path: Path) -> None:
        words = ["qualify", "--json", "--reports", str(tmp_path), "--time", "virtual", "--behaviour", "DMX-01"]
        ended = natstorm(*words)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        told = json.loads(ended.stdout)
        assert told == json.loads((tmp_path / "latest" / "summary.json").read_text())
        assert told["passed"] >= 1
        assert "connect:c1" in ended.stderr

    def test_a_folder_that_vanishes_under_a_run_is_told_in_a_sentence(self, tmp_path: Path) -> None:
        def vanish(_run: subprocess.Popen[str]) -> None:
            shutil.rmtree(tmp_path / "reports")

        status, said = in_the_midst(vanish, "--reports", str(tmp_path / "reports"), "--time", "virtual", "--behaviour", "DMX-01")
        assert status == 3, said
        assert f"natstorm: lab: keep what the run finds: {tmp_path / 'reports'}/" in said
        assert "No such file or directory" in said
        assert "Traceback" not in said
        assert "INTERNALERROR" not in said

    @pytest.mark.parametrize("time", ["virtual", "wall"])
    def test_ctrl_c_ends_a_run_in_the_same_words_in_either_time(self, tmp_path: Path, time: str) -> None:
        words = ("--reports", str(tmp_path), "--time", time, "--behaviour", "DMX-01")
        status, said = in_the_midst(lambda run: run.send_signal(signal.SIGINT), *words)
        assert status == 3, said
        assert re.search(r"^!+ \S*Exit: Ctrl-C !+$", said, re.MULTILINE), said
        assert "the run was interrupted while the scenario was played" in said
        assert "KeyboardInterrupt" not in said
        assert "Traceback" not in said

    def test_a_mistake_in_a_testbed_is_told_with_its_line(self, tmp_path: Path) -> None:
        testbed = tmp_path / "typo.yaml"
        testbed.write_text((ROOT / "testbeds" / "linux.yaml").read_text().replace("variants:", "varants:"))
        ended = natstorm("qualify", "--reports", str(tmp_path), "--testbed", str(testbed))
        assert ended.returncode == 2
        line = testbed.read_text().split("varants")[0].count("\n") + 1
        assert ended.stderr.startswith(f"natstorm: {testbed}:{line}: 'varants' is not known")
        assert "did you mean 'variants'?" in ended.stderr

    def test_head_ends_a_run_early_and_its_report_says_so(self, tmp_path: Path) -> None:
        words = ["qualify", *LINUX, "--reports", str(tmp_path), "--variant", "plain-kernel", "--behaviour", "DMX-01"]
        with subprocess.Popen([*NATSTORM, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
            assert run.stdout is not None
            assert run.stderr is not None
            first = run.stdout.readline()
            run.stdout.close()
            complaints = run.stderr.read()
            status = run.wait()
        assert "load the testbed" in first
        assert (status, complaints) == (3, "")
        told = natstorm("report", "--reports", str(tmp_path))
        assert "this run is interrupted (nobody read its output any more)" in told.stdout

    def test_a_full_disk_ends_a_run_in_a_sentence(self) -> None:
        full_disk()


def in_the_midst(do: Callable[[subprocess.Popen[str]], None], *words: str) -> tuple[int, str]:
    """A qualification to which something is done while its first scenario is played: its status, and all that it said."""
    command = [*NATSTORM, "qualify", *words]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        assert run.stdout is not None
        said = ""
        for line in run.stdout:
            said += line
            if "connect:c1" in line:
                break
        do(run)
        said += run.stdout.read()
        return run.wait(), said


@enclosed(timeout=180.0)
def full_disk() -> None:
    """A file system of 192 KiB: the run's folder is made, and what is found does not fit."""
    small = Path("/tmp/small")
    small.mkdir()
    libc.mount("small", str(small), "tmpfs", 0, "size=192k")
    environment = {name: value for name, value in os.environ.items() if name != launcher.MARK}  # it makes an enclosure of its own
    ended = natstorm(
        "qualify", *LINUX, "--reports", str(small), "--variant", "demux-kernel", "--behaviour", "DMX-29", env=environment
    )
    assert ended.returncode == 3, ended.stdout + ended.stderr
    assert "natstorm: lab: keep what the run finds: /tmp/small/" in ended.stderr
    assert "No space left on device" in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "INTERNALERROR" not in ended.stdout + ended.stderr
    told = natstorm("report", "--reports", str(small), env=environment)
    assert "No space left on device" in told.stdout
    assert "Traceback" not in told.stderr
