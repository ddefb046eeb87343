"""EVE-NG labs in the terms of all providers, and what goes into a testbed file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from eve_ng_fake import LAB, PASSWORD, USER, FakeEveNg, serving

from harness.errors import LabError
from harness.lab.providers.eve_ng_api import EveInterface, EveNetwork, EveNode
from harness.lab.providers.eve_ng_import import import_eve_ng
from harness.lab.providers.eve_ng_ledger import Cut
from harness.lab.providers.eve_ng_topology import console, nodes_of, to_cut, wires_of
from harness.lab.providers.provider import Console, End
from harness.model.secret import Secret


@pytest.fixture
def fake() -> Iterator[FakeEveNg]:
    with serving(FakeEveNg()) as one:
        yield one


def node(number: int, name: str = "", url: str = "", status: int = 0) -> EveNode:
    return EveNode(number, name or f"R{number}", "qemu", "vios", "vios-15.5", status, url)


def plugs(*networks: int) -> dict[int, EveInterface]:
    return {n: EveInterface(n, f"e{n}", network) for n, network in enumerate(networks)}


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("telnet://192.0.2.1:32769", Console("192.0.2.1", 32769, "telnet")),
        ("telnet://127.0.0.1:32769", Console("eve", 32769, "telnet")),
        ("vnc://192.0.2.1:5901", Console("192.0.2.1", 5901, "vnc")),
        ("/html5/#/client/MzI3Njk", None),
        ("https://eve/html5/#/client/x", None),
        ("telnet://192.0.2.1:0", None),
        ("telnet://192.0.2.1:port", None),
        ("", None),
    ],
)
def test_consoles(url: str, where: Console | None) -> None:
    assert console(node(1, url=url), "eve") == where


def test_two_wires_between_the_same_nodes_are_named_by_their_ports() -> None:
    nodes = {1: node(1), 2: node(2)}
    networks = {5: EveNetwork(5, "", "bridge"), 6: EveNetwork(6, "", "bridge")}
    wires = wires_of(nodes, networks, {1: plugs(5, 6), 2: plugs(6, 5)})
    assert [wire.link.name for wire in wires] == ["R1:e0-R2:e1", "R1:e1-R2:e0"]


def test_a_network_with_one_interface_is_no_link_unless_it_leads_out() -> None:
    nodes = {1: node(1)}
    networks = {5: EveNetwork(5, "", "bridge"), 6: EveNetwork(6, "Net", "pnet3")}
    wires = wires_of(nodes, networks, {1: plugs(5, 6, 0)})
    assert [wire.link.ends for wire in wires] == [(End("R1", "e1"), End("pnet3", "pnet3"))]


def test_a_cut_interface_belongs_to_the_link_it_was_cut_from() -> None:
    nodes = {1: node(1), 2: node(2)}
    networks = {5: EveNetwork(5, "", "bridge")}
    whole = wires_of(nodes, networks, {1: plugs(5), 2: plugs(5)})
    cut = wires_of(nodes, networks, {1: plugs(0), 2: plugs(5)}, [Cut(1, 0, 5)])
    gone = wires_of(nodes, {}, {1: plugs(0), 2: plugs(5)}, [Cut(1, 0, 5)])
    down = replace(whole[0].link, up=False)
    for wires in (cut, gone):
        assert [wire.link for wire in wires] == [down]


def test_a_node_that_is_called_like_a_bridge_of_the_host() -> None:
    nodes = {1: node(1, "pnet1")}
    networks = {6: EveNetwork(6, "Net", "pnet1")}
    names = [one.name for one in nodes_of(nodes, networks, "eve")]
    assert names == ["pnet1", "pnet1 (cloud)"]
    assert wires_of(nodes, networks, {1: plugs(6)})[0].link.ends[1] == End("pnet1 (cloud)", "pnet1")


def test_two_networks_on_one_bridge_have_one_passive_node_and_two_names() -> None:
    nodes = {1: node(1), 2: node(1, "R2")}
    networks = {6: EveNetwork(6, "a", "pnet1"), 7: EveNetwork(7, "b", "pnet1")}
    assert [one.name for one in nodes_of(nodes, networks, "eve") if one.passive] == ["pnet1"]
    wires = wires_of({1: node(1)}, networks, {1: plugs(6, 7)})
    assert len({wire.link.name for wire in wires}) == 2


def test_as_few_cuts_as_isolate_all() -> None:
    nodes = {n: node(n) for n in (1, 2, 3)}
    segment = wires_of(nodes, {5: EveNetwork(5, "", "bridge")}, {n: plugs(5) for n in nodes})[0]
    assert [plug.node.number for plug in to_cut(segment)] == [1, 2]
    outward = wires_of(nodes, {5: EveNetwork(5, "", "pnet1")}, {n: plugs(5) for n in nodes})[0]
    assert [plug.node.number for plug in to_cut(outward)] == [1, 2, 3]


def test_import_reads_and_changes_nothing(fake: FakeEveNg) -> None:
    before = fake.state()
    found = import_eve_ng(fake.url, LAB, USER, Secret(PASSWORD))
    assert found.lab == "L2TP one"
    assert found.section == {
        "provider": "eve-ng", "url": fake.url, "project": LAB, "user": USER, "password": "%ENV{NATSTORM_EVE_PASSWORD}",
    }  # fmt: skip
    assert found.options == {"edition": "community", "clients": "pnet1"}
    assert PASSWORD not in repr(found)
    assert [one.name for one in found.nodes] == ["NAT", "gateway", "host", "monitor", "pnet0", "pnet1"]
    assert found.nodes[0].console == Console("127.0.0.1", 32769, "telnet")
    assert {link.name for link in found.links} == {"NAT-pnet1", "NAT-gateway", "gateway-host-monitor", "monitor-pnet0"}
    assert fake.state() == before
    assert fake.session is None
    assert {method for method, path, _ in fake.requests if path != "/api/auth/login"} == {"GET"}
    assert not fake.asked("/start|/stop")


def test_import_keeps_how_the_certificate_was_taken(fake: FakeEveNg) -> None:
    assert import_eve_ng(fake.url, LAB, USER, Secret(PASSWORD), verify=False).options["verify"] is False


def test_import_leaves_open_which_of_two_bridges_leads_to_the_clients(fake: FakeEveNg) -> None:
    fake.networks[3]["type"] = "pnet2"
    assert "clients" not in import_eve_ng(fake.url, LAB, USER, Secret(PASSWORD)).options


def test_import_of_an_empty_lab(fake: FakeEveNg) -> None:
    fake.nodes, fake.networks = {}, {}
    found = import_eve_ng(fake.url, LAB, USER, Secret(PASSWORD))
    assert (found.nodes, found.links) == ((), ())


def test_import_of_a_lab_that_is_not_there_logs_out(fake: FakeEveNg) -> None:
    with pytest.raises(LabError, match=r"/Interop tests/Other\.unl"):
        import_eve_ng(fake.url, "/Interop tests/Elsewhere", USER, Secret(PASSWORD))
    assert fake.session is None
