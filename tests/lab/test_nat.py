"""The NATs of the lab, the kernel's and the project's own: they translate, they can be read, they can be made to forget.

A body `name(personality)` is played on both: None is the kernel's NAT, "pat" the userland one that behaves like it.
"""

import socket
import time

import pytest
from enclosed import enclosed
from nat_play import GATEWAY, NAT, PATIENCE_S, Play

from harness.devices.conntrack import Entry, parse

lab = pytest.mark.lab


def test_a_line_of_conntrack():
    line = (
        "udp      17 28 src=10.0.0.2 dst=203.0.113.231 sport=500 dport=500 packets=3 bytes=204 [UNREPLIED] "
        "src=203.0.113.231 dst=203.0.113.232 sport=500 dport=1024 packets=0 bytes=0 mark=0 use=1"
    )
    assert parse(line) == Entry("udp", "10.0.0.2", 500, NAT, 1024, GATEWAY, 500, False, 28, 3, 0)


def test_a_line_without_counters():
    line = (
        "udp      17 118 src=10.0.0.3 dst=203.0.113.231 sport=4500 dport=4500 src=203.0.113.231 dst=203.0.113.232 "
        "sport=4500 dport=61000 [ASSURED] mark=0 use=1"
    )
    assert parse(line) == Entry("udp", "10.0.0.3", 4500, NAT, 61000, GATEWAY, 4500, True, 118, None, None)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "conntrack v1.4.7 (conntrack-tools): 0 flow entries have been shown.",
        "icmp     1 29 src=10.0.0.2 dst=203.0.113.231 type=8 code=0 id=1 src=203.0.113.231 dst=203.0.113.232 type=0 code=0 id=1",
        "unknown  50 599 src=10.0.0.2 dst=203.0.113.231 src=203.0.113.231 dst=203.0.113.232 mark=0",
    ],
)
def test_a_line_without_ports_is_no_mapping(line):
    assert parse(line) is None


def translate_and_forget(personality=None):
    play = Play(personality=personality)
    first, second = play.client("10.0.0.2", 500), play.client("10.0.0.3", 500)
    seen = [play.ask(first, b"one"), play.ask(second, b"two")]
    assert {address for address, _ in seen} == {NAT}
    assert seen[0] != seen[1]
    assert all(port >= 1024 for _, port in seen)
    assert [m.answered for m in play.nat.mappings()] == [False, False]
    play.answer(first, seen[0], b"back to one")
    play.answer(second, seen[1], b"back to two")
    assert [(m.inside_address, m.inside_port, m.outside_address, m.outside_port) for m in play.nat.mappings()] == [
        ("10.0.0.2", 500, *seen[0]),
        ("10.0.0.3", 500, *seen[1]),
    ]
    assert [(m.answered, m.packets_up, m.packets_down) for m in play.nat.mappings()] == [(True, 1, 1)] * 2

    # A NAT that forgets one client: the gateway's words for it reach nobody, the other's still do.
    assert play.nat.forget("10.0.0.2") == 1
    play.gateway.sendto(b"lost", seen[0])
    play.answer(second, seen[1], b"still here")
    first.setblocking(False)
    with pytest.raises(BlockingIOError):
        first.recv(100)
    first.settimeout(PATIENCE_S)
    # The next packet from inside makes a new mapping, on a port of the range that is now wanted.
    play.nat.set_ports(50000, 50000)
    assert play.ask(first, b"again") == (NAT, 50000)
    assert [m.outside_port for m in play.nat.mappings()] == [50000, seen[1][1]]
    assert play.nat.forget() == 2
    assert play.nat.forget() == 0
    assert play.nat.mappings() == ()


@lab
@enclosed
def test_it_translates_and_forgets():
    translate_and_forget()


@lab
@enclosed(rootless=True)
def test_it_translates_and_forgets_without_root():
    translate_and_forget()


@lab
@enclosed
def test_the_userland_nat_translates_and_forgets():
    translate_and_forget("pat")


@lab
@enclosed(rootless=True)
def test_the_userland_nat_translates_and_forgets_without_root():
    translate_and_forget("pat")


@lab
@enclosed
def test_the_time_outs_of_the_testbed_hold_and_can_be_changed():
    play = Play()
    read = play.nat.netns.read_sysctl
    name = "net/netfilter/nf_conntrack_udp_timeout"
    assert [read(name), read(f"{name}_stream")] == ["30", "120"]
    play.nat.set_udp_timeout(5)  # long enough for a busy machine to look at the mapping while it is there
    assert [read(name), read(f"{name}_stream")] == ["5", "5"]
    sock = play.client("10.0.0.2", 500)
    play.answer(sock, play.ask(sock, b"one"), b"back")
    (mapping,) = play.nat.mappings()
    assert mapping.expires_s <= 5
    deadline = time.monotonic() + 60
    while play.nat.mappings():
        assert time.monotonic() < deadline, "the mapping outlives its time-out"
        time.sleep(0.1)


def two_thousand_clients(personality=None):
    """Each from port 500; plain `masquerade` gives 511 of them a port (below 512, since 500 is) and drops the rest."""
    play = Play("10.0.0.0/20", personality)
    shared = play.shared_socket(500)
    seen = {}
    for number in range(2000):
        source = play.send_as(shared, number + 1)
        heard, seen_as = play.gateway.recvfrom(64)
        assert heard == source
        seen[seen_as] = source
    assert len(seen) == 2000
    assert all(address == NAT and port >= 1024 for address, port in seen)
    mappings = play.nat.mappings()
    assert {(m.outside_address, m.outside_port): socket.inet_aton(m.inside_address) for m in mappings} == seen


@lab
@enclosed
def test_two_thousand_clients_from_port_500_get_two_thousand_mappings():
    two_thousand_clients()


@lab
@enclosed
def test_the_userland_nat_gives_two_thousand_clients_a_mapping():
    two_thousand_clients("pat")


def keep_ports_where_they_are_free(personality=None):
    play = Play(personality=personality)
    first, second = play.client("10.0.0.2", 4500), play.client("10.0.0.3", 4500)
    assert play.ask(first, b"one") == (NAT, 4500)
    _, port = play.ask(second, b"two")
    assert port not in (500, 4500)
    # One inside endpoint keeps its outside port towards another remote end.
    with play.nodes.wan.entered():
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.bind((GATEWAY, 501))
    other.settimeout(PATIENCE_S)
    second.sendto(b"three", (GATEWAY, 501))
    assert other.recvfrom(64) == (b"three", (NAT, port))
    # Nobody else gets in by it: filtering is by address and port.
    with play.nodes.wan.entered():
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.bind((GATEWAY, 502))
    stranger.sendto(b"intruder", (NAT, port))
    other.sendto(b"guest", (NAT, port))
    assert second.recvfrom(64) == (b"guest", (GATEWAY, 501))


@lab
@enclosed
def test_the_kernels_nat_keeps_ports_where_they_are_free():
    keep_ports_where_they_are_free()


@lab
@enclosed
def test_the_userland_nat_keeps_ports_where_they_are_free():
    keep_ports_where_they_are_free("pat")


def pass_fragments(personality=None):
    """Datagrams larger than the links' MTU, with and without a UDP checksum, both ways."""
    play = Play(personality=personality)
    sock = play.client("10.0.0.2", 4500)
    for so_no_check in (0, 1):
        for size in (1473, 4000, 30_000):
            text = bytes(range(256)) * 118
            sock.setsockopt(socket.SOL_SOCKET, 11, so_no_check)
            play.gateway.setsockopt(socket.SOL_SOCKET, 11, so_no_check)
            sock.sendto(text[:size], (GATEWAY, 500))
            heard, seen_as = play.gateway.recvfrom(1 << 16)
            assert heard == text[:size]
            play.gateway.sendto(text[-size:], seen_as)
            assert sock.recvfrom(1 << 16) == (text[-size:], (GATEWAY, 500))
    assert len(play.nat.mappings()) == 1


@lab
@enclosed
def test_the_kernels_nat_passes_fragments():
    pass_fragments()


@lab
@enclosed
def test_the_userland_nat_passes_fragments():
    pass_fragments("pat")


def tell_who_is_unreachable(personality=None):
    """An ICMP error about what a client sent reaches that client's socket."""
    play = Play(personality=personality)
    sock = play.client("10.0.0.2", 4500)
    sock.connect((GATEWAY, 4242))  # nobody listens there
    sock.send(b"anybody?")
    with pytest.raises(ConnectionRefusedError):
        sock.recv(64)


@lab
@enclosed
def test_the_kernels_nat_translates_icmp_errors():
    tell_who_is_unreachable()


@lab
@enclosed
def test_the_userland_nat_translates_icmp_errors():
    tell_who_is_unreachable("pat")
