"""Which paths below the hidden directories a run gets back."""

import tempfile
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.lab.mounts import hidden_root, kept_paths


@pytest.fixture
def below_tmp():
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        yield Path(name)


@pytest.mark.parametrize(
    ("path", "root"),
    [("/tmp", "/tmp"), ("/tmp/a/b", "/tmp"), ("/run/x", "/run"), ("/dev/shm/x", "/dev/shm"), ("/tmpfiles", None), ("/home", None)],
)
def test_hidden_root(path, root):
    assert hidden_root(Path(path)) == root


def test_what_python_needs_is_kept_where_it_is_hidden(below_tmp):
    (below_tmp / "venv").mkdir()
    needed = [below_tmp / "venv", Path("/usr"), Path("/tmp"), below_tmp / "absent"]
    assert kept_paths(needed, [], Path("/")) == (below_tmp / "venv",)


def test_a_file_named_on_the_command_line_is_kept(below_tmp):
    file = below_tmp / "testbed.yaml"
    file.touch()
    assert kept_paths([], [f"--testbed={file}", "-k", "demux"], Path("/")) == (file,)
    assert kept_paths([], ["--testbed", "testbed.yaml"], below_tmp) == (file,)
    assert kept_paths([], ["testbed.yaml::test_x"], below_tmp) == ()  # no file of that whole name, and no slash in it
    assert kept_paths([], [f"{file}::test_x"], Path("/")) == (file,)


def test_the_directory_of_a_file_to_be_written_is_kept(below_tmp):
    assert kept_paths([], [f"--junitxml={below_tmp}/out.xml"], Path("/")) == (below_tmp,)


def test_what_lies_below_a_kept_directory_is_not_kept_twice(below_tmp):
    file = below_tmp / "a"
    file.touch()
    assert kept_paths([below_tmp], [str(file)], Path("/")) == (below_tmp,)


def test_a_file_that_would_be_lost_is_a_mistake():
    with pytest.raises(UsageError, match=r"/tmp/natstorm-no-such-file would be lost.*\n.*outside /tmp"):
        kept_paths([], ["--junitxml=/tmp/natstorm-no-such-file"], Path("/"))
