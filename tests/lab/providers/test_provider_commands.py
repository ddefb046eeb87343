"""`natstorm lab import` and `lab clean` as typed, against a server that records what it is asked."""

import io

import pytest
import yaml
from gns3_fake import fake

from harness.cli import main


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("NATSTORM_GNS3_PASSWORD", "s3cret")
    with fake() as one:
        project = one.add_project("bench")
        router, nat = one.add_node(project, "R1", "dynamips"), one.add_node(project, "nat")
        one.add_link(project, (router, 0), (nat, 0))
        yield one


def typed(server, verb, *more):
    return main(["lab", verb, "gns3", "--server", server.url, "--project", "bench", "--user", "admin", *more])


def test_an_import_goes_to_the_terminal_and_changes_nothing(server, capsys):
    assert typed(server, "import", "--role", "gateway=R1") == 0
    found = yaml.safe_load(capsys.readouterr().out)
    assert found["devices"]["gateway"]["connections"]["cli"]["port"] == 5000
    assert set(found["devices"]) == {"clients", "nat", "gateway"}
    assert server.did("PUT", "DELETE") == []
    assert server.did("POST") == ["POST /access/users/authenticate"]


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
    from harness.model.secret import Secret

    lab = Gns3(Gns3Spec(server.url, "bench", "admin", Secret("s3cret")), "killed")
    lab.up()
    lab.lock.release()  # as after a kill: the ledger stays
    assert typed(server, "clean") == 0
    assert "an earlier run left started 'R1'" in capsys.readouterr().out
    assert {node["status"] for node in server.nodes.values()} == {"stopped"}
    assert typed(server, "clean") == 0
    assert capsys.readouterr().out == "nothing was left\n"
