"""RFC 4787, row by row: mapping, filtering, ports, limits; and what the kernel's masquerade does in their terms."""

import itertools

import pytest
from nat_packets import CLIENT, GATEWAY, NAT, OTHER, SECOND, udp

from harness.nat import load, names
from harness.nat.allocator import KINDS, PortRange, allocator
from harness.nat.draws import Draws

EI, AD, APD = "endpoint-independent", "address-dependent", "address-and-port-dependent"
WIDE = PortRange(1024, 65535)


@pytest.mark.parametrize(
    ("mapping", "same_address", "same_endpoint"),
    [(EI, True, True), (AD, False, True), (APD, False, False)],
)
def test_mapping(bench, mapping, same_address, same_endpoint):
    """§4.1: whether one inside endpoint keeps its outside port towards another address, and towards another port of one address."""
    nat = bench("symmetric", mapping=mapping)
    first = nat.port(CLIENT, 500, GATEWAY, 500)
    assert nat.port(CLIENT, 500, GATEWAY, 500) == first
    assert (nat.port(CLIENT, 500, GATEWAY, 501) == first) == same_endpoint
    assert (nat.port(CLIENT, 500, OTHER, 500) == first) == same_address
    assert nat.port(CLIENT, 501, GATEWAY, 500) != first


@pytest.mark.parametrize("mapping", [EI, AD, APD])
@pytest.mark.parametrize(
    ("filtering", "other_port", "other_address"),
    [(EI, True, True), (AD, True, False), (APD, False, False)],
)
def test_filtering(bench, mapping, filtering, other_port, other_address):
    """§5: who else may send to a port that the client has opened towards GATEWAY:500. What gets in leaves no row behind."""
    nat = bench("symmetric", mapping=mapping, filtering=filtering)
    port = nat.port(CLIENT)
    assert nat.down(udp(GATEWAY, 500, NAT, port)).dst == CLIENT
    for allowed, packet in ((other_port, udp(GATEWAY, 999, NAT, port)), (other_address, udp(OTHER, 500, NAT, port))):
        arrived = nat.down(packet)
        assert (arrived is not None) == allowed
        assert arrived is None or (arrived.dst, arrived.ports[1]) == (CLIENT, 500)
    assert len(nat.core.mappings()) == 1


def test_ports_of_one_nat_are_never_shared_without_overloading(bench):
    for kind in KINDS:
        nat = bench("symmetric", allocator=kind, inside="10.0.0.0/16")
        ports = [nat.port(f"10.0.0.{n}", port, dport=port) for n in range(2, 102) for port in (500, 4500)]
        assert len(set(ports)) == 200, kind


def test_overloading_gives_one_port_to_several_clients_towards_different_remote_ends(bench):
    nat = bench("overloading")
    assert nat.port(CLIENT, 500, GATEWAY) == 500
    assert nat.port(SECOND, 500, OTHER) == 500
    assert nat.port("10.0.0.4", 500, GATEWAY) == 501  # that remote end is taken
    assert nat.down(udp(GATEWAY, 500, NAT, 500)).dst == CLIENT
    assert nat.down(udp(OTHER, 500, NAT, 500)).dst == SECOND


def test_preserving_keeps_what_is_free_and_goes_up_from_there(bench):
    nat = bench("preserving")
    assert [nat.port(who, 500) for who in (CLIENT, SECOND, "10.0.0.4")] == [500, 501, 502]
    assert [nat.port(who, 4500) for who in (CLIENT, SECOND)] == [4500, 4501]


def test_sequential_begins_at_1024_and_goes_on_after_what_it_gave(bench):
    nat = bench("cookie-helper")
    assert [nat.port(who, 4500) for who in (CLIENT, SECOND)] == [1024, 1025]
    nat.core.forget()
    assert nat.port(CLIENT, 4500) == 1026


def test_the_kernels_masquerade_with_a_range(bench):
    nat = bench("pat")
    assert nat.port(CLIENT, 4500) == 4500  # in range and free
    assert nat.port(SECOND, 4500) not in (500, 4500)
    port = nat.port(CLIENT, 500)
    assert port >= 1024
    assert nat.port(CLIENT, 500, GATEWAY, 4500) == port  # the same endpoint towards another remote end
    assert nat.port(SECOND, 4500, OTHER) == nat.port(SECOND, 4500)


def test_the_kernels_masquerade_without_a_range_has_511_ports_for_port_500(bench):
    nat = bench("masquerade-511", inside="10.0.0.0/16")
    ports = [nat.port(f"10.0.{n >> 8}.{n & 255}") for n in range(1, 601)]
    given = [port for port in ports if port is not None]
    assert (len(given), set(given)) == (511, set(range(1, 512)))
    assert ports[0] == 500
    assert nat.core.dropped == {"no port": 89}
    assert nat.port(CLIENT, 600) == 600
    assert nat.port(SECOND, 600) in range(601, 1024)
    assert nat.port(SECOND, 4500) == 4500


@pytest.mark.parametrize("kind", KINDS)
def test_an_allocator_finds_the_last_free_port_and_then_none(kind):
    chosen = allocator(kind, PortRange(2000, 2009), Draws(b"key"))
    used = set()
    for _ in range(10):
        used.add(chosen.choose(2003, (), lambda port: port not in used))
    assert used == set(range(2000, 2010))
    assert chosen.choose(2003, (), lambda port: port not in used) is None
    used.remove(2007)
    assert chosen.choose(2003, (), lambda port: port not in used) == 2007


def test_random_ports_are_spread_over_the_range():
    chosen = allocator("random", WIDE, Draws(b"key"))
    drawn = [chosen.choose(500, (), lambda port: True) for _ in range(2000)]
    assert len(set(drawn)) > 1900
    assert min(drawn) < 3000
    assert max(drawn) > 63000


def test_a_full_table_drops_what_is_new_and_nothing_else(bench):
    nat = bench("small-table")
    ports = [nat.port(f"10.0.0.{n}") for n in range(2, 12)]
    assert ports[8:] == [None, None]
    assert nat.core.dropped == {"table full": 2}
    assert all(nat.down(udp(GATEWAY, 500, NAT, port)) is not None for port in ports[:8])
    nat.now = 200.0  # nobody called tick: what has expired makes room all the same
    assert nat.port("10.0.0.11") is not None


def test_the_30_second_timer_is_not_moved_by_answers(bench):
    nat = bench("timer-30")
    port = nat.port(CLIENT)
    nat.now = 29.0
    assert nat.down(udp(GATEWAY, 500, NAT, port)) is not None
    nat.now = 30.0
    assert nat.down(udp(GATEWAY, 500, NAT, port)) is None


def test_two_remote_ends_never_make_one_mapping_collide():
    """NTT-33's ground: equal inside ports of many clients, in any personality that translates port 4500."""
    from nat_bench import Bench

    for name in names():
        personality = load(name)
        if personality.translation is None or personality.up is not None or name in ("small-table", "ios-one-to-one"):
            continue
        nat = Bench(name)
        seen = {}
        for host, remote in itertools.product(range(2, 30), (GATEWAY, OTHER)):
            port = nat.port(f"10.0.0.{host}", 4500, remote, 4500)
            assert seen.setdefault((remote, port), host) == host, name
            assert nat.down(udp(remote, 4500, NAT, port)).dst == f"10.0.0.{host}"
