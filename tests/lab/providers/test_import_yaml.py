"""The testbed file that an import writes: what any YAML reader gets from it, and what is left to a person."""

import pytest
import yaml

from harness.errors import LabError, UsageError
from harness.lab.providers.import_yaml import Described, scalar, yaml_text
from harness.lab.providers.provider import Console, End, Link, Node
from harness.model.testbed import TO_COMPLETE

SECTION = {"provider": "gns3", "url": "http://lab.example:3080", "project": "Bench 7"}
NODES = (
    Node("R1", "dynamips", "started", Console("192.0.2.50", 5000, "telnet")),
    Node("nat", "qemu", "stopped", Console("192.0.2.50", 5901, "vnc")),
    Node("sw", "ethernet_switch", passive=True),
    Node("sw2", "ethernet_switch", passive=True),
    Node("tap cloud", "cloud", passive=True),
)
LINKS = (
    Link("a", (End("R1", "FastEthernet0/0"), End("sw", "Ethernet0"))),
    Link("b", (End("sw2", "Ethernet1"), End("nat", "eth1"))),
    Link("c", (End("sw2", "Ethernet0"), End("sw", "Ethernet7"))),
    Link("inside", (End("nat", "eth0"), End("tap cloud", "tap0")), up=False),
)


def read(**changes):
    arguments = {"lab": "bench", "section": SECTION, "nodes": NODES, "links": LINKS} | changes
    roles = arguments.pop("roles", {"gateway": "R1"})
    text = yaml_text(Described(**arguments), roles)
    return text, yaml.safe_load(text)


def test_devices_have_their_consoles_and_roles():
    _, found = read()
    assert found["testbed"]["name"] == "bench"
    assert found["testbed"]["custom"]["lab"] == SECTION | {"options": {"nodes": {"gateway": "R1"}}}
    assert list(found["testbed"]["credentials"]) == ["default"]
    gateway = found["devices"]["gateway"]
    assert gateway["connections"] == {"cli": {"protocol": "telnet", "ip": "192.0.2.50", "port": 5000}}
    assert (gateway["type"], gateway["os"]) == ("gateway", "ios")
    assert set(found["devices"]) == {"gateway", "nat", "clients"}


def test_what_hangs_on_joined_switches_is_on_one_link():
    _, found = read()
    of_gateway = found["topology"]["gateway"]["interfaces"]["FastEthernet0/0"]["link"]
    sides = {name: row["link"] for name, row in found["topology"]["nat"]["interfaces"].items()}
    assert of_gateway == sides["eth1"] == "sw"
    assert sides["eth0"] == "inside"


def test_what_cannot_be_known_is_marked():
    text, found = read()
    assert found["topology"]["nat"]["interfaces"]["eth0"]["ipv4"] == TO_COMPLETE
    assert found["devices"]["nat"]["connections"]["cli"]["ip"] == TO_COMPLETE
    assert list(found["topology"]["clients"]["interfaces"]) == [TO_COMPLETE]  # no guess: what it names is moved
    assert "its console is vnc, no command line" in text
    assert found["devices"]["gateway"]["custom"]["variants"] == [TO_COMPLETE]
    assert found["testbed"]["custom"]["allow"]["networks"] == [TO_COMPLETE]
    assert "# No device: tap cloud, cloud, on inside (port tap0)" in text
    assert "# Link inside is down in the lab." in text


def test_a_device_that_no_node_is_called_by_is_to_be_completed_and_the_nodes_are_named():
    text, found = read(roles={})
    assert set(found["devices"]) == set(found["topology"]) == {"clients", "nat", "gateway"}
    assert found["devices"]["gateway"] == found["topology"]["gateway"] == TO_COMPLETE
    assert "import with --role gateway=NODE; there are R1, nat" in text
    assert "# No device: R1, dynamips, on sw (port FastEthernet0/0)" in text


def test_a_device_without_a_link_is_to_be_completed():
    _, found = read(links=LINKS[1:])
    assert found["topology"]["gateway"]["interfaces"] == TO_COMPLETE


def test_a_console_of_a_machine_that_has_a_name_is_to_be_completed():
    text, found = read(nodes=(Node("R1", "dynamips", "started", Console("lab.example", 5000, "telnet")), *NODES[1:]))
    assert found["devices"]["gateway"]["connections"]["cli"] == {"protocol": "telnet", "ip": TO_COMPLETE, "port": 5000}
    assert "# the address of lab.example" in text


def test_a_nat_is_reached_by_ssh_whatever_its_console():
    text, found = read(nodes=(NODES[0], Node("nat", "qemu", "stopped", Console("192.0.2.50", 5901, "telnet")), *NODES[2:]))
    assert found["devices"]["nat"]["connections"]["cli"] == {"protocol": "ssh", "ip": TO_COMPLETE, "port": 22}
    assert "its console is telnet, and it is reached by ssh" in text


def test_options_stand_beside_the_nodes_names():
    _, found = read(options={"verify": False, "clients": "pnet1"})
    nodes = {"gateway": "R1"}
    assert found["testbed"]["custom"]["lab"]["options"] == {"verify": False, "clients": "pnet1", "nodes": nodes}


def test_secrets_are_left_to_the_environment():
    _, found = read()
    custom = found["devices"]["clients"]["custom"]
    assert (custom["psk"], custom["password"]) == ("%ENV{NATSTORM_PSK}", "%ENV{NATSTORM_PPP_PASSWORD}")


def test_who_logs_in_at_the_server_stands_with_the_credentials():
    _, found = read(section=SECTION | {"user": "admin", "password": "%ENV{SERVER}"})
    assert found["testbed"]["credentials"]["gns3"] == {"username": "admin", "password": "%ENV{SERVER}"}
    assert set(found["testbed"]["custom"]["lab"]) == {"provider", "url", "project", "options"}


def test_captures_are_left_to_tcpdump_which_tells_what_it_lost():
    text, found = read()
    assert "custom" not in found["devices"]["nat"]
    assert "captured by tcpdump on it" in text


@pytest.mark.parametrize("name", ["%CLI{touch /tmp/x}", "%ENV{HOME}", "R1\ndevices:", "R\x7f"])
def test_a_name_that_pyats_would_carry_out_is_refused(name):
    for changes in (
        {"nodes": (Node(name, "qemu"),), "links": (), "roles": {}},
        {"links": (Link("x", (End("R1", name), End("nat", "eth0"))),)},
        {"section": {**SECTION, "project": name}},
        {"options": {"clients": name}},
    ):
        with pytest.raises(LabError, match="rename it in the lab"):
            read(**changes)


def test_two_nodes_of_one_name_are_refused():
    with pytest.raises(LabError, match="2 nodes are called 'R1'"):
        read(nodes=(*NODES, Node("R1", "qemu")))


@pytest.mark.parametrize(
    ("roles", "problem"),
    [
        ({"router": "R1"}, "no role 'router'"),
        ({"gateway": "R9"}, "no node 'R9'"),
        ({"gateway": "R1", "host": "R1"}, "plays two roles"),
        ({"clients": "R1"}, "the clients are no node"),
    ],
)
def test_roles_must_make_sense(roles, problem):
    with pytest.raises(UsageError, match=problem):
        read(roles=roles)


def test_a_role_that_is_given_beats_a_name():
    _, found = read(roles={"gateway": "nat", "nat": "R1"})
    assert found["testbed"]["custom"]["lab"]["options"]["nodes"] == {"gateway": "nat", "nat": "R1"}


AWKWARD = ["yes", "No", "12", "1e3", "a: b", "# x", "é", "", "-", "~", "'", '"', "0x1f", "a\\b", "<<", "Gi0/0", "null"]


@pytest.mark.parametrize("value", AWKWARD)
def test_scalars_come_back_as_they_went(value):
    assert yaml.safe_load(f"key: {scalar(value)}\n{scalar(value)}: 1") == {"key": value, value: 1}
