"""The GNS3 client against real servers of both APIs, as far as they go without emulators: nodes are made and joined, not run."""

import io
import zipfile

import pytest
import yaml
from gns3_live import PASSWORD, USER, live

from harness.cli import main
from harness.errors import LabError, UsageError
from harness.lab import for_tests
from harness.lab.providers.gns3 import Gns3, Gns3Spec
from harness.lab.providers.gns3_client import Client
from harness.lab.providers.gns3_server import Refused, Server
from harness.lab.providers.ledger import Ledger
from harness.model.secret import Secret


@pytest.fixture(scope="module", params=list(for_tests.GNS3))
def server(request, tmp_path_factory):
    if for_tests.directory(for_tests.GNS3[request.param]) is None:
        pytest.skip(f"no GNS3 server {request.param} here: {for_tests.CURE} installs it")
    with live(request.param, tmp_path_factory.mktemp(f"gns3-{request.param}")) as one:
        yield one


@pytest.fixture
def client(server, tmp_path):
    one = Server(server.url, USER, Secret(PASSWORD))
    one.connect()
    client = Client(one, Ledger(tmp_path / "ledger"), wait=lambda _seconds: None)
    yield client
    for project in client.projects():
        one.request("DELETE", f"/projects/{project['project_id']}", "clean up")


@pytest.fixture
def bench(client):
    """Somebody else's project, with two joined nodes: made past the ledger."""
    made = client.create_project("bench")["project_id"]
    for name in ("R1", "R2"):
        client.create_node(made, name, "vpcs")
    client.create_link(made, [("R1", "Ethernet0"), ("R2", "e0")])
    for entry in client.ledger.entries:
        client.ledger.undone(entry)
    return made


def lab_of(server, tmp_path, project="bench", **options):
    spec = Gns3Spec(server.url, project, USER, Secret(PASSWORD), **options)
    patient = lambda at, of: Client(at, of, wait=lambda _seconds: None)  # noqa: E731
    return Gns3(spec, "live", tmp_path / "state", tmp_path / "locks", patient)


def test_its_version_and_api_are_found(client, server):
    assert client.server.version.startswith(server.version)
    assert client.server.api.prefix == f"/v{server.version[0]}"


def test_a_wrong_password_is_refused_without_being_repeated(server):
    with pytest.raises(LabError) as refused:
        Server(server.url, USER, Secret("hunter22")).connect()
    assert f"does not let user {USER!r} in" in str(refused.value)
    assert "hunter22" not in str(refused.value)
    with pytest.raises(LabError, match="wants to know who asks"):
        Server(server.url).connect()


def test_a_token_that_is_worth_nothing_any_more_is_replaced(client):
    client.server._session.headers["Authorization"] = "Bearer worn.out.token"
    if client.server.version.startswith("3."):
        assert client.projects() == []
    else:  # what was wrong once with Basic stays wrong
        with pytest.raises(LabError, match="does not let user"):
            client.projects()
        client.server.connect()


def test_projects_nodes_and_links_come_and_go(client):
    project = client.create_project("made")
    assert project["project_id"] == client.project("made")["project_id"]
    identity = project["project_id"]
    one = client.create_node(identity, "PC7", "vpcs")
    other = client.node_from_template(identity, "VPCS", "PC8")
    assert [one["name"], other["name"]] == ["PC7", "PC8"]
    link = client.create_link(identity, [("PC7", "Ethernet0"), ("PC8", "Ethernet0")])
    assert [found["link_id"] for found in client.links(identity)] == [link["link_id"]]
    client.delete_link(link["link_id"], "PC7-PC8")
    assert client.links(identity) == []
    client.delete_node(identity, one)
    assert [node["name"] for node in client.nodes(identity)] == ["PC8"]
    client.undo(client.ledger.entries[0])
    assert client.projects() == []


def test_what_the_server_refuses_is_said_in_its_words_and_leaves_no_entry(client, bench):
    with pytest.raises(Refused, match=r'Project "bench" already exists.*\(status 409\)'):
        client.create_project("bench")
    client.create_node(bench, "PC9", "vpcs")
    with pytest.raises(Refused, match="Port is already used"):
        client.create_link(bench, [("PC9", "Ethernet0"), ("R1", "Ethernet0")])
    with pytest.raises(Refused, match=r"\(status 409\)") as refused:
        client.create_node(bench, "cloud", "cloud")
    assert "uBridge" in refused.value.seen
    assert [entry.name for entry in client.ledger.entries] == ["PC9"]
    with pytest.raises(LabError, match="there: PC9, R1, R2"):
        client.node(bench, "R7")
    with pytest.raises(LabError, match="one of Ethernet0"):
        client.create_link(bench, [("PC9", "Ethernet7"), ("R1", "Ethernet0")])
    with pytest.raises(LabError, match="no such template"):
        client.node_from_template(bench, "c7200", "R9")


def test_a_link_is_suspended_filtered_and_put_back(client, bench):
    (link,) = client.links(bench)
    where = bench, link["link_id"], "R1-R2"
    client.suspend(*where, True)
    client.set_filters(*where, {"packet_loss": [20], "delay": [10, 1]})
    (now,) = client.links(bench)
    assert now["suspend"] is True
    assert now["filters"] == {"packet_loss": [20], "delay": [10, 1]}
    with pytest.raises(UsageError, match="no filter 'nonsense'"):
        client.set_filters(*where, {"nonsense": [1]})
    for entry in reversed(client.ledger.entries):
        client.undo(entry)
    (after,) = client.links(bench)
    assert (after["suspend"], after["filters"]) == (False, {})


def test_a_capture_without_a_running_node_is_refused_and_forgotten(client, bench):
    (link,) = client.links(bench)
    with pytest.raises(Refused, match="no running device on this link"), client.capture(bench, link["link_id"], "R1-R2"):
        pytest.fail("nothing runs there")
    assert client.ledger.entries == ()


def test_an_export_comes_back_as_a_project_of_our_own(client, bench, server, tmp_path):
    file = tmp_path / "bench.gns3project"
    client.export_project(bench, file)
    assert "project.gns3" in zipfile.ZipFile(io.BytesIO(file.read_bytes())).namelist()
    copy = client.import_project(file, "from a file")
    client.open_project(copy)
    assert sorted(node["name"] for node in client.nodes(copy["project_id"])) == ["R1", "R2"]
    with pytest.raises(LabError, match="has one of that name already"):
        client.import_project(file, "from a file")
    file.write_bytes(b"no project")
    with pytest.raises(Refused, match="not a GNS3 project"):
        client.import_project(file, "from nothing")
    for entry in client.ledger.entries:
        client.undo(entry)
    assert [project["name"] for project in client.projects()] == ["bench"]


def test_a_node_that_cannot_start_fails_the_lab_and_all_is_put_back(client, bench, server, tmp_path):
    client.server.request("POST", f"/projects/{bench}/close", "close")
    lab = lab_of(server, tmp_path)
    with pytest.raises(LabError) as failed:
        lab.up()
    said = str(failed.value)
    assert "start node R1" in said
    assert "No path to a VPCS executable has been set (status 409), 3 times" in said
    assert client.project("bench")["status"] == "closed"
    assert not list((tmp_path / "state").rglob("*.jsonl"))
    assert not lab.lock.held


def test_a_copy_is_made_and_deleted_and_its_template_stays(client, bench, server, tmp_path):
    lab = lab_of(server, tmp_path, "copy", template="bench", start=())
    status = lab.up()
    assert [(node.name, node.state) for node in status.nodes] == [("R1", "stopped"), ("R2", "stopped")]
    assert [str(link) for link in status.links] == ["R1-R2 (R1 Ethernet0 - R2 Ethernet0)"]
    assert lab.console("R1").host == "127.0.0.1"
    lab.link_down("R1-R2")
    assert not lab.status().links[0].up
    assert len(client.projects()) == 2
    lab.down()
    assert [project["project_id"] for project in client.projects()] == [bench]


def test_a_missing_project_is_told_with_those_there(client, bench, server, tmp_path):
    with pytest.raises(LabError, match=r"no such project\n  cure: there: 'bench'"):
        lab_of(server, tmp_path, "bonch").up()


def test_the_command_imports_a_closed_project_and_leaves_it_closed(client, bench, server, tmp_path, monkeypatch, capsys):
    client.server.request("POST", f"/projects/{bench}/close", "close")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("NATSTORM_GNS3_PASSWORD", PASSWORD)
    file = tmp_path / "bench.yaml"
    command = ["lab", "import", "gns3", "--server", server.url, "--project", "bench", "--user", USER, "--role", "gateway=R1"]
    assert main([*command, "-o", str(file)]) == 0
    assert "2 nodes, 1 links" in capsys.readouterr().out
    found = yaml.safe_load(file.read_text())
    lab = {"provider": "gns3", "url": server.url, "project": "bench", "options": {"nodes": {"gateway": "R1"}}}
    assert found["testbed"]["custom"]["lab"] == lab
    assert found["testbed"]["credentials"]["gns3"] == {"username": USER, "password": "%ENV{NATSTORM_GNS3_PASSWORD}"}
    ports = {node["name"]: node["console"] for node in client.nodes(bench)}
    assert found["devices"]["gateway"]["connections"]["cli"] == {"protocol": "telnet", "ip": "127.0.0.1", "port": ports["R1"]}
    assert found["topology"]["gateway"]["interfaces"]["Ethernet0"]["link"] == "R1-R2"
    assert PASSWORD not in file.read_text()
    assert client.project("bench")["status"] == "closed"
    assert main([*command, "-o", str(file)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["lab", "clean", "gns3", "--server", server.url, "--project", "bench", "--user", USER]) == 0
    assert capsys.readouterr().out == "nothing was left\n"


def test_a_server_that_dies_in_the_middle_leaves_what_a_later_run_cleans_up(server, tmp_path):
    """The last test of this file: the server that they share does not survive it."""
    connection = Server(server.url, USER, Secret(PASSWORD))
    connection.connect()
    Client(connection, Ledger(tmp_path / "ledger of others")).create_project("others")
    lab = lab_of(server, tmp_path, "mine", template="others", start=())
    lab.up()
    server.kill()
    with pytest.raises(LabError, match=r"is not there: .*refused\n  left: copy 'mine' \(") as failed:
        lab.down()
    assert f"lab clean gns3 --server {server.url} --project mine --user {USER}" in str(failed.value)
    if server.version != "2.2":
        return  # which takes ten seconds to start again
    server.start()
    (told,) = [line for line in lab_of(server, tmp_path, "mine").clean() if "copy" in line]
    assert told.endswith(": undone")
    assert [project["name"] for project in Client(connection, Ledger(tmp_path / "none")).projects()] == ["others"]
