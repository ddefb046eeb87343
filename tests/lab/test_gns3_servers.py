"""The environments of the GNS3 servers that tests talk to: made once, made anew when they no longer fit, or why they are not."""

import pytest

from harness.errors import LabError
from harness.lab import gns3_servers

LISTED = "# nothing\n"


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """A server whose list of packages is a file of the test's."""
    file = tmp_path / "list.lock"
    file.write_text(LISTED)
    monkeypatch.setattr(gns3_servers, "SERVERS", {"9.9": str(file)})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    return file


def test_what_is_made_is_found_and_not_made_again(listed, tmp_path):
    told = []
    assert gns3_servers.program("9.9", tmp_path) is None
    gns3_servers.setup(told.append, tmp_path)
    assert len(told) == 1
    assert gns3_servers.program("9.9", tmp_path) == tmp_path / "gns3-9.9" / "bin" / "gns3server"
    gns3_servers.setup(told.append, tmp_path)
    assert len(told) == 1
    listed.write_text(LISTED + "# of another version\n")
    assert gns3_servers.program("9.9", tmp_path) is None
    listed.write_text(LISTED)
    (tmp_path / "gns3-9.9").rename(tmp_path / "moved")
    (tmp_path / "moved").rename(tmp_path / "gns3-9.9")
    assert gns3_servers.program("9.9", tmp_path) is not None
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "gns3-9.9").rename(tmp_path / "elsewhere" / "gns3-9.9")
    assert gns3_servers.program("9.9", tmp_path / "elsewhere") is None


def test_packages_that_cannot_be_had_are_told_in_pips_words(listed, tmp_path):
    listed.write_text(f"gns3-server==9.9.9 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(LabError, match=r"(?s)install the GNS3 server 9.9: .*gns3-server==9.9.9.*\n  cure: is the package index"):
        gns3_servers.setup(lambda _line: None, tmp_path)
    assert gns3_servers.program("9.9", tmp_path) is None


def test_every_server_has_its_list_with_hashes():
    for version, name in gns3_servers.SERVERS.items():
        text = (gns3_servers.PROJECT / name).read_text()
        assert f"\ngns3-server=={version}." in text
        assert text.count("==") <= text.count("--hash=sha256:")
