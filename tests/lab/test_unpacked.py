"""Programs that were unpacked and not installed: how they are found."""

import os
import subprocess
from pathlib import Path

import pytest

from harness.errors import MissingTool
from harness.lab import packages, unpacked


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine with nothing on its PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path


def test_an_unpacked_program_is_started_with_its_libraries(bare, monkeypatch):
    root = bare / "it's unpacked"
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/lib/x86_64-linux-gnu").mkdir(parents=True)
    program = root / "usr/bin/inetutils-telnet"
    program.write_text('#!/bin/sh\necho "$LD_LIBRARY_PATH" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(packages, "guest_directory", lambda: root)
    (bare / "starters").mkdir()
    assert unpacked.offer("telnet", bare / "starters")
    said = subprocess.run(["telnet", "a b", "c"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert said == f"{root}/usr/lib/x86_64-linux-gnu a b c\n"
    assert os.environ["PATH"].endswith(f":{bare}/starters")
    (bare / "starters" / "telnet").unlink()
    assert unpacked.offer("telnet")
    own = Path(os.environ["PATH"].split(":")[-1])
    assert (own / "telnet").exists()
    (own / "telnet").unlink()
    program.unlink()
    assert not unpacked.offer("telnet", bare / "starters")


def test_the_machines_own_comes_first(bare, monkeypatch):
    (bare / "bin/telnet").write_text("#!/bin/sh\n")
    (bare / "bin/telnet").chmod(0o755)
    monkeypatch.setattr(packages, "guest_directory", lambda: pytest.fail("nothing unpacked is wanted"))
    assert unpacked.offer("telnet", bare)
    assert os.environ["PATH"] == f"{bare}/bin"


def test_nothing_is_unpacked(bare, monkeypatch):
    monkeypatch.setattr(packages, "cache_directory", lambda bundle: bare)
    with pytest.raises(MissingTool, match="not unpacked"):
        unpacked.offer("telnet", bare)
