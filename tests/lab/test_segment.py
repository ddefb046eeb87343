"""The interface that the clients of a real lab borrow: it moves, it comes back as it was, whoever is killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from enclosed import enclosed

from harness.errors import LabError, UsageError
from harness.lab import enclosure, namespaces, segment, tools
from harness.lab.namespaces import Netns
from harness.lab.segment import CLIENTS, Nic, Segment, look
from harness.model import Connection
from harness.testbed import check

lab = pytest.mark.lab
NIC = "nic0"


def bench(host="10.99.0.2"):
    """The Linux testbed with its client interface on this machine's nic0 and a NAT that is there already, at `host`."""
    known = check(enclosure.ROOT / "testbeds/linux.yaml")
    clients = replace(known.clients, interface=replace(known.clients.interface, name=NIC))
    return replace(known, clients=clients, nat=replace(known.nat, connection=Connection("nat", host)))


def machine():
    """A machine with a management interface and nic0, which leads to a router."""
    router = Netns.create("router")
    here = Netns.create("here")
    namespaces.link(router, "inside0", router, "spare")  # a peer that is not of this test
    tools.run(["ip", "netns", "exec", "router", "ip", "link", "del", "inside0"], step="prepare")
    tools.run(["ip", "link", "add", NIC, "type", "veth", "peer", "name", "inside0", "netns", "router"], step="prepare")
    tools.run(["ip", "link", "add", "mgmt0", "type", "veth", "peer", "name", "far", "netns", "here"], step="prepare")
    router.ip("link", "set", "inside0", "up")
    router.ip("address", "add", "192.0.2.1/30", "dev", "inside0")
    router.ip("route", "add", "10.0.0.0/24", "via", "192.0.2.2")
    here.ip("link", "set", "far", "up")
    for words in (
        ("link", "set", "mgmt0", "up"),
        ("address", "add", "10.99.0.1/24", "dev", "mgmt0"),
        ("link", "set", NIC, "up"),
        ("address", "add", "198.18.5.5/24", "dev", NIC),
        ("address", "add", "198.18.6.5/32", "dev", NIC),
        ("address", "add", "2001:db8::5/64", "dev", NIC, "nodad"),
        ("route", "add", "198.18.7.0/24", "via", "198.18.5.1", "dev", NIC, "metric", "77"),
    ):
        tools.run(["ip", *words], step="prepare")
    tools.run(["ethtool", "-K", NIC, "gro", "off"], step="prepare")
    return router


def told(words):
    return tools.run(["ip", *words], step="look").stdout


@lab
@enclosed
def test_it_moves_serves_and_comes_back_as_it_was():
    router = machine()
    before = look(NIC)
    assert before.addresses == ("198.18.5.5/24", "198.18.6.5/32", "2001:db8::5/64")
    assert "tx" in before.offloads
    assert "gro" not in before.offloads
    lent = Segment(bench())
    lent.up()
    assert NIC not in [name for _, name in socket.if_nameindex()]
    assert "mgmt0" in [name for _, name in socket.if_nameindex()]
    with lent.clients.entered():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with router.entered():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind(("10.0.0.7", 500))  # any address of the prefix is local there
    server.bind(("192.0.2.1", 500))
    server.settimeout(15)
    client.settimeout(15)
    client.sendto(b"up", ("192.0.2.1", 500))
    heard, seen_as = server.recvfrom(64)
    assert (heard, seen_as) == (b"up", ("10.0.0.7", 500))
    server.sendto(b"down", seen_as)
    assert client.recv(64) == b"down"
    client.close()
    lent.down()
    assert look(NIC) == before
    assert not Netns(CLIENTS).exists()
    lent.down()  # nothing left to do
    assert look(NIC) == before


@lab
@enclosed
def test_the_keeper_brings_it_back_when_the_run_is_killed():
    machine()
    before = look(NIC)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(enclosure.ROOT / "tests/lab"), str(enclosure.ROOT)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "lent\n"
    assert NIC not in [name for _, name in socket.if_nameindex()]
    keepers = [pid for pid in os.listdir("/proc") if pid.isdigit() and named(pid) == "natstorm-keeper"]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(int(keepers[0]), number)  # it stays: its work is not done
    holder.kill()
    holder.wait()
    deadline = time.monotonic() + 30
    while Netns(CLIENTS).exists() or named(keepers[0]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert look(NIC) == before


HOLD = """
import sys
sys.path[:0] = sys.argv[1:]
import test_segment
lent = test_segment.Segment(test_segment.bench())
lent.up()
print("lent", flush=True)
sys.stdin.read()
import time
time.sleep(600)
"""


def named(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


@lab
@enclosed
def test_where_the_keeper_dies_too_what_was_noted_brings_it_back():
    machine()
    before = look(NIC)
    lent = Segment(bench())
    lent.up()
    lent._keeper.kill()
    segment.put_back(Nic.from_json(before.to_json()))
    assert look(NIC) == before
    segment.put_back(before)  # whoever comes second finds it done
    assert look(NIC) == before


@lab
@enclosed
def test_the_management_interface_is_refused():
    machine()
    before = look(NIC)
    with pytest.raises(UsageError, match=r"nic0 is the management interface: nat \(198.18.5.9\) is reached through it"):
        Segment(bench("198.18.5.9")).up()
    os.environ["SSH_CONNECTION"] = "198.18.6.1 50000 198.18.6.5 22"
    with pytest.raises(UsageError, match=r"the session from 198.18.6.1 comes in through it"):
        Segment(bench()).up()
    del os.environ["SSH_CONNECTION"]
    tools.run(["ip", "route", "add", "default", "via", "198.18.5.1"], step="prepare")
    with pytest.raises(UsageError, match="default route leaves by it"):
        Segment(bench()).up()
    tools.run(["ip", "route", "del", "default"], step="prepare")
    for told in (NIC, "198.18.6.5", "2001:DB8:0::5"):
        with pytest.raises(UsageError, match=rf"nic0 is the management interface: testbed\.custom\.management names {told}"):
            Segment(replace(bench(), management=("eth7", "198.18.6.50", told))).up()
    assert look(NIC) == before


@lab
@enclosed
def test_what_cannot_be_had_is_told_and_nothing_changed():
    machine()
    strange = bench()
    strange = replace(strange, clients=replace(strange.clients, interface=replace(strange.clients.interface, name="nic7")))
    with pytest.raises(LabError, match=r"no interface of that name\n.*it has .*nic0"):
        Segment(strange).up()
    first = Segment(bench())
    first.up()
    with pytest.raises(LabError, match="another run has it"):
        Segment(bench()).up()
    first.down()
    before = look(NIC)
    bad = bench()
    bad = replace(bad, nat=replace(bad.nat, inside=replace(bad.nat.inside, address="198.51.100.1/24")))  # a next hop out of reach
    with pytest.raises(LabError, match=r"via 198\.51\.100\.1"):
        Segment(bad).up()
    assert look(NIC) == before
    assert not Netns(CLIENTS).exists()
