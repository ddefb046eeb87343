"""`natstorm lab import` and `lab clean` as typed, against a server that records what it is asked."""

import io
import re

import pytest
import yaml
from gns3_fake import fake

from harness.cli import main
from harness.model.reach import CaptureSource, LabSpec
from harness.model.secret import Secret
from harness.testbed import check, examine


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("NATSTORM_GNS3_PASSWORD", "s3cret")
    with fake() as one:
        project = one.add_project("bench")
        router, nat = one.add_node(project, "R1", "dynamips"), one.add_node(project, "nat")
        one.add_link(project, (router, 0), (nat, 0))
        yield one


@pytest.fixture
def file(server, tmp_path, monkeypatch):
    """Where an import goes; the project has a way in for clients, and the environment all secrets."""
    for variable in ("NATSTORM_PSK", "NATSTORM_PPP_PASSWORD", "NATSTORM_LAB_PASSWORD"):
        monkeypatch.setenv(variable, "x")
    project, nat = server.projects["project-1"], server.nodes["node-3"]
    server.add_link(project, (nat, 1), (server.add_node(project, "in", "cloud"), 0))
    return tmp_path / "bench.yaml"


def typed(server, verb, *more):
    return main(["lab", verb, "gns3", "--server", server.url, "--project", "bench", "--user", "admin", *more])


def test_an_import_goes_to_the_terminal_and_changes_nothing(server, capsys):
    assert typed(server, "import", "--role", "gateway=R1") == 0
    found = yaml.safe_load(capsys.readouterr().out)
    assert found["devices"]["gateway"]["connections"]["cli"]["port"] == 5000
    assert set(found["devices"]) == {"clients", "nat", "gateway"}
    assert server.did("PUT", "DELETE") == []
    assert server.did("POST") == ["POST /access/users/authenticate"]


def test_an_import_lacks_what_is_marked_and_nothing_else(server, file, capsys):
    assert typed(server, "import", "--role", "gateway=R1", "-o", str(file)) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith(f"2 links, {len(marked(file))} places marked TO COMPLETE")
    told = examine(file).mistakes
    assert [one.line for one in told] == marked(file)
    assert {one.problem for one in told} == {"this is still to be completed"}


def test_completed_it_is_in_order(server, file):
    """Whatever is written in the places that are marked, the rest of the file fits."""
    assert typed(server, "import", "--role", "gateway=R1", "-o", str(file)) == 0
    written = iter((
        "admin", "10.0.0.0/8, 192.0.2.0/24, 203.0.113.0/24, 172.16.0.1/32", "10.0.0.0/24", "10.0.0.2", "linux", "192.0.2.9",
        "demux", "172.16.0.1", "172.16.0.10-172.16.0.99",
        "eth9", "in-nat", "192.0.2.2/30", "203.0.113.232/24", "192.0.2.1/30", "203.0.113.231/24",
    ))  # fmt: skip
    file.write_text(re.sub("(?<!marked )TO COMPLETE(?!' FILE)", lambda _: next(written), file.read_text()))
    testbed = check(file)
    assert next(written, None) is None
    assert testbed.lab == LabSpec("gns3", server.url, "bench", "admin", Secret("s3cret"), {"nodes": {"gateway": "R1"}})
    assert testbed.nat.outside_capture == CaptureSource("tcpdump", "Ethernet0", testbed.nat.connection)


def marked(file):
    """The lines with a mark, those of the remarks at its head left out."""
    return [n for n, line in enumerate(file.read_text().splitlines(), 1) if "TO COMPLETE" in line and not line.startswith("#")]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--role", "gateway"], "ROLE=NODE"),
        (["--role", "gateway=R1", "--role", "gateway=nat"], "each role once"),
        (["--role", "router=R1"], "no role 'router'"),
        (["-o", "/nowhere/bench.yaml"], "/nowhere/bench.yaml: cannot be written: No such file"),
    ],
)
def test_mistakes_in_the_usage(server, capsys, more, said):
    assert typed(server, "import", *more) == 2
    assert said in capsys.readouterr().err


def test_a_password_that_is_nowhere_is_asked_for_by_name_of_its_variable(server, capsys, monkeypatch):
    monkeypatch.delenv("NATSTORM_GNS3_PASSWORD")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert typed(server, "import") == 2
    assert "export NATSTORM_GNS3_PASSWORD=" in capsys.readouterr().err
    assert server.asked == []


def test_a_wrong_password_ends_with_status_3_and_is_not_shown(server, capsys, monkeypatch):
    monkeypatch.setenv("NATSTORM_GNS3_PASSWORD", "hunter22")
    assert typed(server, "import") == 3
    shown = capsys.readouterr()
    assert "does not let user 'admin' in" in shown.err
    assert "hunter22" not in shown.err + shown.out


def test_a_clean_up_tells_what_it_undid(server, capsys):
    from harness.lab.providers.gns3 import Gns3, Gns3Spec

    lab = Gns3(Gns3Spec(server.url, "bench", "admin", Secret("s3cret")), "killed")
    lab.up()
    lab.lock.release()  # as after a kill: the ledger stays
    assert typed(server, "clean") == 0
    assert "an earlier run left started 'R1'" in capsys.readouterr().out
    assert {node["status"] for node in server.nodes.values()} == {"stopped"}
    assert typed(server, "clean") == 0
    assert capsys.readouterr().out == "nothing was left\n"
