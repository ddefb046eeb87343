"""What any NAT must do: translate there and back, change nothing else, keep time, forget when told to."""

import pytest
from nat_packets import CLIENT, GATEWAY, NAT, OTHER, SECOND, echo, esp, icmp, ip, raw, seen, udp, udp_part

from harness.nat import NatCore, load, names


def test_there_and_back(bench):
    nat = bench()
    out = nat.up(udp(CLIENT, 500, GATEWAY, 500, b"there"))
    assert (out.src, out.dst, out.ports[1], out.ttl) == (NAT, GATEWAY, 500, 63)
    assert out.ports[0] >= 1024
    back = nat.down(udp(GATEWAY, 500, NAT, out.ports[0], b"back"))
    assert back.flow == (GATEWAY, 500, CLIENT, 500)
    assert (back.ttl, back.payload[8:]) == (63, b"back")
    (row,) = nat.core.mappings()
    assert (row.protocol, row.inside_address, row.inside_port) == ("udp", CLIENT, 500)
    assert (row.outside_address, row.outside_port, row.remote_address, row.remote_port) == (NAT, out.ports[0], GATEWAY, 500)
    assert (row.answered, row.expires_s, row.packets_up, row.packets_down) == (True, 120, 1, 1)


@pytest.mark.parametrize("side", ["inside", "outside"])
def test_only_address_port_ttl_and_checksums_change(bench, side):
    nat = bench()
    port = nat.port(CLIENT, 4500, dport=4500)
    options = {"ident": 0xBEEF, "flags": 0x4000, "ttl": 9, "tos": 0xB8, "options": b"\x94\x04\0\0"}
    packet = udp(CLIENT, 4500, GATEWAY, 4500, **options) if side == "inside" else udp(GATEWAY, 4500, NAT, port, **options)
    nat.core.receive(0.0, side, packet)
    ((_, out),) = nat.core.take_packets()
    seen(out)
    differ = {at for at, (old, new) in enumerate(zip(packet, out, strict=True)) if old != new}
    address, ports = (range(12, 16), range(24, 26)) if side == "inside" else (range(16, 20), range(26, 28))
    assert differ <= {8, 10, 11, *address, *ports, 30, 31}


def test_a_udp_checksum_of_zero_stays_zero(bench):
    nat = bench()
    out = nat.up(udp(CLIENT, 4500, GATEWAY, 4500, summed=False))
    assert out.payload[6:8] == b"\0\0"
    assert nat.down(udp(GATEWAY, 4500, NAT, out.ports[0], summed=False)).payload[6:8] == b"\0\0"


def test_a_wrong_udp_checksum_stays_wrong(bench):
    packet = udp(CLIENT, 500, GATEWAY, 500)
    out = bench().up(packet[:-1] + b"!", sums=False)
    with pytest.raises(AssertionError, match="UDP checksum"):
        seen(ip(out.src, out.dst, 17, out.payload))


def test_checksums_over_all_payload_words_come_out_right(bench):
    """Among 65,536 payloads are those whose sum becomes 0 by the translation, and must be sent as 0xffff."""
    nat = bench()
    special = 0
    for word in range(0x10000):
        out = nat.up(udp(CLIENT, 500, GATEWAY, 500, word.to_bytes(2)))  # seen() recomputes
        special += out.payload[6:8] == b"\xff\xff"
        assert out.payload[6:8] != b"\0\0"
    assert special


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (udp("10.0.1.2", 500, GATEWAY, 500), "source"),
        (udp(CLIENT, 500, SECOND, 500), "destination"),
        (udp(CLIENT, 500, NAT, 500), "destination"),
        (udp(CLIENT, 500, "224.0.0.1", 500), "destination"),
        (udp(CLIENT, 500, "127.0.0.1", 500), "destination"),
        (udp(CLIENT, 500, "255.255.255.255", 500), "destination"),
        (udp(CLIENT, 500, GATEWAY, 500, ttl=1), "TTL"),
        (udp(CLIENT, 500, GATEWAY, 500, ttl=0), "TTL"),
        (ip(CLIENT, GATEWAY, 6, bytes(20)), "protocol"),
        (ip(CLIENT, GATEWAY, 17, b"short"), "malformed"),
        (ip(CLIENT, GATEWAY, 1, b"short"), "malformed"),
        (echo(CLIENT, GATEWAY, 0, 5), "ICMP type"),
        (udp(CLIENT, 500, GATEWAY, 500)[:-1], "malformed"),
        (b"", "malformed"),
        (b"\x60" + bytes(39), "malformed"),
    ],
)
def test_what_goes_nowhere_is_counted_and_makes_no_mapping(bench, packet, reason):
    nat = bench()
    assert nat.up(packet) is None
    assert nat.core.dropped == {reason: 1}
    assert nat.core.mappings() == ()


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (udp(GATEWAY, 500, NAT, 500), "unsolicited"),
        (udp(GATEWAY, 500, CLIENT, 500), "destination"),
        (echo(GATEWAY, NAT, 8, 1), "ICMP type"),
        (echo(GATEWAY, NAT, 0, 1), "unsolicited"),
        (esp(GATEWAY, NAT, 1), "unsolicited"),
        (ip(GATEWAY, NAT, 47, bytes(8)), "protocol"),
    ],
)
def test_nothing_gets_in_uncalled(bench, packet, reason):
    nat = bench()
    assert nat.down(packet) is None
    assert nat.core.dropped == {reason: 1}


def test_padding_behind_the_packet_is_not_sent_on(bench):
    out = bench().up(udp(CLIENT, 500, GATEWAY, 500, b"x") + bytes(17))
    assert out.payload[8:] == b"x"


def test_a_damaged_ip_header_is_dropped(bench):
    nat = bench()
    packet = bytearray(udp(CLIENT, 500, GATEWAY, 500))
    packet[1] ^= 4
    assert nat.up(bytes(packet)) is None
    assert nat.core.dropped == {"malformed": 1}


# --- time ---


def test_a_mapping_lives_until_its_timer_and_no_longer(bench):
    nat = bench("symmetric", udp_s=30.0, udp_stream_s=120.0)
    port = nat.port(CLIENT)
    nat.now = 29.9
    assert nat.down(udp(GATEWAY, 500, NAT, port)) is not None
    nat.now = 149.8
    assert nat.down(udp(GATEWAY, 500, NAT, port)) is not None
    nat.now = 269.8
    assert nat.down(udp(GATEWAY, 500, NAT, port)) is None  # without any tick in between
    assert nat.core.mappings() == ()


@pytest.mark.parametrize(("outbound", "inbound"), [(True, True), (True, False), (False, True), (False, False)])
def test_which_direction_refreshes(bench, outbound, inbound):
    for direction, refreshes in (("up", outbound), ("down", inbound)):
        nat = bench("symmetric", udp_s=30.0, udp_stream_s=30.0, refresh_outbound=outbound, refresh_inbound=inbound)
        port = nat.port(CLIENT)
        nat.now = 20.0
        nat.up(udp(CLIENT, 500, GATEWAY, 500)) if direction == "up" else nat.down(udp(GATEWAY, 500, NAT, port))
        nat.now = 40.0
        assert (nat.down(udp(GATEWAY, 500, NAT, port)) is not None) == refreshes, direction


def test_deadlines_lead_to_an_empty_table(bench):
    nat = bench()
    assert nat.core.deadline is None
    nat.port(CLIENT)
    nat.now = 20.0
    nat.port(CLIENT)
    nat.port(SECOND)
    ticks = []
    while (due := nat.core.deadline) is not None:
        assert due > nat.now or not ticks
        nat.now = due
        nat.core.tick(due)
        ticks.append(due)
    assert ticks == [30.0, 50.0]
    assert nat.core.mappings() == ()


def test_the_time_out_can_be_set(bench):
    nat = bench()
    nat.core.set_udp_timeout(1)
    port = nat.port(CLIENT)
    nat.wait(0.5)
    assert nat.down(udp(GATEWAY, 500, NAT, port)) is not None
    nat.wait(1.0)
    assert nat.down(udp(GATEWAY, 500, NAT, port)) is None
    nat.core.set_udp_timeout(1, 7)
    nat.down(udp(GATEWAY, 500, NAT, nat.port(CLIENT)))
    assert [row.expires_s for row in nat.core.mappings()] == [7]


# --- orders ---


def test_it_forgets_one_client_or_all(bench):
    nat = bench()
    ports = [nat.port(CLIENT), nat.port(CLIENT, 4500), nat.port(SECOND)]
    assert nat.core.forget(CLIENT) == 2
    assert nat.down(udp(GATEWAY, 500, NAT, ports[0])) is None
    assert nat.down(udp(GATEWAY, 500, NAT, ports[2])).dst == SECOND
    assert nat.core.forget() == 1
    assert nat.core.forget() == 0
    assert nat.core.mappings() == ()


def test_a_reboot_forgets_all_and_allocates_anew(bench):
    nat = bench("symmetric", allocator="sequential")
    first = [nat.port(CLIENT), nat.port(SECOND)]
    assert first == [1024, 1025]
    nat.core.reboot(nat.now)
    assert nat.down(udp(GATEWAY, 500, NAT, 1024)) is None
    assert [nat.port(SECOND), nat.port(CLIENT)] == [1024, 1025]


def test_a_new_outside_address_ends_the_old_mappings(bench):
    nat = bench()
    port = nat.port(CLIENT)
    nat.core.renumber(nat.now, "203.0.113.77")
    assert nat.core.mappings() == ()
    assert nat.down(udp(GATEWAY, 500, NAT, port)) is None
    assert nat.down(udp(GATEWAY, 500, "203.0.113.77", port)) is None
    assert nat.up(udp(CLIENT, 500, GATEWAY, 500)).src == "203.0.113.77"
    assert nat.core.outside == "203.0.113.77"


def test_ports_can_be_set(bench):
    nat = bench()
    nat.core.set_ports(50000, 50000)
    assert nat.port(CLIENT) == 50000
    assert nat.port(SECOND) is None
    assert nat.core.dropped == {"no port": 1}


# --- ICMP ---


def test_echo_is_mapped_by_its_identifier(bench):
    nat = bench()
    out = [nat.up(echo(who, GATEWAY, 8, 2000)) for who in (CLIENT, SECOND)]
    idents = [int.from_bytes(one.payload[4:6]) for one in out]
    assert len(set(idents)) == 2
    for who, ident in zip((CLIENT, SECOND), idents, strict=True):
        back = nat.down(echo(GATEWAY, NAT, 0, ident))
        assert (back.dst, int.from_bytes(back.payload[4:6])) == (who, 2000)
    assert nat.down(echo(OTHER, NAT, 0, idents[0])) is None
    assert {row.protocol for row in nat.core.mappings()} == {"icmp"}


@pytest.mark.parametrize("kind", [3, 11, 12])
@pytest.mark.parametrize("summed", [True, False])
def test_errors_about_what_left_reach_who_sent_it(bench, kind, summed):
    nat = bench()
    left = nat.up(udp(CLIENT, 500, GATEWAY, 500, summed=summed))
    quoted = ip(left.src, left.dst, 17, left.payload, ident=left.ident, ttl=left.ttl)
    back = nat.down(icmp(OTHER, NAT, kind, bytes(4) + quoted))
    assert (back.src, back.dst) == (OTHER, CLIENT)
    inner = seen(back.payload[8:])  # the quoted packet's own checksums fit again
    assert inner.flow == (CLIENT, 500, GATEWAY, 500)
    assert (inner.payload[6:8] == b"\0\0") == (not summed)


def test_errors_about_what_came_in_leave_with_the_outside_address(bench):
    nat = bench()
    port = nat.port(CLIENT)
    came = nat.down(udp(GATEWAY, 500, NAT, port))
    quoted = ip(came.src, came.dst, 17, came.payload, ident=came.ident, ttl=came.ttl)
    out = nat.up(icmp(CLIENT, GATEWAY, 3, bytes(4) + quoted, code=3))
    assert (out.src, out.dst) == (NAT, GATEWAY)
    assert seen(out.payload[8:]).flow == (GATEWAY, 500, NAT, port)


def test_errors_about_echoes_are_translated(bench):
    nat = bench()
    left = nat.up(echo(CLIENT, GATEWAY, 8, 2000))
    back = nat.down(icmp(OTHER, NAT, 11, bytes(4) + ip(left.src, left.dst, 1, left.payload, ttl=1)))
    inner = seen(back.payload[8:])
    assert (back.dst, inner.src, inner.payload[4:6]) == (CLIENT, CLIENT, (2000).to_bytes(2))


@pytest.mark.parametrize(
    "quoted",
    [
        udp(NAT, 999, GATEWAY, 500),  # nobody's
        udp(NAT, 1024, GATEWAY, 500)[:27],
        ip(NAT, GATEWAY, 17, udp_part(NAT, GATEWAY, 1024, 500), flags=1),
        b"",
    ],
)
def test_errors_about_nothing_are_dropped(bench, quoted):
    nat = bench("symmetric", allocator="sequential")
    assert nat.port(CLIENT) == 1024
    assert nat.down(icmp(GATEWAY, NAT, 3, bytes(4) + quoted)) is None
    assert sum(nat.core.dropped.values()) == 1


def test_a_damaged_error_is_dropped(bench):
    nat = bench()
    left = nat.up(udp(CLIENT, 500, GATEWAY, 500))
    packet = icmp(OTHER, NAT, 3, bytes(4) + ip(left.src, left.dst, 17, left.payload))
    assert nat.down(packet[:-1] + bytes([packet[-1] ^ 1])) is None
    assert nat.core.dropped == {"malformed": 1}


# --- routing, determinism ---


def test_without_translation_it_routes(bench):
    nat = bench("none")
    out = nat.up(udp(CLIENT, 500, GATEWAY, 500))
    assert (out.flow, out.ttl) == ((CLIENT, 500, GATEWAY, 500), 63)
    assert nat.down(esp(GATEWAY, CLIENT, 5)).dst == CLIENT
    assert nat.down(udp(GATEWAY, 500, OTHER, 500)) is None
    assert nat.up(udp(CLIENT, 500, SECOND, 500)) is None
    assert nat.core.dropped == {"destination": 2}
    assert (nat.core.mappings(), nat.core.forget(), nat.core.deadline) == ((), 0, None)


@pytest.mark.parametrize("name", names())
def test_equal_entropy_gives_equal_packets(name):
    def play(seed):
        core = NatCore(load(name), outside=NAT, inside="10.0.0.0/16", entropy=lambda n: (seed * n)[:n])
        out = []
        for step in range(300):
            now = step / 10
            core.tick(now)
            core.receive(now, "inside", udp(f"10.0.{step % 3}.{step % 97 + 1}", 500 + 4000 * (step % 2), GATEWAY, 500, bytes(900)))
            out += core.take_packets()
        core.tick(1000.0)
        return out + core.take_packets()

    assert play(b"one") == play(b"one")
    if name in ("symmetric", "lossy", "slow", "corrupting"):
        assert play(b"one") != play(b"two")


def test_the_outside_address_may_be_any(bench):
    assert raw(bench().core.outside) == raw(NAT)
    with pytest.raises(ValueError):
        NatCore(load("pat"), outside="nowhere", inside="10.0.0.0/24", entropy=bytes)
