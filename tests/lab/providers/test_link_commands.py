"""`natstorm lab link down|up` as typed, against a GNS3 server that records what it is asked; and `natstorm restore` after a cut."""

from __future__ import annotations

from pathlib import Path

import pytest
from gns3_fake import fake

from harness.cli import main
from harness.devices import journal
from harness.lab.providers.gns3 import Gns3
from harness.lab.providers.of_testbed import provider_of
from harness.testbed import check

TESTBEDS = Path(__file__).parents[3] / "testbeds"
LINK = "R1-nat"


@pytest.fixture
def server():
    with fake() as one:
        project = one.add_project("natstorm")
        router, nat = one.add_node(project, "R1", "dynamips"), one.add_node(project, "nat")
        one.add_link(project, (router, 0), (nat, 0))
        one.add_link(project, (nat, 1), (one.add_node(project, "in", "cloud", "started", "none"), 0))
        yield one


@pytest.fixture
def file(server, tmp_path, monkeypatch):
    """The example for GNS3, with its project on that server, and all states and locks in a place of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("PSK", "PPP_PASSWORD", "LAB_PASSWORD", "ENABLE"):
        monkeypatch.setenv(f"NATSTORM_{name}", "x")
    monkeypatch.setenv("NATSTORM_GNS3_PASSWORD", "s3cret")
    text = (TESTBEDS / "gns3.yaml").read_text()
    assert text.count("http://192.168.122.1:3080") == 1
    path = tmp_path / "gns3.yaml"
    path.write_text(text.replace("http://192.168.122.1:3080", server.url))
    return str(path)


def cut(server):
    return [link["link_id"] for link in server.links.values() if link["suspend"]]


def link(way, file, *more):
    return main(["lab", "link", way, file, LINK, *more])


def test_a_link_is_cut_and_mended_and_nothing_is_left_of_it(server, file, tmp_path, capsys):
    (wanted,) = [one["link_id"] for one in server.links.values() if one["nodes"][0]["node_id"] == "node-2"]
    assert link("down", file) == 0
    assert cut(server) == [wanted]
    said = capsys.readouterr().out
    assert f"link {LINK} is down: nothing passes it until" in said
    assert "lab link up" in said
    assert link("down", file) == 0
    assert "is down already" in capsys.readouterr().out
    (kept,) = journal.kept()
    assert [undo.what for _, undo in kept.open] == [(f"mend link {LINK} of natstorm",)]
    assert "s3cret" not in kept.path.read_text()
    assert link("up", file) == 0
    assert cut(server) == []
    assert list((tmp_path / "state").rglob("*.jsonl")) == []
    assert server.did("DELETE") == []


def test_a_dry_run_names_the_link_and_leaves_it(server, file, tmp_path, capsys):
    assert link("down", file, "--dry-run") == 0
    assert capsys.readouterr().out.startswith(f"would cut link {LINK} (")
    assert cut(server) == []
    assert list((tmp_path / "state").rglob("*.jsonl")) == []
    assert link("down", file) == 0
    capsys.readouterr()
    assert link("up", file, "--dry-run") == 0
    assert capsys.readouterr().out.rstrip().endswith("of natstorm, which is down")
    assert cut(server) != []
    assert link("up", file) == 0


def test_restore_mends_it_and_until_then_no_run_begins(server, file, capsys):
    assert link("down", file) == 0
    testbed = check(file)
    ((name, kept),) = journal.left_changed(testbed.connections, testbed.file)
    assert name == f"link {LINK}"
    assert not kept.alive
    capsys.readouterr()
    assert main(["restore", "--testbed", file]) == 0
    assert f"mend link {LINK} of natstorm" in capsys.readouterr().out
    assert cut(server) == []
    assert journal.kept() == []


def test_where_the_server_is_gone_restore_says_what_is_left(server, file, capsys):
    assert link("down", file) == 0
    server.password = "another"
    capsys.readouterr()
    assert main(["restore", "--testbed", file]) == 3
    said = capsys.readouterr().out
    assert f"NOT undone: link {LINK}" in said
    assert "lab link up" in said
    server.password = "s3cret"
    assert main(["restore", "--testbed", file]) == 0
    assert cut(server) == []


def test_a_cut_that_was_under_way_when_the_server_went_stays_in_the_journal(server, file, capsys):
    server.dies_at = "PUT .*/links/"
    assert link("down", file) == 3
    said = capsys.readouterr().err
    assert "lab link up" in said
    (kept,) = journal.kept()
    assert len(kept.open) == 1


def test_a_cut_that_was_refused_leaves_nothing_that_forbids_a_run(server, file, tmp_path, capsys):
    server.refuses = "PUT .*/links/"
    assert link("down", file) == 3
    said = capsys.readouterr().err
    assert "not now (status 409)" in said
    assert "lab link up" not in said
    assert (cut(server), journal.kept()) == ([], [])
    assert list((tmp_path / "state").rglob("*.jsonl")) == []
    server.refuses = None
    assert link("down", file) == 0
    assert link("up", file) == 0
    assert list((tmp_path / "state").rglob("*.jsonl")) == []


def test_a_run_has_its_lab_for_itself_unless_told_otherwise(server, file, tmp_path, capsys):
    run = provider_of(check(file), "nightly")
    run.lock.acquire()
    try:
        assert link("down", file) == 3
        said = capsys.readouterr().err
        assert "for 'nightly'" in said
        assert "--during-run does it all the same" in said
        assert (cut(server), journal.kept()) == ([], [])
        assert link("down", file, "--during-run") == 0
        assert len(cut(server)) == 1
        assert link("up", file) == 3
        assert link("up", file, "--during-run") == 0
        assert cut(server) == []
        assert run.client.ledger.entries == ()  # the run's own ledger is the run's
    finally:
        run.lock.release()


def test_a_link_that_there_is_not_is_told_with_those_there(server, file, capsys):
    assert main(["lab", "link", "down", file, "R1-R2"]) == 3
    assert "no such link in the lab\n  cure: one of R1-nat, in-nat" in capsys.readouterr().err
    assert journal.kept() == []


def test_devices_that_are_nobodys_have_no_links_to_cut(server, file, tmp_path, capsys):
    text = Path(file).read_text()
    begin, end = text.index("    lab:\n"), text.index("    allow:\n")
    Path(file).write_text(text[:begin] + text[end:])
    assert link("down", file) == 3
    said = capsys.readouterr().err
    assert "the provider static has no means for it" in said
    assert "unplug it" in said
    assert journal.kept() == []


def test_a_link_that_stays_down_is_told(server, file, monkeypatch, capsys):
    assert link("down", file) == 0
    monkeypatch.setattr(Gns3, "link_up", lambda *_: None)
    assert link("up", file) == 3
    assert "it is down still" in capsys.readouterr().err
    assert len(journal.kept()) == 1
