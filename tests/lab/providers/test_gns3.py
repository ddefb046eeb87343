"""GNS3 as a lab, against a server that records what it is asked: what is done, what is put back, and what is told when it fails."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from gns3_fake import PCAP_HEADER, fake

from harness.errors import CaptureError, LabError, UsageError
from harness.lab.providers import gns3_client
from harness.lab.providers.gns3 import ClientsAt, Gns3, Gns3Spec
from harness.lab.providers.gns3_client import Client
from harness.lab.providers.gns3_server import Server, server_url
from harness.lab.providers.ledger import Ledger
from harness.lab.providers.provider import Console, Provider
from harness.model.secret import Secret

ROOT = Path(__file__).resolve().parents[3]
PASSWORD = "s3cret"


@pytest.fixture(params=[2, 3], ids=["v2", "v3"])
def server(request):
    with fake(api=request.param) as one:
        yield one


@pytest.fixture
def bench(server):
    """A project of somebody else's: a router that is off, a host that runs, a switch, and links to it."""
    project = server.add_project("bench")
    router, host = server.add_node(project, "R1", "dynamips"), server.add_node(project, "H1", status="started")
    switch = server.add_node(project, "SW", "ethernet_switch", "started", "none")
    server.add_link(project, (router, 0), (switch, 0))
    server.add_link(project, (switch, 1), (host, 0))
    return project


class Time:
    """A clock that moves while somebody waits."""

    def __init__(self):
        self.now, self.waits = 0.0, []

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def lab_of(tmp_path, server, time):
    made = []

    def one(project="bench", **options):
        spec = Gns3Spec(server.url, project, "admin", Secret(options.pop("password", PASSWORD)), **options)
        lab = Gns3(
            spec, "nightly", tmp_path / "state", tmp_path / "locks", lambda at, of: Client(at, of, lambda: time.now, time.wait)
        )
        made.append(lab)
        return lab

    yield one
    for lab in made:
        lab.lock.release()


def ledgers(tmp_path):
    return list((tmp_path / "state").rglob("*.jsonl"))


# --- up, status, down ---


def test_up_starts_what_is_off_and_down_stops_just_that(server, bench, lab_of, tmp_path):
    lab = lab_of()
    assert isinstance(lab, Provider)
    status = lab.up()
    assert status.up
    assert {node.name: (node.state, node.passive) for node in status.nodes} == {
        "R1": ("started", False),
        "H1": ("started", False),
        "SW": ("started", True),
    }
    assert [link.name for link in status.links] == ["H1-SW", "R1-SW"]
    assert lab.console("R1") == Console("127.0.0.1", 5000, "telnet")
    lab.down()
    lab.down()
    assert {node["name"]: node["status"] for node in server.nodes.values()} == {"R1": "stopped", "H1": "started", "SW": "started"}
    assert not [line for line in server.did() if line.startswith("DELETE") or line.endswith("/close")]
    assert ledgers(tmp_path) == []
    assert not lab.lock.held


def test_up_twice_is_up_once(server, bench, lab_of):
    lab = lab_of()
    lab.up()
    before = server.did()
    assert lab.up().up
    assert server.did() == before
    lab.down()


def test_a_closed_project_is_opened_to_be_looked_at_and_nothing_else_is_undone(server, bench, lab_of):
    lab = lab_of()
    lab.client.ledger.intend("project", bench["project_id"], "bench")  # ours, of a run that was killed
    bench["status"] = "closed"
    nodes, links = lab.describe()
    assert (len(nodes), len(links)) == (3, 2)
    assert bench["project_id"] in server.projects
    lab.client.ledger.undone(lab.client.ledger.entries[0])
    bench["status"] = "closed"
    lab.describe()
    assert bench["status"] == "closed"


def test_a_project_that_was_closed_is_closed_again(server, bench, lab_of):
    bench["status"] = "closed"
    lab = lab_of()
    lab.up()
    assert bench["status"] == "opened"
    lab.down()
    assert bench["status"] == "closed"


def test_only_the_nodes_that_are_wanted_are_started(server, bench, lab_of):
    lab = lab_of(start=("H1",))
    assert lab.up().up
    assert not [line for line in server.did("POST") if line.endswith("/start")]
    lab.down()
    with pytest.raises(LabError, match="no such node in the lab"):
        lab_of(start=("R7",)).up()


def test_a_console_that_there_is_not_is_said(bench, lab_of):
    lab = lab_of()
    lab.up()
    with pytest.raises(LabError, match="reach SW: GNS3 gives it no console"):
        lab.console("SW")
    with pytest.raises(LabError, match="one of H1, R1, SW"):
        lab.console("R2")


def test_two_runs_do_not_share_a_project(bench, lab_of):
    lab_of().up()
    with pytest.raises(LabError, match=r"it is held by .*'nightly'"):
        lab_of().up()


def test_a_project_that_there_is_not_is_told_with_those_there(server, bench, lab_of):
    server.add_project("another")
    with pytest.raises(LabError, match=r"find project 'bonch'.*no such project\n  cure: there: 'another', 'bench'"):
        lab_of("bonch").up()


# --- projects of our own ---


def test_a_project_from_a_file_goes_with_all_that_is_in_it(server, bench, lab_of, tmp_path):
    (tmp_path / "lab.gns3project").write_bytes(b"PK")
    lab = lab_of("mine", file=tmp_path / "lab.gns3project")
    lab.up()
    (mine,) = [one for one in server.projects.values() if one["name"] == "mine"]
    router = server.add_node(mine, "R1")
    lab.client.start(mine["project_id"], router)
    lab.down()
    assert list(server.projects.values()) == [bench]
    assert not [line for line in server.did() if line.endswith("/stop")]
    assert ledgers(tmp_path) == []


def test_a_project_from_a_template_is_a_copy_and_the_template_stays(server, bench, lab_of):
    lab = lab_of("copy of bench", template="bench")
    lab.up()
    assert f"POST /projects/{bench['project_id']}/duplicate" in server.did()
    lab.down()
    assert list(server.projects.values()) == [bench]


def test_a_project_that_is_there_is_not_made_and_not_deleted(server, bench, lab_of, tmp_path):
    (tmp_path / "lab.gns3project").write_bytes(b"PK")
    lab = lab_of("bench", file=tmp_path / "lab.gns3project")
    lab.up()
    lab.down()
    assert list(server.projects.values()) == [bench]


def test_a_file_that_cannot_be_read_is_a_mistake_of_the_users(bench, lab_of, tmp_path):
    with pytest.raises(UsageError, match=r"nowhere.gns3project: cannot be read: No such file"):
        lab_of("mine", file=tmp_path / "nowhere.gns3project").up()


# --- nodes that do not start ---


def test_a_node_that_fails_twice_is_told_three_times(server, bench, lab_of, time):
    server.unwell["R1"] = 2
    assert lab_of().up().up
    assert time.waits == [gns3_client.PAUSE_S, 2 * gns3_client.PAUSE_S]


def test_a_node_that_never_starts_is_named_with_the_servers_words(server, bench, lab_of, tmp_path):
    server.unwell["R1"] = -1
    with pytest.raises(LabError) as failed:
        lab_of().up()
    assert "start node R1" in str(failed.value)
    assert "Could not start R1: no free memory (status 409), 3 times" in str(failed.value)
    assert ledgers(tmp_path) == []


def test_a_node_that_takes_the_order_and_does_nothing_is_waited_for_but_not_for_ever(server, bench, lab_of, time):
    server.unwell["R1"] = "mute"
    with pytest.raises(LabError, match="took the order, and 120 s later the node is stopped"):
        lab_of().up()
    assert gns3_client.START_S <= time.now < gns3_client.START_S + 1


# --- nodes that do not stop ---


def test_a_node_that_will_not_stop_at_once_is_told_again_and_waited_for(server, bench, lab_of, tmp_path, time):
    lab = lab_of()
    lab.up()
    server.unwell["stop R1"] = 2
    server.lingers["R1"] = 3
    time.waits.clear()
    lab.down()
    polls = [gns3_client.POLL_S] * 3
    assert time.waits == [gns3_client.PAUSE_S, 2 * gns3_client.PAUSE_S, *polls]
    assert server.nodes["node-2"]["status"] == "stopped"
    assert ledgers(tmp_path) == []


@pytest.mark.parametrize(
    ("unwell", "seen"),
    [(-1, r"could not stop R1: busy \(status 409\)"), ("mute", "took the order, and 60 s later the node is started")],
)
def test_a_node_that_never_stops_is_left_in_the_ledger_with_the_command(server, bench, lab_of, tmp_path, unwell, seen):
    lab = lab_of()
    lab.up()
    server.unwell["stop R1"] = unwell
    with pytest.raises(LabError, match=rf"(?i){seen}(?s:.*)left: started 'R1'(?s:.*)lab clean gns3"):
        lab.down()
    assert len(ledgers(tmp_path)) == 1
    del server.unwell["stop R1"]
    lab.down()
    assert server.nodes["node-2"]["status"] == "stopped"
    assert ledgers(tmp_path) == []


@pytest.mark.parametrize("closed", [False, True])
def test_a_node_that_has_gone_meanwhile_is_not_waited_for(server, bench, lab_of, tmp_path, time, closed):
    lab = lab_of()
    lab.up()
    time.waits.clear()
    if closed:
        bench["status"] = "closed"
    else:
        del server.nodes["node-2"]
    lab.down()
    assert time.waits == []
    assert ledgers(tmp_path) == []


# --- links ---


def test_a_link_goes_down_and_up_and_comes_back_as_it_was(server, bench, lab_of):
    link = next(iter(server.links.values()))
    lab = lab_of()
    lab.up()
    lab.link_down("R1-SW")
    assert link["suspend"] is True
    assert [one.up for one in lab.status().links if one.name == "R1-SW"] == [False]
    lab.link_up("R1-SW")
    assert link["suspend"] is False
    lab.link_down("R1-SW")
    lab.down()
    assert link["suspend"] is False


def test_a_link_that_somebody_suspended_stays_suspended(server, bench, lab_of):
    link = next(iter(server.links.values()))
    link["suspend"] = True
    lab = lab_of()
    lab.up()
    lab.link_up("R1-SW")
    assert link["suspend"] is False
    lab.down()
    assert link["suspend"] is True


def test_filters_come_back_as_they_were(server, bench, lab_of):
    link = next(iter(server.links.values()))
    link["filters"] = {"delay": [5, 0]}
    lab = lab_of()
    lab.up()
    where = bench["project_id"], link["link_id"], "R1-SW"
    lab.client.set_filters(*where, {"packet_loss": [20]})
    lab.client.set_filters(*where, {"packet_loss": [30]})
    assert link["filters"] == {"packet_loss": [30]}
    with pytest.raises(UsageError, match=r"no filter 'loss'\n  cure: one of frequency_drop, packet_loss"):
        lab.client.set_filters(*where, {"loss": [1]})
    lab.down()
    assert link["filters"] == {"delay": [5, 0]}


def test_a_link_that_there_is_not_is_told_with_those_there(bench, lab_of):
    lab = lab_of()
    lab.up()
    with pytest.raises(LabError, match=r"find link 'R1-R2'.*\n  cure: one of H1-SW, R1-SW"):
        lab.link_down("R1-R2")


def test_a_link_is_found_by_the_port_that_it_ends_at(bench, lab_of):
    lab = lab_of()
    assert lab.link_at("SW", "Ethernet1") == "H1-SW"
    with pytest.raises(LabError, match="find the link at R1 Ethernet1: there is none\n  cure: a link ends at: Ethernet0"):
        lab.link_at("R1", "Ethernet1")


def test_the_clients_come_in_by_a_cloud_on_a_tap(server, bench, lab_of, tmp_path):
    lab = lab_of()
    lab.up()
    lab.attach("tap-clients", "tap", "R1", "e1")
    (cloud,) = [node for node in server.nodes.values() if node["node_type"] == "cloud"]
    assert cloud["properties"] == {
        "ports_mapping": [{"name": "tap-clients", "interface": "tap-clients", "port_number": 0, "type": "tap"}]
    }
    assert "R1-natstorm-tap-clients" in [link.name for link in lab.status().links]
    with pytest.raises(LabError, match=r"it has no such port\n  cure: one of Ethernet0, Ethernet1"):
        lab.attach("tap-other", "tap", "R1", "Gi0/0")
    lab.down()
    assert {node["name"] for node in server.nodes.values()} == {"R1", "H1", "SW"}
    assert len(server.links) == 2


def test_a_lab_attaches_its_clients_before_it_starts_and_detaches_them(server, bench, lab_of, tmp_path):
    before = json.dumps([server.nodes, server.links])
    lab = lab_of(clients=ClientsAt("R1", "e1", "tap-clients"))
    lab.up()
    joined = next(at for at, line in enumerate(server.did()) if line.endswith("/links"))
    started = next(at for at, line in enumerate(server.did()) if line.endswith("/start"))
    assert joined < started
    assert {end.node for end in next(one for one in lab.status().links if "tap" in one.name).ends} == {"R1", "natstorm-tap-clients"}
    lab.attach_clients(lab.spec.clients)  # they are there by now
    assert len(server.links) == 3
    lab.down()
    assert json.dumps([server.nodes, server.links]) == before
    assert ledgers(tmp_path) == []


def test_the_projects_own_cloud_stays_and_so_does_a_link_that_was_there(server, bench, lab_of, tmp_path):
    cloud = server.add_node(bench, "Internet", "cloud", "started", "none")
    before = json.dumps(server.nodes)
    at = ClientsAt("R1", "e1", "e0", cloud="Internet")
    lab = lab_of(clients=at)
    lab.up()
    assert "Internet-R1" in [link.name for link in lab.status().links]
    assert len(server.nodes) == 4
    lab.down()
    assert (json.dumps(server.nodes), len(server.links)) == (before, 2)
    server.add_link(bench, (server.nodes["node-2"], 1), (cloud, 0))
    again = lab_of(clients=at)
    again.up()
    assert len(server.links) == 3
    again.down()
    assert len(server.links) == 3
    assert ledgers(tmp_path) == []


@pytest.mark.parametrize(("at", "error"), [
    (ClientsAt("R1", "e0", "tap0"), "attach the clients to R1 Ethernet0: link R1-SW is there already\n  cure: .* another port in "),
    (ClientsAt("R9", "e0", "tap0"), "find node 'R9': no such node in the lab\n  cure: one of H1, R1, SW"),
    (ClientsAt("R1", "Gi9", "tap0"), "find port 'Gi9' of R1: it has no such port"),
    (ClientsAt("R1", "e1", "e0", cloud="C1"), "find node 'C1': no such node in the lab"),
    (ClientsAt("R1", "e1", "e0", cloud="SW"), "attach the clients to SW Ethernet0: link R1-SW is there already"),
])  # fmt: skip
def test_clients_that_cannot_be_attached_are_told_and_nothing_is_left(server, bench, lab_of, tmp_path, at, error):
    before = json.dumps([server.nodes, server.links])
    with pytest.raises(LabError, match=error):
        lab_of(clients=at).up()
    assert json.dumps([server.nodes, server.links]) == before
    assert ledgers(tmp_path) == []


# --- captures ---


def test_a_capture_streams_pcap_and_ends_with_its_context(server, bench, lab_of):
    lab = lab_of()
    lab.up()
    link = next(iter(server.links.values()))
    with lab.capture("R1-SW") as pieces:
        assert link["capturing"]
        got = b""
        while len(got) < len(PCAP_HEADER) + 6:
            got += next(pieces)
    assert got == PCAP_HEADER + b"onetwo"
    assert not link["capturing"]
    assert not lab.client.ledger.has("capturing", link["link_id"])


def test_a_capture_of_somebody_else_is_read_and_left_running(server, bench, lab_of):
    lab = lab_of()
    lab.up()
    link = next(iter(server.links.values()))
    link["capturing"] = True
    with lab.capture("R1-SW") as pieces:
        assert next(pieces).startswith(PCAP_HEADER)
    assert link["capturing"]


def test_a_capture_that_the_server_breaks_off_is_said(server, bench, lab_of):
    lab = lab_of()
    lab.up()
    with lab.capture("R1-SW") as pieces:
        server.silent.set()  # the connection ends without the last chunk
        with pytest.raises(CaptureError, match=r"capture on link R1-SW: http.* broke it off"):
            list(pieces)


def test_who_waits_for_the_next_packet_is_woken_when_the_capture_ends(server, bench, lab_of):
    lab = lab_of()
    lab.up()
    next(iter(server.links.values()))["capturing"] = True  # somebody else's: nothing makes the server end the stream
    got, begun = [], threading.Event()

    def read(pieces):
        for piece in pieces:
            got.append(piece)
            if b"".join(got).endswith(b"two"):
                begun.set()

    with lab.capture("R1-SW") as pieces:
        reader = threading.Thread(target=read, args=(pieces,))
        reader.start()
        assert begun.wait(30)
    reader.join(30)
    assert not reader.is_alive()
    assert b"".join(got) == PCAP_HEADER + b"onetwo"


# --- who we are ---


def test_a_wrong_password_is_said_without_it(server, bench, lab_of, capfd):
    with pytest.raises(LabError) as refused:
        lab_of(password="hunter22").up()
    assert "does not let user 'admin' in" in str(refused.value)
    everything = f"{refused.value!r} {refused.value} {refused.value.__cause__} {capfd.readouterr()}"
    assert "hunter22" not in everything


def test_nothing_that_is_kept_holds_the_password_or_the_token(server, bench, lab_of, tmp_path, capfd):
    lab = lab_of()
    lab.up()
    kept = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert ledgers(tmp_path)[0] in kept
    shown = " ".join([repr(lab.spec), *capfd.readouterr(), *(file.read_text() for file in kept)])
    for secret in (PASSWORD, *server.tokens):
        assert secret not in shown
    lab.down()


def test_who_names_nobody_is_asked_for_a_user(server, tmp_path):
    with pytest.raises(LabError, match="wants to know who asks\n  cure: name a user"):
        Server(server.url).connect()


def test_an_expired_token_is_renewed_once():
    with fake(api=3) as server:
        one = Server(server.url, "admin", Secret(PASSWORD))
        one.connect()
        server.tokens.clear()
        assert one.request("GET", "/projects", "list") == []
        assert server.logins == 2
        server.password = "changed"
        server.tokens.clear()
        with pytest.raises(LabError, match="does not let user 'admin' in"):
            one.request("GET", "/projects", "list")


def test_a_file_is_sent_whole_when_the_token_expires_before_it(tmp_path):
    (tmp_path / "lab.gns3project").write_bytes(b"PK whole")
    with fake(api=3) as server:
        one = Server(server.url, "admin", Secret(PASSWORD))
        one.connect()
        client = Client(one, Ledger(tmp_path / "ledger"))
        listed = client.projects
        client.projects = lambda: (listed(), server.tokens.clear())[0]
        client.import_project(tmp_path / "lab.gns3project", "x")
        assert [body for _, path, body in server.asked if path.endswith("/import")] == [b"PK whole", b"PK whole"]


def test_a_v2_server_without_a_password_needs_no_user():
    with fake(api=2, user="") as server:
        one = Server(server.url)
        one.connect()
        assert one.version == "2.2.61"


@pytest.mark.parametrize(("api", "version"), [(2, "2.1.21"), (2, "2.20.0"), (3, "4.0.0"), (3, "unknown")])
def test_an_unknown_version_is_named(api, version):
    with fake(api=api, version=version) as server, pytest.raises(LabError) as refused:
        Server(server.url, "admin", Secret(PASSWORD)).connect()
    assert f"version {version!r}" in str(refused.value)
    assert "GNS3 servers of versions 2.2 and 3" in str(refused.value)


def test_a_server_that_is_no_gns3_is_named_with_what_it_answered():
    with fake(api=7) as server, pytest.raises(LabError) as refused:
        Server(server.url, "admin", Secret(PASSWORD)).connect()
    assert "/v3/version: status 404 (BaseHTTP/" in str(refused.value)
    assert "/v2/version: status 404" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "url"),
    [("gns3.example", "http://gns3.example:3080"), ("https://G:1/", "https://g:1"), ("http://[::1]:3080", "http://[::1]:3080")],
)
def test_addresses_of_servers(text, url):
    assert server_url(text) == url


@pytest.mark.parametrize("text", ["ftp://x", "http://", "http://x/v2", "http://x:99999", "http://admin:hunter22@x:3080"])
def test_what_is_no_servers_address(text):
    with pytest.raises(UsageError) as refused:
        server_url(text)
    assert "hunter22" not in str(refused.value)


# --- the server goes, the run is killed ---


def test_a_server_that_was_never_there_is_said_and_nothing_is_left(tmp_path):
    with fake() as server:
        url = server.url
    lab = Gns3(Gns3Spec(url, "bench", "admin", Secret(PASSWORD)), "x", tmp_path / "state", tmp_path / "locks")
    with pytest.raises(LabError, match=f"{url} is not there: .*Connection refused"):
        lab.up()
    assert ledgers(tmp_path) == []
    assert not lab.lock.held


def test_a_server_that_goes_in_the_middle_leaves_a_list_and_the_command(server, bench, lab_of, tmp_path):
    server.dies_at = "POST .*/start"
    bench["status"] = "closed"
    with pytest.raises(LabError) as failed:
        lab_of().up()
    said = str(failed.value)
    assert "start node R1" in said
    assert "done by then, and not undone: opened 'bench' (project-1), started 'R1' (node-2)" in said
    assert f"lab clean gns3 --server {server.url} --project bench --user admin" in said
    assert len(ledgers(tmp_path)) == 1
    assert PASSWORD not in said


def test_a_server_that_is_gone_at_the_end_leaves_the_command_too(server, bench, lab_of, tmp_path):
    lab = lab_of()
    lab.up()
    server.close()
    with pytest.raises(LabError, match=r"left: started 'R1' \(node-2\)\n  cure: once the server answers: .*lab clean gns3"):
        lab.down()
    assert not lab.lock.held
    assert len(ledgers(tmp_path)) == 1


def test_what_cannot_be_undone_does_not_keep_the_rest(server, bench, lab_of, tmp_path):
    lab = lab_of()
    lab.up()
    lab.link_down("R1-SW")
    lab.client.ledger.intend("node", "", "copy of R1", bench["project_id"])
    with pytest.raises(LabError, match=r"node 'copy of R1': it is not known whether .* made it"):
        lab.down()
    assert next(iter(server.links.values()))["suspend"] is False
    assert server.nodes["node-2"]["status"] == "stopped"


KILLED = """
import os, signal, sys
from pathlib import Path
from harness.lab.providers.gns3 import Gns3, Gns3Spec
from harness.model.secret import Secret
url, base, when = sys.argv[1:]
lab = Gns3(Gns3Spec(url, "bench", "admin", Secret("s3cret")), "to be killed", Path(base, "state"), Path(base, "locks"))
lab.up()
lab.link_down("R1-SW")
lab.attach("tap0", "tap", "R1", "e1")
print("up", flush=True)
sys.stdin.read()
"""


def killed_run(server, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", KILLED, server.url, str(tmp_path), ""]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as run:
        try:
            assert run.stdout.readline() == "up\n"
        finally:
            run.send_signal(signal.SIGKILL)


def test_what_a_killed_run_left_is_undone_by_the_next_and_nothing_else(server, bench, lab_of, tmp_path):
    others = server.add_node(bench, "natstorm-of-others", "cloud", "started", "none")
    before = json.dumps([server.projects, server.nodes, server.links])
    killed_run(server, tmp_path)
    assert json.dumps([server.projects, server.nodes, server.links]) != before
    told = lab_of().clean()
    assert any("started 'R1'" in line for line in told)
    assert any("node 'natstorm-tap0'" in line for line in told)
    assert json.dumps([server.projects, server.nodes, server.links]) == before
    assert others["node_id"] in server.nodes
    assert ledgers(tmp_path) == []
    assert lab_of().clean() == ()


def test_the_next_run_undoes_it_too_and_says_so(server, bench, lab_of, tmp_path):
    killed_run(server, tmp_path)
    lab = lab_of()
    status = lab.up()
    assert any("was taken over from" in note and "is gone" in note for note in status.notes)
    assert any("an earlier run left node 'natstorm-tap0'" in note for note in status.notes)
    assert not [node for node in server.nodes.values() if node["node_type"] == "cloud"]
    lab.down()
    assert next(iter(server.links.values()))["suspend"] is False


def test_nothing_is_cleaned_up_under_a_run_that_lives(bench, lab_of):
    lab_of().up()
    with pytest.raises(LabError, match="it is held by"):
        lab_of().clean()


def test_what_may_or_may_not_have_been_made_is_told_and_never_deleted(server, bench, lab_of, tmp_path):
    lab = lab_of()
    lab.client.ledger.intend("copy", "", "bench")
    (told,) = lab.clean()
    assert "may have left copy 'bench': it was killed before it knew" in told
    assert bench["project_id"] in server.projects
    assert not server.did("DELETE")


def test_only_what_is_ours_can_be_deleted(server, bench, lab_of):
    lab = lab_of()
    lab.up()
    project = bench["project_id"]
    with pytest.raises(LabError, match="delete node R1: natstorm did not make it"):
        lab.client.delete_node(project, server.nodes["node-2"])
    with pytest.raises(LabError, match="natstorm did not make it"):
        lab.client.delete_link("link-5", "R1-SW")
    mine = lab.client.node_from_template(project, "c7200", "R9")
    assert mine["name"] == "R9"
    lab.client.delete_node(project, mine)
    assert mine["node_id"] not in server.nodes
    with pytest.raises(LabError, match="there: 'VPCS', 'c7200'"):
        lab.client.node_from_template(project, "c3725", "R9")
