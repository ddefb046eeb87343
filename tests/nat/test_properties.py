"""Whatever comes in: nothing raises, nobody else's mapping changes, memory stays within its bounds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nat_bench import Bench
from nat_packets import CLIENT, GATEWAY, NAT, OTHER, SECOND, echo, esp, icmp, ip, seen, udp

from harness.nat import load, names
from harness.nat.link import fragment

TRANSLATING = [name for name in names() if load(name).translation is not None]



def outlived(name, seconds):
    """So long, or as long as IOS keeps what it keeps for a day."""
    plan = load(name).translation
    return seconds if plan is None or plan.ios is None else 2 * 86400.0


hosts = st.sampled_from([CLIENT, SECOND, GATEWAY, OTHER, NAT, "0.0.0.0", "255.255.255.255", "10.0.0.255"])
ports = st.sampled_from([0, 1, 500, 501, 4500, 1024, 1025, 65535])
words = st.binary(max_size=40)


@st.composite
def packets(draw, sources=hosts):
    """Packets of every kind that the NAT knows, many of them then cut, stretched or turned over in places."""
    src, dst = draw(sources), draw(hosts)
    kind = draw(st.sampled_from(["udp", "esp", "echo", "error", "other", "fragment", "bytes"]))
    if kind == "bytes":
        return draw(st.binary(max_size=80))
    packet = {
        "udp": lambda: udp(src, draw(ports), dst, draw(ports), draw(words), summed=draw(st.booleans())),
        "esp": lambda: esp(src, dst, draw(st.integers(0, 5)), draw(words)),
        "echo": lambda: echo(src, dst, draw(st.sampled_from([0, 8, 13])), draw(ports), draw(words)),
        "error": lambda: icmp(src, dst, draw(st.sampled_from([3, 4, 11, 12])), bytes(4) + draw(packets())),
        "other": lambda: ip(src, dst, draw(st.integers(0, 255)), draw(words), ttl=draw(st.integers(0, 255))),
        "fragment": lambda: draw(st.sampled_from(fragment(udp(src, draw(ports), dst, draw(ports), bytes(60)), 36))),
    }[kind]()
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(packet) - 1))
        packet = packet[:at] + draw(st.binary(max_size=4)) + packet[at + draw(st.integers(0, 4)) :]
    return packet


sides = st.sampled_from(["inside", "outside"])


@pytest.mark.parametrize("name", names())
@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.tuples(sides, packets(), st.floats(0, 40)), max_size=40))
def test_anything_may_come_in(name, traffic):
    nat = Bench(name)
    for side, packet, pause in traffic:
        nat.wait(pause)
        nat.core.receive(nat.now, side, packet)
        for _, out in nat.core.take_packets():
            seen(out, sums=False)  # a whole packet with a good header
    rows = nat.core.mappings()
    assert all(row.inside_address.startswith("10.0.0.") and row.outside_address == NAT for row in rows)
    nat.wait(outlived(name, 1000.0))
    assert nat.core.mappings() == ()
    assert nat.core.deadline is None


@pytest.mark.parametrize("name", TRANSLATING)
@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(packets(), max_size=30))
def test_from_outside_no_mapping_is_made_or_changed(name, traffic):
    nat = Bench(name)
    nat.core.receive(0.0, "inside", udp(CLIENT, 4500, GATEWAY, 4500))
    nat.core.receive(0.0, "inside", udp(SECOND, 500, GATEWAY, 500, bytes(range(40))))

    def known():
        rows = nat.core.mappings()
        return [(m.protocol, m.inside_address, m.inside_port, m.outside_port, m.remote_address, m.remote_port) for m in rows]

    before = known()
    for packet in traffic:
        nat.core.receive(0.0, "outside", packet)
    assert known() == before


@pytest.mark.parametrize("name", [name for name in TRANSLATING if load(name).up is None])
@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(packets(sources=st.sampled_from([SECOND, "10.0.0.4", "10.0.0.5"])), max_size=30))
def test_no_client_changes_anothers_mapping(name, traffic):
    nat = Bench(name)
    port = nat.port(CLIENT, 4500, GATEWAY, 4500)
    before = [row for row in nat.core.mappings() if row.inside_address == CLIENT]
    for packet in traffic:
        if packet[12:16] != bytes([10, 0, 0, 2]):  # one turned over may have become the client's own
            nat.core.receive(0.0, "inside", packet)
    nat.core.take_packets()
    assert [row for row in nat.core.mappings() if row.inside_address == CLIENT] == before
    assert nat.down(udp(GATEWAY, 4500, NAT, port)).flow == (GATEWAY, 4500, CLIENT, 4500)


@pytest.mark.parametrize("name", TRANSLATING)
def test_memory_stays_bounded(name):
    limit = 20
    nat = Bench(name, inside="10.0.0.0/16", limit=limit)
    table = nat.core.parts.translator.table
    for number in range(3000):
        client = f"10.0.{number % 7}.{number % 250 + 1}"
        cookie = number.to_bytes(8)
        packet = (
            udp(client, 500, GATEWAY, 500, cookie + bytes(20)) if number % 3 == 0
            else esp(client, GATEWAY, number) if number % 3 == 1
            else udp(client, number + 1, f"198.51.100.{number % 250 + 1}", 4500)
        )  # fmt: skip
        nat.core.receive(nat.now, "inside", packet)
        nat.core.receive(nat.now, "outside", esp(GATEWAY, NAT, number))
        nat.core.receive(nat.now, "outside", udp(f"198.51.100.{number % 250 + 1}", number % 60000, NAT, number % 65536))
        nat.core.take_packets()
        nat.now += 0.01
        assert table.sessions <= limit
        assert len(table._timers) <= 2 * limit + 130
    held = (table._leaving, table._coming, table._by_port, table._by_inside)
    assert sum(len(inner) if isinstance(inner, (dict, list)) else 1 for index in held for inner in index.values()) <= 5 * limit
    nat.wait(outlived(name, 2000.0))
    assert (table.sessions, table._bindings, table._by_port, table._by_inside, table._timers) == (0, {}, {}, {}, [])
