"""The nodes of a lab: what is built, how quiet it is, and that it goes without a trace."""

import asyncio
import os
import select
import socket
import subprocess
import time
from dataclasses import replace

import pytest
from enclosed import enclosed
from leftovers import assert_nothing_left, left_behind, snapshot

from harness.errors import LabError, MissingTool
from harness.lab import enclosure, tools, topology
from harness.lab.namespaces import Netns, link
from harness.lab.topology import Attachment, Topology
from harness.testbed import check

lab = pytest.mark.lab
ETH_P_ALL = 3
LISTEN_S = 2.0


def build(transport: str = "auto") -> Topology:
    testbed = check(enclosure.ROOT / "testbeds/linux.yaml")
    return Topology(replace(testbed, gateway=replace(testbed.gateway, transport=transport)))


def clean_slate():
    """The machine before: with the mount that the first `ip netns add` makes of /run/netns, and that stays."""
    Netns.create("first").delete()
    return snapshot()


# --- namespaces ---


@lab
@enclosed
def test_entered_is_for_the_block_alone():
    netns = Netns.create("a")
    here = os.stat("/proc/thread-self/ns/net").st_ino
    with netns.entered():
        inside = os.stat("/proc/thread-self/ns/net").st_ino
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    assert inside == netns.path.stat().st_ino != here
    assert os.stat("/proc/thread-self/ns/net").st_ino == here
    netns.ip("address", "add", "192.0.2.1/32", "dev", "lo")
    sock.bind(("192.0.2.1", 0))  # the socket stayed there
    with pytest.raises(OSError, match="Cannot assign"):
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind(("192.0.2.1", 0))
    with pytest.raises(ValueError, match="out"), netns.entered():
        raise ValueError("out")
    assert os.stat("/proc/thread-self/ns/net").st_ino == here


@lab
@enclosed
def test_commands_run_where_they_belong():
    netns = Netns.create("a")
    assert netns.run(["ip", "netns", "identify"]).stdout == "a\n"

    async def spawn() -> tuple[str, int, int]:
        process = await netns.spawn(["ip", "netns", "identify"])
        output, _ = await process.communicate()
        sleeping = await netns.spawn(["sleep", "60"])
        session = os.getsid(sleeping.pid)
        sleeping.kill()
        await sleeping.wait()
        return output.decode(), session, sleeping.pid

    said, session, pid = asyncio.run(spawn())
    assert said == "a\n"
    assert session == pid  # of its own: no Ctrl-C reaches it


@lab
@enclosed
def test_links_carry_whole_checksums():
    left, right = Netns.create("a"), Netns.create("b")
    link(left, "x", right, "y")
    for netns, name in ((left, "x"), (right, "y")):
        shown = netns.run(["ethtool", "-k", name]).stdout
        for feature in ("tx-checksumming", "rx-checksumming", "tcp-segmentation-offload", "generic-receive-offload"):
            assert f"{feature}: off" in shown
        assert netns.read_sysctl(f"net/ipv6/conf/{name}/disable_ipv6") == "1"


@lab
@enclosed
def test_what_cannot_be_done_is_told():
    netns = Netns.create("a")
    with pytest.raises(LabError, match=r"make namespace a: .*File exists"):
        Netns.create("a")
    with pytest.raises(LabError, match=r"ip link set nowhere up in namespace a: .*Cannot find device"):
        netns.ip("link", "set", "nowhere", "up")
    with pytest.raises(LabError, match=r"set net/no/such in namespace a: this kernel has no such setting"):
        netns.sysctl({"net/no/such": "1"})
    netns.delete()
    with pytest.raises(LabError, match=r"enter namespace a: there is none"), netns.entered():
        pass


def test_outside_an_enclosure_nothing_is_made(monkeypatch):
    monkeypatch.delenv("NATSTORM_ENCLOSURE", raising=False)
    with pytest.raises(LabError, match="not inside an enclosure"):
        Netns.create("a")


def test_a_missing_program_names_its_package(monkeypatch):
    monkeypatch.setattr("harness.lab.packages.find_program", lambda name: None)
    with pytest.raises(MissingTool) as caught:
        tools.find("conntrack")
    assert "Debian package conntrack" in caught.value.seen
    assert caught.value.cure.endswith("install --no-install-recommends conntrack")


def test_a_program_that_fails_is_quoted():
    with pytest.raises(LabError) as caught:
        tools.run(["sh", "-c", "echo broken >&2; exit 3"], step="try it")
    assert (caught.value.step, caught.value.seen) == ("try it", "`sh -c echo broken >&2; exit 3` ended with status 3: broken")


# --- topology ---


@lab
@enclosed
def test_the_gateway_is_on_a_tap():
    nodes = build("tap")
    assert nodes.up() == Attachment("wan", "tap", "tap-gw")
    assert "tap-gw" in nodes.wan.ip("-brief", "link", "show", "type", "tun")


@lab
@enclosed(rootless=True)
def test_without_root_the_gateway_is_on_a_raw_socket():
    nodes = build()
    kind = "tap" if topology.tap_refused() is None else "raw"  # most machines let anybody open /dev/net/tun
    assert nodes.up().kind == kind
    assert build("raw").down() is None
    assert build("raw").up() == Attachment("wan", "raw", "raw-gw")


def test_a_tap_that_cannot_be_had(monkeypatch):
    monkeypatch.setattr(topology, "TUN_DEVICE", "/dev/no/tun")
    assert topology.choose_transport("auto") == "raw"
    with pytest.raises(LabError, match=r"open /dev/no/tun for the gateway's tap: No such file") as caught:
        topology.choose_transport("tap")
    assert "transport: auto" in caught.value.cure


@lab
@enclosed
def test_frames_reach_a_raw_attachment_and_come_back():
    """What a guest on `raw` does: frames in and out of the far end of the pair, with an address of its own."""
    nodes = build("raw")
    attachment = nodes.up()
    with nodes.wan.entered():
        guest = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    guest.bind((attachment.interface, ETH_P_ALL))
    guest.settimeout(5)
    with nodes.nat.netns.entered():
        nat = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    nat.settimeout(5)
    nat.sendto(b"hello", ("203.0.113.231", 9))
    asked = guest.recv(2048)
    assert asked[12:14] == b"\x08\x06"  # ARP: who has .231?
    assert asked[38:42] == socket.inet_aton("203.0.113.231")
    mac = bytes.fromhex("020000000001")
    answer = asked[6:12] + mac + asked[12:20] + b"\x00\x02" + mac + asked[38:42] + asked[22:32]
    guest.send(answer)
    heard = guest.recv(2048)
    assert (heard[:6], heard[-5:]) == (mac, b"hello")


@lab
@enclosed
def test_nothing_but_the_runs_own_packets():
    """No router solicitations, no neighbour discovery, no spanning tree, no queries: LISTEN_S seconds of silence on every link."""
    nodes = build("raw")
    # The sockets are opened before anything comes up, in namespaces that are made first and adopted by the topology.
    ears = {}
    original = Netns.create

    def create(name: str) -> Netns:
        netns = original(name)
        with netns.entered():
            ears[name] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        return netns

    Netns.create = create
    nodes.up()
    until = time.monotonic() + LISTEN_S
    while (left := until - time.monotonic()) > 0:
        readable, _, _ = select.select(list(ears.values()), [], [], left)
        assert not readable, [ear.recvfrom(2048) for ear in readable]
    # The ears are not deaf:
    nodes.nat.netns.run(["sh", "-c", "exec 3<>/dev/null; ip link show >/dev/null"])
    with nodes.nat.netns.entered():
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("203.0.113.231", 9))
    assert select.select(list(ears.values()), [], [], 5)[0]


@lab
@enclosed
def test_down_leaves_nothing():
    before = clean_slate()
    for transport in ("tap", "raw", "tap"):
        nodes = build(transport)
        nodes.up()
        assert left_behind(before, within=0.0)
        nodes.down()
        nodes.down()  # twice does no harm
        assert_nothing_left(before)


@lab
@enclosed
def test_what_fails_half_way_is_taken_down():
    before = clean_slate()
    Netns.create("wan")  # in the way of the third node
    with pytest.raises(LabError, match="make namespace wan"):
        build().up()
    assert_nothing_left(before)


@lab
@enclosed
def test_any_address_of_the_prefix_is_a_clients():
    nodes = build()
    nodes.up()
    with nodes.clients.entered():
        for address in ("10.0.0.2", "10.0.0.254"):
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind((address, 500))
    assert subprocess.run(["ip", "route"], capture_output=True, check=True).stdout == b""  # the enclosure itself has none


@lab
@enclosed
def test_an_address_of_the_prefix_can_be_a_guests_for_a_while():
    nodes = build("raw")
    nodes.up()
    place = nodes.house("c8")
    assert (place.netns, place.kind) == ("clients", "raw")

    def bind(address):
        with nodes.clients.entered():
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind((address, 500))

    with nodes.clients.entered():
        ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        ear.bind((place.interface, 0))
    nodes.lead("10.0.0.9", "c8")
    with pytest.raises(OSError, match="Cannot assign"):
        bind("10.0.0.9")
    bind("10.0.0.8")
    with nodes.nat.netns.entered():
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("10.0.0.9", 9))
    ear.settimeout(LISTEN_S)
    frame = ear.recv(2048)
    assert (frame[12:14], frame[38:42]) == (b"\x08\x06", bytes((10, 0, 0, 9)))  # ARP asks the guest
    nodes.lead("10.0.0.9", None)
    bind("10.0.0.9")
