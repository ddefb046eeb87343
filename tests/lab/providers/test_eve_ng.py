"""The provider eve-ng against a server that behaves as documented: what it starts it stops, what it cuts it mends, nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from eve_ng_fake import COMMUNITY, FAULTS, GATEWAY, HOST, LAB, MONITOR, NAT, PASSWORD, PRO, FakeEveNg, self_signed, serving
from eve_ng_play import Time, forbidden, in_memory, provider, quick

from harness.errors import DeviceError, LabError
from harness.lab.providers.eve_ng import EveNg
from harness.lab.providers.eve_ng_http import Session
from harness.lab.providers.provider import STARTED, STOPPED, Console, End, OnServer, Provider
from harness.model.reach import Connection

BETWEEN = "NAT-gateway"
HOSTS = "gateway-host-monitor"
INSIDE = "NAT-pnet1"


@pytest.fixture(params=[COMMUNITY, PRO])
def fake(request: pytest.FixtureRequest) -> Iterator[FakeEveNg]:
    with serving(FakeEveNg(request.param)) as one:
        yield one


@pytest.fixture
def community() -> Iterator[FakeEveNg]:
    with serving(FakeEveNg(COMMUNITY)) as one:
        yield one


@pytest.fixture
def pro() -> Iterator[FakeEveNg]:
    with serving(FakeEveNg(PRO)) as one:
        yield one


def test_it_is_a_provider(community: FakeEveNg, tmp_path: Path) -> None:
    assert isinstance(provider(community, tmp_path), Provider)


def test_up_starts_what_the_testbed_names_and_down_stops_that(fake: FakeEveNg, tmp_path: Path) -> None:
    before = fake.state()
    lab = provider(fake, tmp_path)
    status = lab.up()
    assert status.up
    assert {node.name: node.state for node in status.nodes if not node.passive} == dict.fromkeys(
        ("NAT", "gateway", "host", "monitor"), STARTED
    )
    lab.down()
    assert fake.state() == before
    assert fake.session is None
    assert not list(tmp_path.glob("*.jsonl"))
    assert not forbidden(fake)
    stop = "/stop/stopmode=3" if fake.pro else "/stop"
    assert {path.split(".unl")[1] for _, path, _ in fake.asked("/stop")} == {f"/nodes/{n}{stop}" for n in (NAT, GATEWAY, HOST)}


def test_a_node_that_ran_before_is_neither_started_nor_stopped(fake: FakeEveNg, tmp_path: Path) -> None:
    fake.nodes[GATEWAY].status = 2
    before = fake.state()
    lab = provider(fake, tmp_path)
    lab.up()
    lab.down()
    assert fake.state() == before
    assert not fake.asked(f"nodes/{GATEWAY}/(start|stop)")


def test_without_names_all_nodes_are_meant(community: FakeEveNg, tmp_path: Path) -> None:
    community.nodes[MONITOR].status = 0
    lab = provider(community, tmp_path, start=None)
    assert lab.up().up
    lab.down()
    assert community.nodes[MONITOR].status == 0


def test_a_node_that_is_not_there_is_named_with_those_that_are(community: FakeEveNg, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"'R9'[\s\S]*NAT, gateway, host, monitor"):
        provider(community, tmp_path, start=("NAT", "R9")).up()
    assert not community.asked("/start")


def test_down_sends_nothing_where_nothing_was_done(community: FakeEveNg, tmp_path: Path) -> None:
    lab = provider(community, tmp_path)
    lab.down()
    lab.down()
    assert not community.requests


def test_down_twice(community: FakeEveNg, tmp_path: Path) -> None:
    lab = provider(community, tmp_path)
    lab.up()
    lab.down()
    sent = len(community.requests)
    lab.down()
    assert len(community.requests) == sent


def test_what_is_left_up_is_taken_down_by_a_later_process(fake: FakeEveNg, tmp_path: Path) -> None:
    before = fake.state()
    lab = provider(fake, tmp_path)
    assert isinstance(lab, OnServer)
    lab.up()
    lab.leave()
    assert fake.session is None  # one a user: whoever opens EVE-NG's pages has it
    assert fake.state() != before
    assert len(provider(fake, tmp_path).clean()) == 3
    assert fake.state() == before


def test_status_changes_nothing_and_logs_out(community: FakeEveNg, tmp_path: Path) -> None:
    status = provider(community, tmp_path).status()
    assert not status.up
    assert {node.name: node.state for node in status.nodes if not node.passive}["NAT"] == STOPPED
    assert [node.name for node in status.nodes if node.passive] == ["pnet0", "pnet1"]
    assert {link.name: link.up for link in status.links} == {BETWEEN: True, HOSTS: True, INSIDE: True, "monitor-pnet0": True}
    between = next(link for link in status.links if link.name == BETWEEN)
    assert between.ends == (End("NAT", "e0/1"), End("gateway", "Gi0/0"))
    assert {method for method, path, _ in community.requests if path != "/api/auth/login"} == {"GET"}
    assert not community.asked("/start|/stop")
    assert community.session is None
    assert not list(tmp_path.iterdir())


def test_status_tells_whom_down_will_stop(community: FakeEveNg, tmp_path: Path) -> None:
    lab = provider(community, tmp_path)
    lab.up()
    assert "NAT, gateway, host" in " ".join(provider(community, tmp_path).status().notes)
    lab.down()


def test_two_nodes_of_one_name_are_told_apart(community: FakeEveNg, tmp_path: Path) -> None:
    community.nodes[HOST].name = "gateway"
    lab = provider(community, tmp_path, start=("gateway#3",))
    lab.up()
    lab.down()
    assert len(community.asked(f"nodes/{HOST}/start")) == 1
    assert not community.asked(f"nodes/{GATEWAY}/start")


# -- nodes that do not come up


def test_a_node_that_dies_as_it_boots_is_tried_again(fake: FakeEveNg, tmp_path: Path) -> None:
    fake.deaths = {NAT: 2}
    before = fake.state()
    lab = provider(fake, tmp_path)
    assert lab.up().up
    assert len(fake.asked(f"nodes/{NAT}/start")) == 3
    lab.down()
    assert fake.state() == before


def test_a_node_that_always_dies_is_named_and_the_rest_taken_back(fake: FakeEveNg, tmp_path: Path) -> None:
    fake.deaths = {NAT: 99}
    before = fake.state()
    with pytest.raises(LabError) as caught:
        provider(fake, tmp_path).up()
    assert "start node NAT" in str(caught.value)
    assert "3 tries" in str(caught.value)
    assert "node gateway is stopped" in str(caught.value)
    assert len(fake.asked(f"nodes/{NAT}/start")) == 3
    assert fake.state() == before
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_start_that_is_refused_is_told_in_its_words(fake: FakeEveNg, tmp_path: Path) -> None:
    fake.refuses = {GATEWAY: "Image not found (80014)."}
    before = fake.state()
    with pytest.raises(LabError, match=r"start node gateway[\s\S]*Image not found \(80014\)[\s\S]*qemu\.bin"):
        provider(fake, tmp_path).up()
    assert fake.state() == before


def test_a_node_that_hangs_as_it_boots_is_not_waited_for_without_bound(community: FakeEveNg, tmp_path: Path) -> None:
    community.stuck = {HOST}
    time = Time()
    with pytest.raises(LabError, match=r"start node host[\s\S]*stopped and locked") as caught:
        provider(community, tmp_path, time=time, start_timeout_s=40, stop_timeout_s=20).up()
    assert 40 <= time.now - 1000 < 100
    assert "is not stopped" in str(caught.value), "it hangs as it stops, too"
    assert f"/nodes/{HOST}/stop" in str(caught.value)


def test_a_node_that_does_not_stop_is_told_with_the_command_for_it(fake: FakeEveNg, tmp_path: Path) -> None:
    lab = provider(fake, tmp_path)
    lab.up()
    fake.stuck = {GATEWAY}
    with pytest.raises(LabError) as caught:
        lab.down()
    text = str(caught.value)
    assert "node NAT is stopped" in text
    assert "node gateway is not stopped (it is running 120 s after" in text
    stop = "stop/stopmode=3" if fake.pro else "stop"
    assert f"curl -sS -b eve-ng.cookie {fake.url}/api/labs/Interop%20tests/L2TP%20one.unl/nodes/2/{stop}" in text
    assert f"natstorm lab clean eve-ng --server {fake.url} --lab '{LAB}' --user natstorm, or by hand" in text
    assert PASSWORD not in text
    fake.stuck = set()
    sent = len(fake.requests)
    provider(fake, tmp_path).down()
    assert {path.rpartition("/nodes/")[2] for _, path, _ in fake.requests[sent:] if "/stop" in path} == {f"2/{stop}"}


def test_the_lab_is_edited_meanwhile(community: FakeEveNg, tmp_path: Path) -> None:
    community.stuck = {HOST}
    time = Time()
    sleep = time.sleep

    def removed(seconds: float) -> None:
        sleep(seconds)
        community.nodes.pop(HOST, None)

    time.sleep = removed  # type: ignore[method-assign]
    with pytest.raises(LabError, match="taken out of the lab"):
        provider(community, tmp_path, time=time).up()
    assert community.nodes[NAT].status == 0
    assert not list(tmp_path.glob("*.jsonl"))


# -- consoles


def test_consoles(fake: FakeEveNg, tmp_path: Path) -> None:
    assert provider(fake, tmp_path).console("NAT") == Console("127.0.0.1", 32769, "telnet")
    with pytest.raises(LabError, match="no such node"):
        provider(fake, tmp_path).console("R9")


def test_a_console_that_only_a_browser_opens(community: FakeEveNg, tmp_path: Path) -> None:
    community.html5_only = True
    with pytest.raises(LabError, match=r"/html5/[\s\S]*telnet"):
        provider(community, tmp_path).console("NAT")


# -- links


def test_pro_rewires_running_nodes_and_leaves_one_end_on_the_network(pro: FakeEveNg, tmp_path: Path) -> None:
    lab = provider(pro, tmp_path, host=False)
    lab.up()
    before = pro.state()
    lab.link_down(HOSTS)
    assert [pro.nodes[n].on for n in (GATEWAY, HOST, MONITOR)] == [{0: 2, 1: 0}, {0: 0}, {0: 3, 1: 7}]
    assert {link.name: link.up for link in lab.status().links}[HOSTS] is False
    lab.link_down(HOSTS)
    lab.link_up(HOSTS)
    assert pro.state() == before
    assert {link.name: link.up for link in lab.status().links}[HOSTS] is True
    assert [body for _, _, body in pro.asked("^PUT")] == [{"1": ""}, {"0": ""}, {"0": "3"}, {"1": "3"}]
    lab.down()


def test_a_link_that_leads_out_is_cut_at_its_node(pro: FakeEveNg, tmp_path: Path) -> None:
    lab = provider(pro, tmp_path)
    lab.link_down(INSIDE)
    assert pro.nodes[NAT].on[0] == 0
    lab.link_up(INSIDE)
    assert pro.nodes[NAT].on[0] == 1


def test_community_sets_the_hosts_interfaces_of_running_nodes_down(community: FakeEveNg, tmp_path: Path) -> None:
    lab = provider(community, tmp_path)
    lab.up()
    lab.link_down(HOSTS)
    assert community.taps_down == {"vunl0_2_1", "vnet0_3_0", "vunl0_4_0"}
    assert {link.name: link.up for link in lab.status().links}[HOSTS] is False
    lab.link_up(HOSTS)
    assert not community.taps_down
    assert not community.asked("^PUT"), "it would change the lab's file, and not the running nodes"
    lab.down()


def test_community_rewires_nodes_that_are_stopped(community: FakeEveNg, tmp_path: Path) -> None:
    before = community.state()
    lab = provider(community, tmp_path, host=False)
    lab.link_down(BETWEEN)
    assert community.nodes[NAT].on[16] == 0
    provider(community, tmp_path, host=False).link_up(BETWEEN)
    assert community.state() == before
    assert not community.host_commands


def test_community_without_its_host_refuses_and_leaves_nothing_behind(community: FakeEveNg, tmp_path: Path) -> None:
    lab = provider(community, tmp_path, host=False)
    lab.up()
    with pytest.raises(LabError, match=r"does not rewire running nodes[\s\S]*ip link set dev vunl0_1_16 down"):
        lab.link_down(BETWEEN)
    assert {link.name: link.up for link in lab.status().links}[BETWEEN] is True
    lab.down()
    assert community.nodes[NAT].status == 0


def test_a_host_that_refuses_leaves_no_half_cut_link(community: FakeEveNg, tmp_path: Path) -> None:
    lab = provider(community, tmp_path)
    lab.up()
    before = community.state()

    def only_up(command: str) -> str:
        if command == "ip link set dev vunl0_2_0 down":
            raise DeviceError("eve", command, "Operation not permitted")
        return community.on_host(command)

    lab._on_host = only_up
    with pytest.raises(DeviceError, match="not permitted"):
        lab.link_down(BETWEEN)
    assert community.state() == before
    lab.down()


def test_down_mends_links_before_it_stops_nodes(fake: FakeEveNg, tmp_path: Path) -> None:
    before = fake.state()
    lab = provider(fake, tmp_path)
    lab.up()
    lab.link_down(BETWEEN)
    lab.link_down(HOSTS)
    lab.down()
    assert fake.state() == before


def test_an_interface_that_somebody_attached_elsewhere_stays_there(pro: FakeEveNg, tmp_path: Path) -> None:
    lab = provider(pro, tmp_path)
    lab.link_down(BETWEEN)
    pro.nodes[NAT].on[16] = 3
    lab.down()
    assert pro.nodes[NAT].on[16] == 3
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_network_that_is_gone_is_told_with_the_command(pro: FakeEveNg, tmp_path: Path) -> None:
    lab = provider(pro, tmp_path)
    lab.up()
    lab.link_down(BETWEEN)
    del pro.networks[2]
    with pytest.raises(LabError) as caught:
        lab.down()
    text = str(caught.value)
    assert "interface 16 of node 1 is not back on network 2" in text
    assert "(20033)" in text
    assert "-X PUT -d '{\"16\":\"2\"}'" in text
    assert pro.nodes[NAT].status == 0, "what can be undone is undone"


def test_a_link_that_is_not_there_is_named_with_those_that_are(community: FakeEveNg, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=f"{BETWEEN}, {INSIDE}"):
        provider(community, tmp_path).link_down("NAT-host")


def test_links_cut_on_a_host_that_is_no_longer_reached_go_with_their_nodes(community: FakeEveNg, tmp_path: Path) -> None:
    before = community.state()
    first = provider(community, tmp_path)
    first.up()
    first.link_down(BETWEEN)
    first._ledger.release()
    assert "interface 16 of NAT went with its node" in provider(community, tmp_path, host=False).clean()
    assert community.state() == before


def test_a_link_cut_on_the_host_of_a_node_that_is_not_ours_is_told(community: FakeEveNg, tmp_path: Path) -> None:
    first = provider(community, tmp_path)
    first.up()
    first.link_down(HOSTS)
    first._ledger.release()
    with pytest.raises(LabError) as caught:
        provider(community, tmp_path, host=False).down()
    assert "ssh root@127.0.0.1 ip link set dev vunl0_4_0 up" in str(caught.value)
    assert "vunl0_2_1" not in str(caught.value)
    # A testbed that names the host says which way leads there.
    there = Connection("eve", "10.0.0.5", 22, "lab", jump=Connection("edge", "192.0.2.9", 2022, "me"))
    with pytest.raises(LabError) as caught:
        EveNg(replace(first.spec, host=there), tmp_path).down()
    assert "ssh -p 22 -J me@192.0.2.9:2022 lab@10.0.0.5 sudo ip link set dev vunl0_4_0 up" in str(caught.value)
    provider(community, tmp_path).down()
    assert not community.taps_down


def test_down_while_somebody_else_keeps_taking_the_session(fake: FakeEveNg, tmp_path: Path) -> None:
    before = fake.state()
    lab = provider(fake, tmp_path)
    lab.up()
    fake.greedy = True
    with pytest.raises(LabError) as caught:
        lab.down()
    assert "is not stopped" in str(caught.value)
    assert "/api/auth/login" in str(caught.value)
    assert len(fake.asked("auth/login")) < 20, "whoever works there is not thrown out for ever"
    fake.greedy = False
    provider(fake, tmp_path).down()
    assert fake.state() == before


# -- captures and clients


def test_a_capture_is_not_eve_ngs_and_the_source_that_stands_for_it_is_named(community: FakeEveNg, tmp_path: Path) -> None:
    lab = provider(community, tmp_path)
    with pytest.raises(LabError, match=r"no means for it[\s\S]*device: EVE-NG's host, .*, interface: vunl0_1_16}` in devices\.nat"):
        lab.capture(BETWEEN)
    lab.spec = replace(lab.spec, host=Connection("eve", "192.0.2.9", username="root"))
    for link, tenant, interface in ((BETWEEN, None, "vunl0_1_16"), (INSIDE, None, "pnet1"), (BETWEEN, 5, "vunl5_1_16")):
        lab.spec = replace(lab.spec, tenant=tenant)
        with pytest.raises(LabError, match=rf"{{source: tcpdump, device: eve, interface: {interface}}}"):
            lab.capture(link)
    assert community.session is None


def test_clients_come_in_by_the_bridge_that_the_testbed_names(community: FakeEveNg, tmp_path: Path) -> None:
    assert provider(community, tmp_path, clients="pnet1").clients_attach_to() == "pnet1"
    lab = provider(community, tmp_path, clients="pnet4")
    with pytest.raises(LabError, match=r"pnet0 \(with monitor\); pnet1 \(with NAT\)[\s\S]*of the type pnet4"):
        lab.up()
    assert not community.asked("/start")
    with pytest.raises(LabError, match="names none"):
        provider(community, tmp_path).clients_attach_to()


# -- other processes


def test_a_second_process_takes_down_what_a_killed_one_left(fake: FakeEveNg, tmp_path: Path) -> None:
    before = fake.state()
    victim = f"""
import os, signal, sys
sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
from pathlib import Path
from eve_ng_fake import FakeEveNg
from eve_ng_play import provider
lab = provider(FakeEveNg(url={fake.url!r}), Path({str(tmp_path)!r}))
lab.up()
if {fake.pro}:
    lab.link_down({BETWEEN!r})
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", victim], capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert fake.state() != before
    assert not fake.asked("/stop")
    provider(fake, tmp_path).down()
    assert fake.state() == before
    assert not list(tmp_path.glob("*.jsonl"))
    assert not forbidden(fake)


def test_up_after_a_killed_run_mends_its_links_and_keeps_its_nodes(pro: FakeEveNg, tmp_path: Path) -> None:
    before = pro.state()
    first = provider(pro, tmp_path)
    first.up()
    first.link_down(BETWEEN)
    first._ledger.release()  # as the kernel does
    second = provider(pro, tmp_path)
    status = second.up()
    assert {link.name: link.up for link in status.links}[BETWEEN] is True
    assert len(pro.asked(f"nodes/{NAT}/start")) == 1
    second.down()
    assert pro.state() == before


def test_two_at_a_time_do_not_share_a_lab(community: FakeEveNg, tmp_path: Path) -> None:
    first, second = provider(community, tmp_path), provider(community, tmp_path)
    first.up()
    sent = len(community.requests)
    for act in (second.up, second.down, lambda: second.link_down(BETWEEN)):
        with pytest.raises(LabError, match=f"process {os.getpid()} on this machine works on it"):
            act()
    assert len(community.requests) == sent
    second.status()
    first.down()
    second.up()
    second.down()


def test_a_torn_line_of_the_ledger_is_a_request_that_was_never_sent(community: FakeEveNg, tmp_path: Path) -> None:
    before = community.state()
    first = provider(community, tmp_path, start=("NAT",))
    first.up()
    first._ledger.release()
    (ledger,) = tmp_path.glob("*.jsonl")
    with ledger.open("a") as file:
        file.write('{"did": {"kind": "started", "node": 4, "na')
    second = provider(community, tmp_path)
    second.up()  # appends after the torn line
    second.down()
    assert community.state() == before
    assert not forbidden(community)


def test_a_ledger_of_a_later_version_is_not_guessed_at(community: FakeEveNg, tmp_path: Path) -> None:
    first = provider(community, tmp_path)
    first.up()
    first._ledger.release()
    (ledger,) = tmp_path.glob("*.jsonl")
    with ledger.open("a") as file:
        file.write(json.dumps({"did": {"kind": "snapshot", "node": 4}}) + "\n")
    with pytest.raises(LabError, match=ledger.name):
        provider(community, tmp_path).down()
    assert not community.asked("/stop")


def test_nothing_that_is_kept_holds_the_password(fake: FakeEveNg, tmp_path: Path) -> None:
    lab = provider(fake, tmp_path)
    lab.up()
    assert all(PASSWORD not in file.read_text() for file in tmp_path.iterdir())
    assert all(file.stat().st_mode & 0o077 == 0 for file in tmp_path.iterdir())
    assert PASSWORD not in repr(lab.spec)
    lab.down()


# -- whatever request fails


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of lives: no power cut is played in them."""
    monkeypatch.setattr("harness.devices.durable.os.fsync", lambda handle: None)


def _whole_life(fake: FakeEveNg, lab: EveNg) -> None:
    lab.up()
    lab.link_down(BETWEEN)
    lab.link_up(BETWEEN)
    lab.link_down(INSIDE)
    lab.down()


def _requests_of_a_life(version: str, folder: Path) -> int:
    fake = quick(FakeEveNg(version))
    _whole_life(fake, in_memory(fake, folder))
    return len(fake.requests)


@pytest.mark.parametrize(("version", "fault"), [((COMMUNITY, PRO)[n % 2], fault) for n, fault in enumerate(FAULTS)])
@pytest.mark.usefixtures("quick_disk")
def test_whichever_request_fails_the_lab_is_as_before(version: str, fault: str, tmp_path: Path) -> None:
    """One request fails, each in turn. Either it is got over, or what was begun is taken back: by whoever failed, and by `down`."""
    for position in range(_requests_of_a_life(version, tmp_path)):
        fake = quick(FakeEveNg(version))
        before = fake.state()
        fake.faults[position] = fault
        lab = in_memory(fake, tmp_path)
        try:
            _whole_life(fake, lab)
        except (LabError, DeviceError):
            lab.down()
        assert fake.state() == before, f"{fault} at request {position}: {fake.requests[position]}"
        assert not list(tmp_path.glob("*.jsonl")), position
        assert not forbidden(fake), position


@pytest.mark.parametrize("version", [COMMUNITY, PRO])
@pytest.mark.usefixtures("quick_disk")
def test_whenever_the_server_goes_the_next_run_takes_down_the_rest(version: str, tmp_path: Path) -> None:
    for position in range(_requests_of_a_life(version, tmp_path)):
        fake = quick(FakeEveNg(version))
        before = fake.state()
        fake.gone_from = position
        lab = in_memory(fake, tmp_path)
        failures: list[str] = []
        for act in (lambda lab=lab, fake=fake: _whole_life(fake, lab), lab.down):
            try:
                act()
            except LabError as error:
                failures.append(str(error))
        if list(tmp_path.glob("*.jsonl")):
            assert f"{fake.url}/api/auth/login" in failures[-1] or "ssh root@" in failures[-1], failures
            assert "left: " in failures[-1]
        fake.gone_from = None
        in_memory(fake, tmp_path).down()
        assert fake.state() == before, f"gone from request {position}: {fake.requests[position]}"
        assert not list(tmp_path.glob("*.jsonl")), position
        assert not forbidden(fake), position


class Killed(BaseException):
    """What nothing is caught of."""


@pytest.mark.parametrize(("version", "after"), [(COMMUNITY, False), (PRO, True)], ids=["before it is sent", "after it is sent"])
@pytest.mark.usefixtures("quick_disk")
def test_whenever_the_run_is_killed_the_next_one_takes_down_the_rest(
    version: str, after: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Session._send
    for position in range(_requests_of_a_life(version, tmp_path)):
        fake = quick(FakeEveNg(version))
        before = fake.state()
        sent = 0

        def killing(self: Session, *arguments: Any, position: int = position) -> Any:
            nonlocal sent
            sent += 1
            if sent > position + 1 or (sent > position and not after):
                raise Killed
            answer = send(self, *arguments)
            if sent > position:
                raise Killed
            return answer

        with monkeypatch.context() as patched:
            patched.setattr(Session, "_send", killing)
            lab = in_memory(fake, tmp_path)
            with pytest.raises(Killed):
                _whole_life(fake, lab)
        lab._ledger.release()  # as the kernel does
        in_memory(fake, tmp_path).down()
        assert fake.state() == before, f"killed at request {position}"
        assert not list(tmp_path.glob("*.jsonl")), position
        assert not forbidden(fake), position


def test_a_person_who_interrupts_up_gets_the_lab_as_it_was(community: FakeEveNg, tmp_path: Path) -> None:
    before = community.state()
    time = Time()
    sleep = time.sleep

    def interrupted(seconds: float) -> None:
        time.sleep = sleep  # type: ignore[method-assign]
        raise KeyboardInterrupt

    time.sleep = interrupted  # type: ignore[method-assign]
    lab = provider(community, tmp_path, time=time)
    lab._starting._sleep = interrupted
    with pytest.raises(KeyboardInterrupt):
        lab.up()
    assert community.asked("/start")
    assert community.state() == before


def test_the_whole_life_over_tls(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    with serving(FakeEveNg(PRO), certificate) as fake:
        before = fake.state()
        _whole_life(fake, provider(fake, tmp_path / "kept", verify=str(certificate)))
        assert fake.state() == before
        assert not forbidden(fake)
