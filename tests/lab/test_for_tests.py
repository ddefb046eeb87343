"""What only tests want: made once, made anew when it no longer fits, or why it is not."""

import pytest

from harness.errors import LabError
from harness.lab import for_tests

LISTED = "# nothing\n"
NAME = "judge"


@pytest.fixture(params=[True, False], ids=["environment", "folder"])
def listed(tmp_path, monkeypatch, request):
    """The only thing that is wanted, whose list of packages is a file of the test's."""
    file = tmp_path / "list.lock"
    file.write_text(LISTED)
    monkeypatch.setattr(for_tests, "WANTED", {NAME: for_tests.Wanted("the judge", str(file), request.param)})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    return file


def test_what_is_made_is_found_and_not_made_again(listed, tmp_path):
    told = []
    assert for_tests.directory(NAME, tmp_path) is None
    for_tests.setup(told.append, tmp_path)
    assert len(told) == 1
    assert for_tests.directory(NAME, tmp_path) == tmp_path / NAME
    for_tests.setup(told.append, tmp_path)
    assert len(told) == 1
    listed.write_text(LISTED + "# of another version\n")
    assert for_tests.directory(NAME, tmp_path) is None
    listed.write_text(LISTED)
    (tmp_path / NAME).rename(tmp_path / "moved")
    (tmp_path / "moved").rename(tmp_path / NAME)
    assert for_tests.directory(NAME, tmp_path) is not None
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / NAME).rename(tmp_path / "elsewhere" / NAME)
    assert for_tests.directory(NAME, tmp_path / "elsewhere") is None


def test_packages_that_cannot_be_had_are_told_in_pips_words(listed, tmp_path):
    listed.write_text(f"gns3-server==9.9.9 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(LabError, match=r"(?s)install the judge: .*gns3-server==9.9.9.*\n  cure: is the package index"):
        for_tests.setup(lambda _line: None, tmp_path)
    assert for_tests.directory(NAME, tmp_path) is None


def test_every_list_is_of_exact_versions_with_hashes():
    for name, wanted in for_tests.WANTED.items():
        text = f"\n{(for_tests.PROJECT / wanted.listed).read_text()}"
        package, _, version = name.replace("gns3", "gns3-server").rpartition("-") if wanted.environment else (name, "", "")
        assert f"\n{package}=={version}" in text
        assert text.count("==") <= text.count("--hash=sha256:")
